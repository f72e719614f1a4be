"""Broken messages mended, octet for octet where they are whole."""
