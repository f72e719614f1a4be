"""The gateway measured against Debian's Postfix, in the same run: `make bench`."""
