"""`POST /trace/begin`, `/trace/follow` and `/trace/end`: the protocol, live, for `m365gw trace`.

A trace is begun, then asked for its new lines again and again, and ends by itself: when its time is
up, when nobody asks any more, or when it is ended. No secret is in it (`tracing`).
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.tracing import LONGEST, TooMany, Tracing, Watch, Wish

LONGEST_WAIT: Final = 20.0  # seconds an answer waits for something to happen


@frozen
class Begin:
    """Whom it is about (all that is named must fit), and for how many seconds."""

    client: str = ""
    login: str = ""
    mailbox: str = ""
    listener: str = ""
    seconds: float = 300.0


@frozen
class Follow:
    """The lines behind the one numbered `seen`; the answer may wait so long for one."""

    id: str
    seen: int = 0
    seconds: float = 0.0


@frozen
class End:
    """That is enough."""

    id: str


class Traces:
    """The traces that programs follow."""

    def __init__(self, tracing: Tracing, clock: IReactorTime) -> None:
        self._tracing = tracing
        self._clock = clock
        self._watches: dict[str, Watch] = {}

    def begin(self, asked: Begin, _caller: Caller) -> dict[str, Any]:
        """Watch from now on."""
        for name, watch in list(self._watches.items()):
            if watch.why:
                del self._watches[name]
        watch = watched(
            self._tracing,
            Wish(asked.client, asked.login, asked.mailbox, asked.listener),
            asked.seconds,
        )
        name = secrets.token_hex(8)
        self._watches[name] = watch
        return {"id": name, "until": watch.until}

    async def follow(self, asked: Follow, _caller: Caller) -> dict[str, Any]:
        """What was spoken since; an answer that waits comes with the first line."""
        watch = self._known(asked.id)
        lines = watch.since(asked.seen, self._clock.seconds())
        if not (lines or watch.why):
            await awaken(watch, self._clock, min(asked.seconds, LONGEST_WAIT))
            lines = watch.since(asked.seen, self._clock.seconds())
        missed = lines[0].number - asked.seen - 1 if lines else 0
        return {"lines": [line.plain() for line in lines], "missed": missed, "over": watch.why}

    def end(self, asked: End, _caller: Caller) -> dict[str, Any]:
        """Watch no more."""
        self._tracing.end(self._known(asked.id))
        return {}

    def _known(self, name: str) -> Watch:
        watch = self._watches.get(name)
        if watch is None:
            raise Refusal(404, "There is no such trace any more.", "", "Begin another one.")
        return watch


def watched(tracing: Tracing, wish: Wish, seconds: float) -> Watch:
    """A watch. Raises `Refusal`."""
    if not 1 <= seconds <= LONGEST:
        raise Refusal(400, "seconds is out of range.", "", f"1 to {LONGEST:g}.")
    try:
        return tracing.watch(wish, seconds)
    except TooMany as error:
        raise Refusal(429, "No other trace was begun.", str(error), "Wait, or end one.") from None
    except ValueError:
        raise Refusal(
            400, f'"{wish.client}" is no address and no network.', "", "10.1.0.7, or 10.1.0.0/16."
        ) from None


async def awaken(watch: Watch, clock: IReactorTime, seconds: float) -> None:
    """Wait until something is new, so long at most."""
    woken: Deferred[None] = Deferred()
    late = clock.callLater(max(0.0, seconds), watch.wake)
    watch.wake()  # whoever waited before
    watch.woken = lambda: woken.callback(None)
    await woken
    if late.active():
        late.cancel()


def add_trace(api: Api, traces: Traces) -> None:
    """Register the endpoints."""
    api.post("/trace/begin", Begin, traces.begin, answers.Trace)
    api.post("/trace/follow", Follow, traces.follow, answers.Traced)
    api.post("/trace/end", End, traces.end, answers.Nothing)
