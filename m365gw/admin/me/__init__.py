"""What a person may do for the own mailbox: the page /me without its pages."""
