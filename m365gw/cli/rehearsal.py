"""`m365gw rehearsal`: the pretend Microsoft 365, to try a configuration against."""

from m365gw.rehearsal.__main__ import main as rehearsal

__all__ = ["rehearsal"]
