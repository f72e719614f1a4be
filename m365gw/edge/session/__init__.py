"""One conversation: octets in, one command at a time, replies out in order."""
