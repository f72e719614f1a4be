Microsoft's limits are kept before they bite: messages a minute, recipients a day and connections of each mailbox, external recipients of a tenant, counted exactly over crashes and restarts.
