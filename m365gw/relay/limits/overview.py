"""All mailboxes as people and programs see them: state, why, until when, and the budget.

Plain values, made when asked for. Failures: `SpoolError` when the budgets cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from attrs import field, frozen

from m365gw.relay.limits.governor import Governor, Use, Uses, Wait
from m365gw.relay.limits.shortages import in_words
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import Standing
from m365gw.spool.names import tag
from m365gw.spool.schedule import Schedule


@frozen
class Overview:
    """One mailbox at one moment."""

    address: str
    standing: Standing
    uses: Uses
    wait: Wait  # for its budget
    waiting: int  # messages in the queue, due or not
    due: int  # of these, how many could go now
    at: float  # seconds since the epoch
    exits: Mapping[str, Any] = field(factory=dict)  # as `relay.exit.exits` shows them

    @property
    def why(self) -> str:
        """Why mail waits, in one sentence; "" when none has to."""
        told = self.standing.diagnosis
        if told is not None:
            return f"{told.what} {told.why}"
        return in_words(self.address, self.wait, self.uses, self.due) if self.due else ""

    def plain(self) -> dict[str, Any]:
        """As JSON shows it; times are seconds since the epoch, or null."""
        uses = self.uses
        return {
            "address": self.address,
            **self.standing.plain(),
            "budget": {
                "connections": self._use(uses.connections),
                "minute": self._use(uses.minute),
                "day": self._use(uses.day),
                "tenant_day": None if uses.tenant is None else self._use(uses.tenant),
                "recipients_per_message": uses.recipients_per_message,
                "too_many_connections": uses.crowded,
            },
            "waits": self.waiting,
            "why": self.why,
            **self.exits,
        }

    def _use(self, use: Use) -> dict[str, Any]:
        until = _time(self.at + use.seconds) if use.seconds else None
        return {"used": use.used, "limit": _time(use.limit), "until": until}


def overview(
    mailboxes: Mailboxes, governor: Governor, schedule: Schedule, now: float
) -> list[Overview]:
    """Every configured mailbox as it is now (seconds since the epoch)."""
    return [
        Overview(
            address,
            mailboxes.standing(address),
            governor.uses(address),
            governor.wait(address),
            schedule.backlog(tag(address)),
            schedule.ready(tag(address)),
            now,
        )
        for address in mailboxes.addresses
    ]


def _time(at: float) -> float | None:
    return None if at == inf else at
