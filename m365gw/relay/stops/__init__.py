"""What keeps mailboxes from sending, why, and until when."""
