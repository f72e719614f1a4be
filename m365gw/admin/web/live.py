"""What is live: one stream of events for each open page, which says what has changed.

A page hears names only ("queue mailboxes") and fetches what it shows of them; so nothing here knows
what a page looks like. What has changed is found out by comparing a few numbers, and only while
somebody listens. Failures: none leave here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from m365gw.admin.web.visits import Visits
from m365gw.directory.database import DirectoryError

EVERY: Final = 2.0  # seconds between two looks
BUSY: Final = 5.0  # the same while each look finds something new: pages must not cost mail much
SOON: Final = 3  # looks in a row that may find something new before that
QUIET: Final = 20.0  # seconds until a line is sent that says nothing, so that proxies hold on
MOST: Final = 100  # streams at a time; further pages are not live

_diagnostics = Logger()


@define(eq=False)
class _Listener:
    """One open page."""

    request: Any  # a WebRequest, whose methods carry no annotations
    heard_at: float


@define(kw_only=True)
class Live:
    """Tells pages. `signs` gives, by name, something that is another when that has changed."""

    visits: Visits
    clock: IReactorTime
    signs: Callable[[], Mapping[str, Any]]
    _listeners: list[_Listener] = field(factory=list)
    _last: Mapping[str, Any] = field(factory=dict)
    _due: IDelayedCall | None = None
    _busy: int = 0  # looks in a row that found something new

    def begin(self, request: Any) -> None:
        """Tell this page from now on, until it is closed."""
        headers = request.responseHeaders
        if len(self._listeners) >= MOST:
            request.setResponseCode(503)
            request.finish()
            return
        headers.setRawHeaders(b"content-type", [b"text/event-stream"])
        headers.setRawHeaders(b"x-accel-buffering", [b"no"])
        request.write(b"retry: 3000\n\n")
        listener = _Listener(request, self.clock.seconds())
        self._listeners.append(listener)
        request.notifyFinish().addBoth(lambda _: self._leave(listener))
        if self._due is None:
            self._last = self.signs()
            self._due = self.clock.callLater(EVERY, self._look)

    def stop(self) -> None:
        """End all streams."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        for listener in list(self._listeners):
            if not listener.request.has_left:
                listener.request.finish()

    def _look(self) -> None:
        self._due = None
        looking = Deferred.fromCoroutine(self._tell())
        looking.addErrback(_forgive)
        looking.addErrback(lambda fault: _diagnostics.failure("live pages", failure=fault))
        looking.addBoth(lambda _: self._go_on())

    def _go_on(self) -> None:
        if self._listeners and self._due is None:
            wait = EVERY if self._busy < SOON else BUSY
            self._due = self.clock.callLater(wait, self._look)

    async def _tell(self) -> None:
        now, signs = self.clock.seconds(), self.signs()
        changed = [name for name, value in signs.items() if self._last.get(name) != value]
        self._busy = self._busy + 1 if changed else 0
        for listener in list(self._listeners):
            session = await self.visits.of(listener.request.key, is_used=False)
            if listener not in self._listeners:
                continue
            if session is None:
                listener.request.write(b"event: signed-out\ndata: .\n\n")
                listener.request.finish()
            elif changed:
                listener.heard_at = now
                listener.request.write(b"event: changed\ndata: %s\n\n" % " ".join(changed).encode())
            elif now - listener.heard_at >= QUIET:
                listener.heard_at = now
                listener.request.write(b": still here\n\n")
        self._last = signs

    def _leave(self, listener: _Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)


def _forgive(fault: Failure) -> None:
    """Nobody knows who is signed in while the directory is away: it is told later."""
    fault.trap(DirectoryError)  # type: ignore[no-untyped-call]  # Twisted's
