"""A pretend Microsoft 365 for demos, rehearsals and tests. It is not Microsoft and says so."""
