"""Write docs/metrics.md from the table of metrics: python docs/make_metrics.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m365gw.metric_table import METRICS, Metric

HEAD = """\
# Metrics

What `/metrics` says ([monitoring.md](monitoring.md)). Written from the code by
`docs/make_metrics.py`. No label holds an id of a message, an address of a client or a text from
outside: `account` is the address of a mailbox, `listener` its name in the configuration.

The rules in `etc/prometheus/alerts.yml` and the dashboard in
`etc/grafana/dashboards` use them.

| Metric | Kind | Labels | Meaning |
|---|---|---|---|
"""

PROCESS = """
Beside them stand those that every program with Prometheus' Python library has:
`process_virtual_memory_bytes`, `process_resident_memory_bytes`, `process_start_time_seconds`,
`process_cpu_seconds_total`, `process_open_fds` and `process_max_fds`.
"""

COMING = """
## Coming from postfix_exporter

| There | Here |
|---|---|
"""

# A metric of postfix_exporter (without its prefix), and what tells the same here.
FROM_POSTFIX = {
    "showq_message_age_seconds": "`m365gw_queue_oldest_message_age_seconds`"
    " and, by mailbox, `m365gw_account_messages`",
    "showq_message_size_bytes": "`m365gw_spool_free_bytes` for the room,"
    " `m365gw queue shape` for the sizes",
    "qmgr_messages_inserted_size_bytes": "`m365gw_messages_received_bytes_total`",
    "qmgr_messages_inserted_receipients": "`m365gw_deliveries_total`",
    "qmgr_messages_removed_total": '`m365gw_deliveries_total{result=~"delivered|bounced"}`',
    "cleanup_messages_processed_total": "`m365gw_messages_received_total`",
    "cleanup_messages_rejected_total": '`m365gw_smtpd_rejects_total{reason="message"}`',
    "smtpd_connects_total": "`m365gw_smtpd_connections_total`"
    ", and `m365gw_smtpd_connections` for those of now",
    "smtpd_disconnects_total": "`m365gw_smtpd_connections_total`",
    "smtpd_messages_processed_total": "`m365gw_messages_received_total`",
    "smtpd_messages_rejected_total": "`m365gw_smtpd_rejects_total`",
    "smtpd_sasl_authentication_failures_total": '`m365gw_smtpd_auth_total{result="failed"}`',
    "smtpd_tls_connections_total": '`m365gw_smtpd_connections_total{tls!="none"}`',
    "smtp_delivery_delay_seconds": "`m365gw_message_latency_seconds`"
    ", and `m365gw_delivery_duration_seconds` for the attempt alone",
    "smtp_deferred_messages_total": '`m365gw_deliveries_total{result="deferred"}`',
    "up": "`up` of the scrape, and `m365gw_ready`",
}


def page() -> str:
    """The page as it should stand there."""
    return (
        HEAD
        + "".join(map(_row, METRICS.values()))
        + PROCESS
        + COMING
        + "".join(map(_moved, FROM_POSTFIX.items()))
    )


def _moved(names: tuple[str, str]) -> str:
    there, here = (each.replace("|", "\\|") for each in names)
    return f"| `postfix_{there}` | {here} |\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.sort.value} | {labels} | {_meaning(metric)} |\n"


def _meaning(metric: Metric) -> str:
    return " ".join(_parts(metric)).replace("|", "\\|")


def _parts(metric: Metric) -> Iterator[str]:
    yield metric.meaning
    if metric.bounds:
        yield f"Buckets: {', '.join(f'{bound:g}' for bound in metric.bounds)}."


if __name__ == "__main__":
    place = Path(__file__).with_name("metrics.md")
    place.write_text(page(), encoding="utf-8")
