"""The queue: search, filters, order and paging, and what is done to messages from there."""

from __future__ import annotations

from typing import Any

from m365gw.admin.queue_listing import SCREEN, Screen, screen, wish_of
from m365gw.admin.queue_roll import Roll
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk, not_readable
from m365gw.admin.web.rows import row
from m365gw.admin.web.view import Answer, Fields, Redirect, View, page
from m365gw.admin.web.words import ACTIONS
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.names import State
from m365gw.words import counted

# The fields of a query, and what the page calls them.
FILTERS = {
    "state": "state",
    "mailbox": "mailbox",
    "from": "sender",
    "to": "recipient",
    "client": "client",
    "older": "older",
    "q": "text",
    "sort": "sort",
}
_AGES = [
    ("", "any"),
    ("15m", "over 15 min"),
    ("1h", "over 1 h"),
    ("6h", "over 6 h"),
    ("1d", "over 1 d"),
]
_SORTS = [
    ("-arrival", "newest first"),
    ("arrival", "oldest first"),
    ("next", "next try"),
    ("-attempts", "most tries"),
    ("-size", "largest"),
]
_TABS = [
    ("", "All", tuple(State)),
    ("waiting", "Waiting", (State.INCOMING, State.DEFERRED)),
    ("hold", "Held", (State.HOLD,)),
    ("corrupt", "Damaged", (State.CORRUPT,)),
]


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""
    pages = _Pages(desk)
    console.section("Queue", "/queue", "queue")
    console.get("/queue", pages.show)
    console.post("/queue/flush", pages.flush)


def asked(fields: Fields, now: float) -> Any:
    """The wish that a query, or a form, spells out. Raises `Refusal`."""
    return wish_of(**{name: fields.get(field) for field, name in FILTERS.items()}, now=now)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, view: View) -> Answer:
        desk, wish = self._desk, asked(view.query, view.now)
        roll, found = await desk.rolls.latest(), Screen()
        if roll is not None:
            start = view.query.number("start")
            try:
                found = await desk.calls.call(
                    screen, desk.open_spool, roll, wish, start, moved=desk.waiting
                )
            except Unusable as error:
                raise not_readable(str(error)) from None
            except SpoolError as error:
                raise not_readable(f"{error.cause.strerror}.") from None
        active, waits = frozenset(desk.queue.active()), desk.why_waits()
        return page(
            "queue.html",
            screen=found,
            rows=[row(each, view.now, active, waits) for each in found.messages],
            roll_at=roll.at if roll else 0,
            goes_on=roll is None or not (found.is_full or found.messages),
            fault=desk.rolls.fault,
            tabs=_tabs(view, roll or Roll()),
            mailboxes=[("", "all"), *((one, one) for one in self._mailboxes())],
            ages=_AGES,
            sorts=_SORTS,
            actions=[(each.value, words.button) for each, words in ACTIONS.items()],
            query=_shown(view.query, is_narrow=wish.is_narrow),
            size=SCREEN,
        )

    async def flush(self, view: View) -> Answer:
        desk, mailbox = self._desk, view.form.get("mailbox")
        try:
            count = await desk.queue.flush(mailbox)
        except SpoolError as error:
            raise not_readable(f"{error.cause.strerror}.") from None
        desk.audit(view.by, "flush", mailbox or "the whole queue")
        desk.rolls.outdate()
        words = f"{counted(count, 'message')} to be tried at once."
        return Redirect("/queue", words if count else "Nothing waits for its next attempt.")

    def _mailboxes(self) -> list[str]:
        return [each["address"] for each in self._desk.mailboxes()]


def _tabs(view: View, roll: Roll) -> list[dict[str, Any]]:
    here = view.query.get("state")
    return [
        {
            "name": name,
            "url": view.query.url("/queue", state=value, start=0, part=""),
            "is_here": value == here,
            "count": sum(roll.counts[state] for state in states),
        }
        for value, name, states in _TABS
    ]


def _shown(query: Fields, *, is_narrow: bool) -> dict[str, Any]:
    """The fields as the form shows them, and as it sends them on."""
    said = {name: query.get(field) for field, name in FILTERS.items()}
    fields = [(field, query.get(field)) for field in FILTERS if query.get(field)]
    return {**said, "q": said["text"], "fields": fields, "is_narrow": is_narrow}
