"""Time in which a mailbox or a sender could not send for no fault of its messages.

Such time does not bring a message nearer to the end of its lifetime. It belongs to keys
(`stops.Key`): what is stopped, what has no budget left, or the service itself, which ages no
message while it does not run. What covers a message is the union of the times of its keys; where
they overlap they count once.

Pure: `now` is passed in, in seconds since the epoch; `state` and `restore` speak plain values.
Nothing fails here but `restore` for what `state` never gave: ValueError, TypeError, LookupError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from m365gw.relay.stops.intervals import History, Intervals
from m365gw.relay.stops.stops import Key

KEPT = 30 * 86400.0  # seconds for which such times are remembered
BUDGET = "budget"  # the kind of key that is a mailbox's want of budget
SERVICE: Key = ("service", "")  # stopped whenever this program does not run


class Excuses:
    """Times that are over, and those that go on."""

    def __init__(self) -> None:
        self._past: History[Key] = History()
        self._open: dict[Key, float] = {}  # since when

    def begin(self, key: Key, since: float) -> None:
        """From now on this key stops mail, if it did not already."""
        self._open.setdefault(key, since)

    def end(self, key: Key, now: float) -> None:
        """It stops mail no longer; one that did not may be ended as well."""
        if key in self._open:
            self._past.add(key, self._open.pop(key), now)

    def add(self, key: Key, since: float, until: float) -> None:
        """A time that is over already."""
        self._past.add(key, since, until)

    def within(self, keys: Iterable[Key], since: float, now: float) -> float:
        """Seconds between two times in which one of these keys, or no service, stopped mail."""
        keys = (*keys, SERVICE)
        covered = self._past.union(keys)
        for key in keys:
            if key in self._open:
                covered.add(self._open[key], now)
        return covered.within(since, now)

    def forget(self, now: float) -> None:
        """Let go of what is long past: there may be any number of senders."""
        self._past.forget(now - KEPT)

    def state(self, now: float) -> dict[str, Any]:
        """Everything as plain values, for a file. What goes on is noted as if it ended now."""
        spans = [[*key, past.spans] for key, past in self._past.intervals.items()]
        return {"at": now, "past": spans + [[*k, [[at, now]]] for k, at in self._open.items()]}

    def restore(self, state: dict[str, Any], now: float) -> None:
        """Takes back what `state` gave; the time since then was without a service."""
        past = [((str(kind), str(name)), Intervals(spans)) for kind, name, spans in state["past"]]
        down_since = float(state["at"])
        for key, spans in past:
            self._past.intervals.setdefault(key, Intervals()).add_all(spans)
        self._past.add(SERVICE, down_since, now)
