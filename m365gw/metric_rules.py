"""Which event of the log counts as what: the one table.

An event that is not in it counts nothing. Nothing here fails: a field that is missing counts as "".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from attrs import frozen

Fields = Mapping[str, Any]
Values = tuple[str, ...]  # of the labels, in the order of `metric_table`


class Kind(Enum):
    """What flows. Messages come in; recipients of them are delivered, or not."""

    RECEIVED = "received"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    REFUSED = "refused"


def _one(_: Fields) -> float:
    return 1


def _nothing(_: Fields) -> None:
    return None


@frozen
class Count:
    """A counter that grows: its labels, by how much, and what has flowed."""

    name: str
    values: Callable[[Fields], Values]
    amount: Callable[[Fields], float] = _one
    kind: Callable[[Fields], Kind | None] = _nothing


@frozen
class Measure:
    """A histogram that gets one more value; None: it gets none."""

    name: str
    value: Callable[[Fields], float | None]


_RESULTS: Final = {
    "sent": ("delivered", Kind.DELIVERED),
    "deferred": ("deferred", Kind.DEFERRED),
    "held": ("deferred", Kind.DEFERRED),
    "uncertain": ("uncertain", Kind.DEFERRED),
    "bounced": ("bounced", Kind.BOUNCED),
}
_UNKNOWN: Final = ("deferred", None)
_MECHANISMS: Final = ("PLAIN", "LOGIN")  # what else a client names is "other"


def _result(fields: Fields) -> tuple[str, Kind | None]:
    return _RESULTS.get(str(fields.get("status")), _UNKNOWN)


def _latency(fields: Fields) -> float | None:
    return float(fields.get("delay", 0)) if fields.get("status") == "sent" else None


def _duration(fields: Fields) -> float | None:
    """The last two of Postfix's four delays: for a session, and the transaction."""
    if fields.get("relay", "none") == "none":
        return None
    delays = str(fields.get("delays", "0/0/0/0")).split("/")
    return float(delays[2]) + float(delays[3])


def _seconds(fields: Fields) -> float:
    return float(fields.get("seconds", 0))


def _refused(reason: str) -> Count:
    return Count("m365gw_smtpd_rejects_total", lambda _: (reason,), kind=lambda _: Kind.REFUSED)


def _login(result: str) -> Count:
    def values(fields: Fields) -> Values:
        mechanism = str(fields.get("sasl_method", "")).upper()
        return (mechanism if mechanism in _MECHANISMS else "other", result)

    return Count("m365gw_smtpd_auth_total", values)


def _token(result: str) -> Count:
    return Count(
        "m365gw_token_refreshes_total", lambda fields: (str(fields.get("mailbox", "")), result)
    )


RULES: Final[Mapping[str, tuple[Count | Measure, ...]]] = {
    "message.queued": (
        Count(
            "m365gw_messages_received_total",
            lambda fields: (str(fields.get("listener", "local")),),
            kind=lambda _: Kind.RECEIVED,
        ),
        Count(
            "m365gw_messages_received_bytes_total",
            lambda _: (),
            amount=lambda fields: int(fields.get("size", 0)),
        ),
    ),
    "delivery": (
        Count(
            "m365gw_deliveries_total",
            lambda fields: (str(fields.get("mailbox", "")), _result(fields)[0]),
            kind=lambda fields: _result(fields)[1],
        ),
        Measure("m365gw_message_latency_seconds", _latency),
        Measure("m365gw_delivery_duration_seconds", _duration),
    ),
    "message.refused": (_refused("message"),),
    "client.refused": (_refused("client"),),
    "command.refused": (_refused("command"),),
    "client.stranger": (_refused("stranger"),),
    "login.succeeded": (_login("ok"),),
    "login.failed": (_login("failed"),),
    "login.refused": (_login("refused"),),
    "client.left": (
        Count(
            "m365gw_smtpd_connections_total",
            lambda fields: (str(fields.get("listener", "")), str(fields.get("tls", "none"))),
        ),
    ),
    "budget.met": (
        Count(
            "m365gw_throttle_waits_total",
            lambda fields: (str(fields.get("mailbox", "")), str(fields.get("limit", ""))),
        ),
    ),
    "token.acquired": (_token("ok"),),
    "token.unavailable": (_token("failed"),),
    "spool.synced": (Measure("m365gw_spool_fsync_seconds", _seconds),),
    "reactor.late": (Measure("m365gw_loop_lag_seconds", _seconds),),
}
