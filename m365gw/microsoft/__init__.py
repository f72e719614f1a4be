"""What we know of Microsoft 365, as tables and pure functions."""
