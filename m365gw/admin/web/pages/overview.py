"""What an operator sees first: whether mail flows, what waits, and what is wrong."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from m365gw.admin.queue_roll import Roll
from m365gw.admin.web.chart import chart
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import path_of
from m365gw.admin.web.pages.incidents import shown_end
from m365gw.admin.web.set_up import is_unfinished
from m365gw.admin.web.view import Answer, View, page
from m365gw.incidents import Incident
from m365gw.metrics import MINUTES, Kind, Metrics
from m365gw.spool.names import State
from m365gw.words import counted, span

SHOWN = 8  # mailboxes: those that may not send first, then those with most mail
STEP = 10  # minutes of one point of the chart
_LINES = {
    Kind.RECEIVED: "Received",
    Kind.DELIVERED: "Delivered",
    Kind.DEFERRED: "Deferred",
    Kind.BOUNCED: "Returned",
}


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""

    async def overview(_view: View) -> Answer:
        roll = await desk.rolls.latest()
        now = desk.clock.seconds()
        ends = [shown_end(one, now) for one in await desk.incident_desk.credentials()]
        found = sorted(desk.mailboxes(), key=lambda one: (one["state"] == "ready", -one["waits"]))
        return page(
            "overview.html",
            status=desk.status(),
            mailboxes=[_mailbox(each) for each in found[:SHOWN]],
            more_mailboxes=len(found[SHOWN:]),
            ends=[each for each in ends if each["tone"] in ("bad", "warn")],
            incidents=[_incident(each) for each in desk.incidents()],
            queue=_counts(roll or Roll()),
            flow=flow(desk.metrics, desk.clock.seconds()),
            disk=desk.disk(),
            is_unfinished=is_unfinished(desk.settings()),
        )

    console.section("Overview", "/", "overview")
    console.get("/", overview)


def flow(metrics: Metrics, now: float) -> dict[str, Any]:
    """The last day as chart, totals and a sentence for who cannot see the chart."""
    counts = metrics.flow(MINUTES, STEP)
    # The newest step has only begun: beside the others it would look like a fall.
    is_old_enough = now - metrics.began_at > 2 * STEP * 60
    last = -1 if is_old_enough else None
    lines = {(kind.value, name): counts[kind][:last] for kind, name in _LINES.items()}
    end = now - now % (STEP * 60) + (0 if is_old_enough else STEP * 60)
    times = [
        time.strftime("%H:%M", time.localtime(end - hours * 3600)) for hours in range(24, 0, -4)
    ]
    totals = {kind.value: sum(each) for kind, each in counts.items()}
    is_young = now - metrics.began_at < MINUTES * 60
    words = f"since the start, {span(now - metrics.began_at)} ago" if is_young else "in 24 hours"
    short = f"since {_clock(metrics.began_at)}" if is_young else "in 24 hours"
    said = ", ".join(f"{totals[kind.value]:,} {name.lower()}" for kind, name in _LINES.items())
    return {
        "chart": chart(lines, totals, [*times, "now"]),
        "totals": totals,
        "span": words,
        "short": short,
        "summary": f"Messages received, and recipients that were delivered, {words}: {said}.",
    }


def _clock(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))


def _incident(incident: Incident) -> dict[str, Any]:
    about = ", ".join(value for _, value in incident.subject)
    return {
        "level": incident.level,
        "path": f"/incidents/{incident.id}",
        "subject": about or "This gateway",
        "diagnosis": incident.told,
        "since": incident.opened_at,
    }


def _counts(roll: Roll) -> dict[str, Any]:
    counts = roll.counts
    return {
        "waiting": counts[State.INCOMING] + counts[State.DEFERRED],
        "held": counts[State.HOLD],
        "corrupt": counts[State.CORRUPT],
        "oldest": roll.oldest,
        "octets": roll.octets,
    }


def _mailbox(plain: dict[str, Any]) -> dict[str, Any]:
    waits = counted(plain["waits"], "message")
    return {
        **plain,
        "why": plain["why"] or (f"{waits} in the queue" if plain["waits"] else "nothing waits"),
        "path": path_of(plain["address"]),
        "queue": f"/queue?mailbox={quote(plain['address'])}",
    }
