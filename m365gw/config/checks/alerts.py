"""What must hold for alerts: receivers that can be reached safely, a mailbox that is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from m365gw.config.alerts import Alerts, Webhook
from m365gw.config.checks.rules import address_fault, mailbox_fault
from m365gw.config.sources import UNREADABLE, Fault, KeyPath
from m365gw.microsoft.clouds import is_loopback


def alert_faults(alerts: Alerts, mailboxes: Collection[str]) -> Iterator[Fault]:
    """Every fault of `[alerts]`; `mailboxes` are `rule_checks.known_mailboxes`."""
    for number, address in enumerate(alerts.mail_to):
        yield from address_fault(("alerts", "mail_to", number), address)
    if alerts.mail_from:
        yield from mailbox_fault(("alerts", "mail_from"), alerts.mail_from, mailboxes)
    if 0 < alerts.remind_after < 3600:
        yield (
            ("alerts", "remind_after"),
            "is less than an hour",
            "What is told so often is read by nobody. 0: never.",
        )
    for number, webhook in enumerate(alerts.webhook):
        if webhook.url != UNREADABLE:  # that has been said
            yield from _webhook_faults(("alerts", "webhook", number), webhook)


def _webhook_faults(here: KeyPath, webhook: Webhook) -> Iterator[Fault]:
    """The address itself is never repeated: it may be all that keeps strangers from posting."""
    try:
        parts = urlsplit(webhook.url)
        host, is_whole = parts.hostname or "", parts.port != 0
    except ValueError:
        host, is_whole = "", False
    if not host or not is_whole or parts.scheme not in ("https", "http"):
        yield here, "url is no https address", "Give url, or url_file = the file that holds it."
        return
    if parts.username is not None or parts.fragment:
        yield here, "url holds a name, a password or a fragment", "Take that out."
    if is_loopback(host) and not webhook.loopback:
        yield (
            here,
            "points at this machine",
            "If the receiver is here, say loopback = true.",
        )
    if webhook.loopback and not is_loopback(host):
        yield (*here, "loopback"), "is true, but url points elsewhere", "Take loopback out."
    if parts.scheme == "http" and not is_loopback(host):
        yield (
            here,
            "would be sent without TLS",
            "Give an https address; http only goes to this machine.",
        )
