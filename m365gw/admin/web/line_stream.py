"""Lines that appear on a page as they are written: log and protocol, as server-sent events.

A page gets what is new twice a second at most, some lines at a time, for as long as its session
stands. What it shows is given as plain values; the page makes text of them, never markup.
Failures: none leave here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from m365gw.admin.web.visits import Visits

EVERY: Final = 0.5  # seconds between two looks
QUIET: Final = 20.0  # seconds until a line is sent that says nothing, so that proxies hold on
MOST: Final = 40  # pages at a time

_diagnostics = Logger()


@frozen
class Shown:
    """One line on a page. `tone` chooses its colour, `queue_id` makes it a link."""

    number: int
    clock: str
    tone: str
    mark: str  # who says it
    queue_id: str
    text: str

    def plain(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "clock": self.clock,
            "tone": self.tone,
            "mark": self.mark,
            "queue_id": self.queue_id,
            "text": self.text,
        }


# Gives the lines behind the one with this number, and why there will be no more, or "".
Source = Callable[[int], tuple[Sequence[Shown], str]]


@define(kw_only=True)
class LineStreams:
    """All pages that show lines."""

    visits: Visits
    clock: IReactorTime
    _requests: list[Any] = field(factory=list)

    def begin(self, request: Any, source: Source, seen: int) -> None:
        """Send what the source gives from now on, until the page is closed or the source ends."""
        if len(self._requests) >= MOST:
            request.setResponseCode(503)
            request.finish()
            return
        request.responseHeaders.setRawHeaders(b"content-type", [b"text/event-stream"])
        request.responseHeaders.setRawHeaders(b"x-accel-buffering", [b"no"])
        request.write(b"retry: 3000\n\n")
        self._requests.append(request)
        request.notifyFinish().addBoth(lambda _: self._requests.remove(request))
        sending = Deferred.fromCoroutine(self._send(request, source, seen))
        sending.addErrback(lambda fault: _diagnostics.failure("lines of a page", failure=fault))

    def stop(self) -> None:
        """End all streams."""
        for request in list(self._requests):
            request.finish()

    async def _send(self, request: Any, source: Source, seen: int) -> None:
        said_at, why = self.clock.seconds(), ""
        while request in self._requests:
            if await self.visits.of(request.key, is_used=False) is None:
                why = "signed-out"
            elif request in self._requests:
                lines, why = source(seen)
                now = self.clock.seconds()
                if lines:
                    seen, said_at = lines[-1].number, now
                    request.write(_event("lines", [line.plain() for line in lines]))
                elif now - said_at >= QUIET:
                    said_at = now
                    request.write(b": still here\n\n")
            if why and request in self._requests:
                request.write(_event("over", why))
                request.finish()
                return
            pause: Deferred[None] = Deferred()
            self.clock.callLater(EVERY, pause.callback, None)
            await pause


def _event(name: str, said: Any) -> bytes:
    text = json.dumps(said, ensure_ascii=True)
    return f"event: {name}\ndata: {text}\n\n".encode("ascii")
