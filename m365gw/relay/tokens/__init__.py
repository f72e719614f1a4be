"""How mailboxes prove who they are to Microsoft."""
