"""A queued message as a row of a list."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from m365gw.spool.browse import Queued
from m365gw.spool.names import State
from m365gw.spool.reasons import reason_of
from m365gw.words import short_span

_GOING = (State.INCOMING, State.DEFERRED)


def row(
    queued: Queued, now: float, active: Container[str], waits: Mapping[str, str]
) -> dict[str, Any]:
    """What a list shows. `waits`: why each mailbox may not send (`Desk.why_waits`)."""
    entry, origin = queued.entry, queued.origin
    is_active = entry.queue_id in active
    why = "" if is_active else why_waits(queued, waits)
    return {
        "queue_id": entry.queue_id,
        "state": "active" if is_active else entry.state.value,
        "sender": queued.envelope.sender or ("?" if queued.damage else "<>"),
        "recipients": whom(queued),
        "reason": reason_of(queued) or why,
        "client": origin.login or origin.client,
        "mailbox": origin.mailbox,
        "arrived_at": entry.arrived_at,
        "attempts": entry.attempts,
        "next": "–" if is_active else next_try(queued, now, why),
        "size": entry.size,
    }


def whom(queued: Queued) -> str:
    """The first recipient that is open, and how many more there are."""
    if not queued.recipients:
        return "?"
    first, *others = queued.open_recipients or queued.recipients
    return first.recipient.address + (f" and {len(others)} more" if others else "")


def why_waits(queued: Queued, waits: Mapping[str, str]) -> str:
    """Why the mailbox of a message that waits may not send it; "" when it may."""
    entry, mailbox = queued.entry, queued.origin.mailbox
    if entry.state not in _GOING or entry.is_expired or queued.damage:
        return ""
    missing = f"{mailbox or 'Its mailbox'} is not configured: its mail waits until it is."
    return waits.get(mailbox.casefold(), missing)


def next_try(queued: Queued, now: float, why: str) -> str:
    """When a message is tried next, for a narrow column. `why` its mailbox may not send, or ""."""
    entry = queued.entry
    if entry.state not in _GOING:
        return "–"
    if entry.due <= now:
        return "waits" if why else "now"
    return f"in {short_span(entry.due - now)}"
