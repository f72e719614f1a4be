"""The language of mail: octets in, values out. No I/O, no clock, no Twisted."""
