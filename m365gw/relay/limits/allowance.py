"""How much one mailbox may send: Microsoft's limits of a mailbox, or those kept at a connector.

A connector has no mailbox, and so none of its limits. What is kept there is a pace of our own, so
that a device gone wild is no flood. Pure; nothing fails here.
"""

from __future__ import annotations

from math import inf

from attrs import frozen

from m365gw.config.settings import Governor as Limits
from m365gw.relay.limits.budget import Pace


@frozen
class Allowance:
    """The limits of one mailbox, by the exit it has."""

    connections: int  # at a time
    rate: float  # messages a minute
    day: float  # recipients in 24 hours; inf: not counted
    pace: Pace

    @classmethod
    def of(cls, limits: Limits, exit: str) -> Allowance:
        """What the settings say for mailboxes of this exit."""
        if exit == "connector":
            rate = limits.connector_messages_per_minute
            connections = limits.connector_connections
            day = limits.connector_recipients_per_day or inf
        else:
            rate, connections = limits.messages_per_minute, limits.connections
            day = limits.recipients_per_day
        return cls(connections, rate, day, Pace.of(rate, limits.burst))
