"""Delivery reports (RFC 3464, 3461, 6533): their facts, words, fields and parts."""
