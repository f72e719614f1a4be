The gateway examines itself and its mailboxes once a day, and a mailbox a minute after it has stopped (`[doctor] every`); what was found last is kept and shown.
