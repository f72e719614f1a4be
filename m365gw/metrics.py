"""What is counted: the one place, fed by the log, read by the console and by /metrics.

Every event of the log is heard here, also those that are below its level and are not written. Which
event counts as what stands in one table. Beside the totals since the start there is the flow by the
minute, for a day: a few kilobytes, and gone with the process.

Nothing here fails, and no count has an address or an id of a message as a label.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from attrs import frozen

MINUTES: Final = 1440  # of the flow that is kept


class Kind(Enum):
    """What flows. Messages come in; recipients of them are delivered, or not."""

    RECEIVED = "received"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    REFUSED = "refused"


Labels = tuple[tuple[str, str], ...]  # name and value of each, in the order of the table
Fields = Mapping[str, Any]


@frozen
class _Rule:
    """What one event counts as: a counter, its labels, how much, and which flow."""

    name: str
    labels: Mapping[str, Callable[[Fields], str]]
    amount: Callable[[Fields], int] = lambda _: 1
    kind: Callable[[Fields], Kind | None] = lambda _: None


def _field(name: str) -> Callable[[Fields], str]:
    return lambda fields: str(fields.get(name, ""))


_RESULTS: Final = {
    "sent": ("delivered", Kind.DELIVERED),
    "deferred": ("deferred", Kind.DEFERRED),
    "held": ("deferred", Kind.DEFERRED),
    "uncertain": ("uncertain", Kind.DEFERRED),
    "bounced": ("bounced", Kind.BOUNCED),
}


def _result(fields: Fields) -> tuple[str, Kind | None]:
    return _RESULTS.get(str(fields.get("status")), ("deferred", None))


def _refused(reason: str) -> _Rule:
    return _Rule(
        "m365gw_smtpd_rejects_total", {"reason": lambda _: reason}, kind=lambda _: Kind.REFUSED
    )


RULES: Final[Mapping[str, tuple[_Rule, ...]]] = {
    "message.queued": (
        _Rule(
            "m365gw_messages_received_total",
            {"listener": _field("listener")},
            kind=lambda _: Kind.RECEIVED,
        ),
        _Rule(
            "m365gw_messages_received_bytes_total",
            {},
            amount=lambda fields: int(fields.get("size", 0)),
        ),
    ),
    "delivery": (
        _Rule(
            "m365gw_deliveries_total",
            {"account": _field("mailbox"), "result": lambda fields: _result(fields)[0]},
            kind=lambda fields: _result(fields)[1],
        ),
    ),
    "message.refused": (_refused("message"),),
    "client.refused": (_refused("client"),),
    "login.failed": (
        _Rule(
            "m365gw_smtpd_auth_total",
            {"mechanism": _field("sasl_method"), "result": lambda _: "failed"},
        ),
    ),
}


class Metrics:
    """Counts since the process began. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.totals: Counter[tuple[str, Labels]] = Counter()
        self.began_at = clock()
        self.heard_of = 0  # events that counted, so that it can be seen when there was one
        self._minute = int(self.began_at) // 60  # the newest one
        self._flow = {kind: array("I", [0]) * MINUTES for kind in Kind}

    def heard(self, event: str, _queue_id: str, _note: str, fields: Fields) -> None:
        """An event was logged (`EventLog.listeners`)."""
        for rule in RULES.get(event, ()):
            self.heard_of += 1
            labels = tuple((name, value(fields)) for name, value in rule.labels.items())
            self.totals[rule.name, labels] += rule.amount(fields)
            kind = rule.kind(fields)
            if kind is not None:
                self._go_on()
                self._flow[kind][self._minute % MINUTES] += 1

    def flow(self, minutes: int = MINUTES, step: int = 1) -> dict[Kind, list[int]]:
        """What flowed in the last minutes, the newest last, as sums of `step` minutes each.

        Steps are cut at whole multiples of their length, so that a chart does not tremble; the
        newest step may have only begun.
        """
        self._go_on()
        end = (self._minute // step + 1) * step
        begin = end - minutes
        return {
            kind: [
                sum(self._at(counts, minute) for minute in range(start, start + step))
                for start in range(begin, end, step)
            ]
            for kind, counts in self._flow.items()
        }

    def _at(self, counts: array[int], minute: int) -> int:
        is_kept = self._minute - MINUTES < minute <= self._minute
        return counts[minute % MINUTES] if is_kept else 0

    def _go_on(self) -> None:
        """Begin the minutes that have come since, with noughts."""
        now = int(self._clock()) // 60
        for minute in range(max(self._minute + 1, now - MINUTES + 1), now + 1):
            for counts in self._flow.values():
                counts[minute % MINUTES] = 0
        self._minute = max(self._minute, now)
