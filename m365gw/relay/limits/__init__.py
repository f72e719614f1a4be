"""How much a mailbox, a tenant and a host may send now."""
