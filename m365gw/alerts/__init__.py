"""Telling people of incidents: by webhook, by mail through a mailbox that works, and ahead."""
