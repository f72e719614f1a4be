"""The second part of a delivery report: fields for programs (RFC 3464 2, RFC 6533 3).

Each field holds one line, whatever strangers wrote. An address outside ASCII is written as it is
in an international report (`message/global-delivery-status`) and in ASCII, with escapes, in an
ordinary one. Nothing fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from m365gw.smtp.replies import Reply
from m365gw.smtp.reports.facts import Facts, Kind, Told
from m365gw.smtp.reports.parts import plain
from m365gw.smtp.trace import date
from m365gw.smtp.xtext import encode_recipient

_CLASS: Final = {Kind.FAILED: "5", Kind.DELAYED: "4", Kind.RELAYED: "2"}
_UNNAMED: Final = {Kind.FAILED: "5.0.0", Kind.DELAYED: "4.0.0", Kind.RELAYED: "2.0.0"}
_STATUS: Final = re.compile(r"([245])(\.[0-9]{1,3}\.[0-9]{1,3})")
_NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")


def fields(facts: Facts) -> Iterator[str]:
    """The part line by line: the block of the message, then one of each recipient."""
    if facts.envid:
        yield f"Original-Envelope-Id: {_ascii(facts.envid)}"
    yield f"Reporting-MTA: dns; {facts.hostname}"
    name, address = (_NOT_OF_A_NAME.sub("?", text[:255]) for text in facts.came_from)
    if name or address:
        yield f"Received-From-MTA: dns; {name or f'[{address}]'}" + (
            f" ({address})" if name and address else ""
        )
    yield f"Arrival-Date: {date(facts.arrived_at)}"
    yield f"X-M365GW-Queue-ID: {facts.about}"
    for one in facts.told:
        yield ""
        yield from _of_recipient(facts, one)


def _of_recipient(facts: Facts, one: Told) -> Iterator[str]:
    host = _ascii(one.relay.partition("[")[0])
    if one.recipient.orcpt:
        yield f"Original-Recipient: {_typed(one.recipient.orcpt, facts.is_international)}"
    address = one.recipient.address
    kind = "rfc822" if address.isascii() else "utf-8"
    yield f"Final-Recipient: {_typed(f'{kind};{address}', facts.is_international)}"
    yield f"Action: {facts.kind.value}"
    yield f"Status: {status(facts.kind, one)}"
    if host and host != "none":
        yield f"Remote-MTA: dns; {host}"
    if one.reply.code or one.reply.text:
        yield f"Diagnostic-Code: {_diagnostic(one.reply)}"
    if one.tried_at is not None:
        yield f"Last-Attempt-Date: {date(one.tried_at)}"
    if facts.kind is Kind.DELAYED and facts.retry_until is not None:
        yield f"Will-Retry-Until: {date(facts.retry_until)}"


def status(kind: Kind, one: Told) -> str:
    """An enhanced status of the class that fits the action (RFC 3463)."""
    if one.gave_up:
        return "4.4.7"  # delivery time expired
    found = _STATUS.fullmatch(one.reply.status)
    if found is None or (found[1] != _CLASS[kind] and kind is not Kind.DELAYED):
        return _UNNAMED[kind]
    return _CLASS[kind] + found[2]


def _diagnostic(reply: Reply) -> str:
    kind = "smtp" if reply.code else "x-m365gw"
    return f"{kind}; {_ascii(str(reply) if reply.code else reply.text)}".rstrip()


def _ascii(text: str) -> str:
    return plain(text).encode("ascii", "replace").decode("ascii")


def _typed(address: str, is_international: bool) -> str:
    """An address with its type (RFC 3464 2.3, RFC 6533 3)."""
    kind, _, rest = address.partition(";")
    if kind.lower() == "utf-8" and not is_international:
        try:
            rest = encode_recipient(address).partition(";")[2]
        except ValueError:
            rest = _ascii(rest)
    elif kind.lower() != "utf-8":
        rest = _ascii(rest)
    return f"{_ascii(kind)}; {plain(rest)}"
