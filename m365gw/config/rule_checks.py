"""What must hold of a rule ([[client]], [[network]], [[local]]): senders, recipients, mailbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from m365gw.config.permissions import Permissions
from m365gw.config.sources import Fault, KeyPath
from m365gw.smtp.addresses import parse_mailbox, parse_pattern
from m365gw.smtp.replies import Refused


def rule_faults(here: KeyPath, rule: Permissions, mailboxes: Sequence[str]) -> Iterator[Fault]:
    """Every fault of what a rule permits; `mailboxes` are those there are."""
    yield from mailbox_fault((*here, "mailbox"), rule.mailbox, mailboxes)
    if not rule.senders:
        remedy = f'For example ["{rule.mailbox}"].'
        yield (*here, "senders"), "is empty, so nothing may be sent", remedy
    for name in ("senders", "recipients", "deny_recipients"):
        for pattern in getattr(rule, name):
            yield from pattern_fault((*here, name), pattern, is_sender=name == "senders")
    if rule.default_from:
        path = (*here, "default_from")
        yield from address_fault(path, rule.default_from)
        if not rule.default_from.isascii():
            yield path, "must be ASCII", "Exchange Online sends as no other address."
    for name in ("messages_per_hour", "recipients_per_day"):
        if getattr(rule, name) < 0:
            yield (*here, name), "must not be less than 0", "0 means any number."


def mailbox_fault(path: KeyPath, mailbox: str, mailboxes: Sequence[str]) -> Iterator[Fault]:
    """The fault of what should be a mailbox of the configuration."""
    known = [address.lower() for address in mailboxes]
    if mailbox.lower() not in known:
        yield (
            path,
            f'there is no mailbox "{mailbox}"',
            f"Known: {', '.join(known) or 'none'}. Add a [[mailbox]].",
        )


def address_fault(path: KeyPath, address: str) -> Iterator[Fault]:
    """The fault of what should be a mail address."""
    try:
        parse_mailbox(address)
    except Refused:
        yield path, f'"{address}" is not a mail address', "Write user@example.com."


def pattern_fault(path: KeyPath, pattern: str, *, is_sender: bool) -> Iterator[Fault]:
    """The fault of what should be an address or a pattern of addresses."""
    remedy = 'Write user@example.com, "*@example.com", "*@*.example.com" or "*".'
    try:
        parse_pattern(pattern)
    except Refused as refused:
        yield path, f'"{pattern}": {refused.reply.text}', remedy
    else:
        if pattern == "<>" and not is_sender:
            yield path, '"<>" is the null sender, and no recipient', remedy
