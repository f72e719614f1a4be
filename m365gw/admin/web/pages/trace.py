"""The protocol as it is spoken, for as long as somebody watches: begun by a form, seen live."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from m365gw.admin.refusal import Refusal
from m365gw.admin.trace_api import watched
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.line_stream import LineStreams, Shown
from m365gw.admin.web.request import WebRequest
from m365gw.admin.web.view import Answer, Redirect, View, fields_of, page
from m365gw.admin.web.visits import digest_of
from m365gw.tracing import IN, Line, Watch, Wish

TIMES: Final = [
    ("60", "1 minute"),
    ("300", "5 minutes"),
    ("1800", "30 minutes"),
    ("3600", "1 hour"),
]
_TONES = {"C": "note", "S": "good", "*": "idle"}
_WORDS = {("in", "C"): "client", ("in", "S"): "gateway", ("out", "C"): "gateway"}


@frozen
class _Running:
    watch: Watch
    session: str  # of who began it; nobody else sees it


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk, console.lines)
    console.get("/trace", pages.form)
    console.post("/trace", pages.begin)
    console.get("/trace/<name>", pages.show)
    console.post("/trace/<name>/end", pages.end)
    console.stream("/trace/lines", pages.stream)


class _Pages:
    def __init__(self, desk: Desk, streams: LineStreams) -> None:
        self._desk = desk
        self._streams = streams
        self._running: dict[str, _Running] = {}

    def form(self, view: View) -> Answer:
        settings = self._desk.settings()
        return page(
            "trace.html",
            listeners=[("", "all"), *((one.name, one.name) for one in settings.listener)],
            mailboxes=[("", "all"), *((one.address, one.address) for one in settings.mailbox)],
            times=TIMES,
            query={name: view.query.get(name) for name in ("client", "login", "mailbox")},
            running=None,
        )

    def begin(self, view: View) -> Answer:
        form = view.form
        names = ("client", "login", "mailbox", "listener")
        wish = Wish(**{name: form.get(name) for name in names})
        watch = watched(self._desk.tracing, wish, float(form.number("seconds", 300)))
        for name, one in list(self._running.items()):
            if one.watch.why:
                del self._running[name]
        name = secrets.token_hex(8)
        self._running[name] = _Running(watch, view.session)
        about = ", ".join(f"{each} {form.get(each)}" for each in names if form.get(each))
        self._desk.audit(view.by, "trace.begun", about or "all")
        return Redirect(f"/trace/{name}")

    def show(self, view: View) -> Answer:
        name = view.names["name"]
        watch = self._known(name, view.session)
        wish = watch.wish
        about = [(each, getattr(wish, each)) for each in ("client", "login", "mailbox", "listener")]
        return page(
            "trace.html",
            running=watch,
            name=name,
            about=[(each, value) for each, value in about if value],
            lines=[_shown(line) for line in watch.since(0, view.now)],
            seen=watch.count,
        )

    def end(self, view: View) -> Answer:
        watch = self._known(view.names["name"], view.session)
        self._desk.tracing.end(watch)
        return Redirect(f"/trace/{view.names['name']}", "The trace has ended.")

    def stream(self, request: WebRequest) -> None:
        query = fields_of(request.uri.partition(b"?")[2])
        running = self._running.get(query.get("name"))
        if running is None or running.session != digest_of(request.key):
            request.setResponseCode(404)
            request.finish()  # type: ignore[no-untyped-call]  # Twisted's
            return
        watch = running.watch

        def new(seen: int) -> tuple[Sequence[Shown], str]:
            lines = watch.since(seen, self._desk.clock.seconds())
            return [_shown(line) for line in lines], watch.why

        self._streams.begin(request, new, query.number("seen"))

    def _known(self, name: str, session: str) -> Watch:
        running = self._running.get(name)
        if running is None or running.session != session:
            raise Refusal(404, "There is no such trace any more.", "", "Begin another one.")
        return running.watch


def _shown(line: Line) -> Shown:
    clock = time.strftime("%H:%M:%S", time.localtime(line.at))
    spoken = line.spoken
    who = _WORDS.get((spoken.way, line.speaker), "Microsoft" if line.speaker != "*" else "")
    if spoken.way == IN and line.speaker == "*":
        who = "connection"
    login = f" {spoken.login}" if spoken.login else ""
    mark = f"{spoken.name}{login}"
    return Shown(line.number, clock, _TONES[line.speaker], mark, "", f"{who}: {line.text}")
