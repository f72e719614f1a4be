"""Every metric there is: its name, kind, labels and meaning. `docs/metrics.md` is written from it.

Names follow Prometheus: base units, `_total` on counters. Label values are names from the
configuration or from fixed lists, never an id of a message, an address of a client or a text that
came from outside, so there are few of them. `account` is the address of a mailbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import frozen

_FROM_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 14400, 86400)
_FROM_FRACTIONS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Sort(Enum):
    """What may be done with the values of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@frozen
class Metric:
    """One metric. `bounds` are the upper bounds of the buckets of a histogram."""

    name: str
    sort: Sort
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, Sort.COUNTER, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, Sort.GAUGE, meaning, labels)


def _histogram(name: str, meaning: str, bounds: tuple[float, ...]) -> Metric:
    return Metric(name, Sort.HISTOGRAM, meaning, (), bounds)


METRICS: Final[Mapping[str, Metric]] = {
    each.name: each
    for each in (
        _gauge(
            "m365gw_build_info",
            "Always 1; the versions of the program, Python and Twisted.",
            *("version", "python", "twisted"),
        ),
        _gauge("m365gw_node_info", "Always 1; the host name of the gateway.", "node", "role"),
        _gauge("m365gw_start_time_seconds", "When the gateway started."),
        _gauge(
            "m365gw_ready",
            "1 when it takes mail, as /readyz says; a dead Microsoft changes nothing.",
        ),
        _gauge("m365gw_smtpd_connections", "Clients that are connected.", "listener"),
        _counter(
            "m365gw_smtpd_connections_total",
            "Connections that have ended. tls: none, starttls, implicit, or proxy where it ended at"
            " the load balancer.",
            *("listener", "tls"),
        ),
        _counter(
            "m365gw_smtpd_auth_total",
            "Logins. result: ok, failed (wrong login or password), refused (no exchange).",
            *("mechanism", "result"),
        ),
        _counter(
            "m365gw_smtpd_rejects_total",
            "Refusals. reason: message (a message, its sender or a recipient), client (a connection"
            " too many, or its behaviour), command (not understood), stranger (not SMTP).",
            "reason",
        ),
        _counter(
            "m365gw_messages_received_total",
            "Messages accepted, all of them durable. listener: its name, or local for mail of local"
            " programs and test mails.",
            "listener",
        ),
        _counter("m365gw_messages_received_bytes_total", "Octets of the messages accepted."),
        _gauge(
            "m365gw_queue_messages",
            "Messages in the queue. state: active (an attempt runs), incoming, deferred, hold,"
            " corrupt. The active ones are also counted where they lie.",
            "state",
        ),
        _gauge(
            "m365gw_queue_oldest_message_age_seconds",
            "Age of the message that arrived first, 0 without one. state: incoming, deferred, hold,"
            " corrupt.",
            "state",
        ),
        _counter(
            "m365gw_deliveries_total",
            "Recipients after an attempt. result: delivered, deferred, bounced, uncertain.",
            *("account", "result"),
        ),
        _histogram(
            "m365gw_delivery_duration_seconds",
            "An attempt, from asking for a session to the answer; for each recipient.",
            _FROM_SECONDS,
        ),
        _histogram(
            "m365gw_message_latency_seconds",
            "From the beginning of a message's arrival to Microsoft's 250; for each recipient.",
            _FROM_SECONDS,
        ),
        _counter(
            "m365gw_throttle_waits_total",
            "How often a mailbox with mail that was due had to wait for its budget. limit: rate"
            " (messages a minute), concurrency (connections), recipients (a day).",
            *("account", "limit"),
        ),
        _gauge(
            "m365gw_account_up", "1 when mail goes by this mailbox; 0 when it is held.", "account"
        ),
        _gauge("m365gw_account_messages", "Messages that wait for this mailbox.", "account"),
        _gauge(
            "m365gw_account_budget_used",
            "Used of the budget. limit: connections (now), minute (messages), day (recipients).",
            *("account", "limit"),
        ),
        _gauge("m365gw_account_budget_limit", "How much of it there is.", *("account", "limit")),
        _gauge(
            "m365gw_token_expiry_timestamp_seconds",
            "When the access token in hand ends. It is renewed ahead of that while it is needed; a"
            " mailbox without mail may have none.",
            "account",
        ),
        _counter(
            "m365gw_token_refreshes_total",
            "Requests for a token. result: ok, failed.",
            *("account", "result"),
        ),
        _gauge(
            "m365gw_credential_expiry_timestamp_seconds",
            "When what a mailbox signs in with ends, as far as anybody knows. kind: client_secret,"
            " certificate, refresh_token.",
            *("account", "kind"),
        ),
        _gauge(
            "m365gw_tls_certificate_expiry_timestamp_seconds",
            "When the TLS certificate of the listeners that ends first ends.",
        ),
        _gauge(
            "m365gw_incidents_open",
            "What somebody has to mend. kind: the key of its diagnosis; without any it is absent.",
            "kind",
        ),
        _gauge("m365gw_spool_free_bytes", "Room on the disk of the spool."),
        _gauge(
            "m365gw_spool_minimal_free_bytes", "With less room than this no mail is taken (452)."
        ),
        _histogram(
            "m365gw_spool_fsync_seconds",
            "How long the disk took to make a group of accepted messages durable.",
            _FROM_FRACTIONS,
        ),
        _histogram(
            "m365gw_loop_lag_seconds",
            "How late the reactor does what is due; looked at once a second.",
            _FROM_FRACTIONS,
        ),
    )
}
