"""The log as it is written: filtered, paused, taken along without names."""

from __future__ import annotations

import time
from typing import Any, Final

from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.line_stream import Shown
from m365gw.admin.web.request import WebRequest
from m365gw.admin.web.view import Answer, Fields, File, View, fields_of, page
from m365gw.doctor.redaction import Redaction
from m365gw.log_tail import Entry, Filter
from m365gw.words import escaped

SCREEN: Final = 300  # lines
ALL: Final = 5000
_FILTERS = {
    "level": "level",
    "program": "program",
    "message": "message",
    "client": "client",
    "mailbox": "mailbox",
    "q": "text",
}
_LEVELS = [
    ("", "all"),
    ("info", "info and graver"),
    ("warn", "warnings and errors"),
    ("error", "errors"),
]
_TONES = {"warn": "warn", "error": "bad", "debug": "idle"}


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""

    def show(view: View) -> Answer:
        wanted = _filter(view.query)
        lines = [_shown(entry) for entry in desk.tail.last(wanted, SCREEN)]
        return page(
            "log.html",
            lines=lines,
            seen=desk.tail.count,
            stream=view.query.url("/log/stream", seen=desk.tail.count or ""),
            levels=_LEVELS,
            programs=[("", "all"), *((one, one) for one in desk.tail.programs)],
            mailboxes=[("", "all"), *((one["address"],) * 2 for one in desk.mailboxes())],
            query={name: view.query.get(name) for name in _FILTERS},
            is_narrow=wanted != Filter(),
        )

    def stream(request: WebRequest) -> None:
        query = fields_of(request.uri.partition(b"?")[2])
        wanted = _filter(query)

        def new(seen: int) -> tuple[list[Shown], str]:
            return [_shown(entry) for entry in desk.tail.last(wanted, SCREEN, seen)], ""

        console.lines.begin(request, new, query.number("seen"))

    def download(view: View) -> Answer:
        """What is shown, without addresses and names: fit to be sent to somebody."""
        settings = desk.settings()
        logins = [client.login for client in settings.client]
        tenants = [mailbox.tenant for mailbox in settings.mailbox]
        redaction = Redaction([settings.hostname, *logins, *tenants])
        entries = desk.tail.last(_filter(view.query), ALL)
        text = "".join(f"{_line(entry, redaction)}\n" for entry in entries)
        day = time.strftime("%Y-%m-%d-%H%M", time.localtime(view.now))
        return File(text.encode("utf-8", "replace"), f"m365gw-log-{day}.txt")

    console.section("Log", "/log", "log")
    console.get("/log", show)
    console.get("/log/download", download)
    console.stream("/log/stream", stream)


def _filter(query: Fields) -> Filter:
    said: dict[str, Any] = {name: query.get(field) for field, name in _FILTERS.items()}
    return Filter(**said)


def _shown(entry: Entry) -> Shown:
    clock = time.strftime("%H:%M:%S", time.localtime(entry.at))
    is_message = len(entry.queue_id) == 13
    return Shown(
        entry.number,
        clock,
        _TONES.get(entry.level, ""),
        entry.program,
        entry.queue_id if is_message else "",
        escaped(f"{entry.event}: {entry.words}" if entry.words else entry.event),
    )


def _line(entry: Entry, redaction: Redaction) -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.at))
    place = f"{entry.queue_id}: " if entry.queue_id else ""
    words = escaped(redaction.text(entry.words))
    return f"{when} {entry.level:<5} {entry.program}: {place}{entry.event}: {words}"
