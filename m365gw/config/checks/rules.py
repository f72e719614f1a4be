"""What must hold of a rule ([[client]], [[network]], [[local]]): senders, recipients, mailbox."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from m365gw.config.mailboxes import Mailbox
from m365gw.config.permissions import Permissions
from m365gw.config.sources import Fault, KeyPath
from m365gw.smtp.addresses import parse_mailbox, parse_pattern
from m365gw.smtp.replies import Refused

MOST_NAMED = 20  # mailboxes a remedy names


def rule_faults(here: KeyPath, rule: Permissions, mailboxes: Collection[str]) -> Iterator[Fault]:
    """Every fault of what a rule permits; `mailboxes` are `known_mailboxes`."""
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


def known_mailboxes(mailboxes: Iterable[Mailbox]) -> Collection[str]:
    """Their addresses in small letters, in their order; found at once, however many there are."""
    return dict.fromkeys(mailbox.address.lower() for mailbox in mailboxes).keys()


def mailbox_fault(path: KeyPath, mailbox: str, mailboxes: Collection[str]) -> Iterator[Fault]:
    """The fault of what should be one of `known_mailboxes`."""
    if mailbox.lower() not in mailboxes:
        named = ", ".join(islice(mailboxes, MOST_NAMED)) or "none"
        more = len(mailboxes) - MOST_NAMED
        known = f"{named} and {more} more" if more > 0 else named
        yield path, f'there is no mailbox "{mailbox}"', f"Known: {known}. Add a [[mailbox]]."


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
