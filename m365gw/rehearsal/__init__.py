"""A pretend Microsoft 365 on loopback: sign-in, submission, limits and errors.

Shares no code with the rooms it is tried against, so that no fault hides behind its twin. It says
that it is a rehearsal wherever it speaks, and it is not Microsoft.
"""
