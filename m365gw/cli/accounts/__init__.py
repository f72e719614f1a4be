"""Who may send, and by what: commands for mailboxes, clients and networks."""
