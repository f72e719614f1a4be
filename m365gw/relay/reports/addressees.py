"""Who may be told what became of a message: by its envelope, its header, and what was asked for.

Nothing is ever told to a null sender, nor about a report, nor about an automatic answer (RFC 3834
2: auto-replied, auto-notified). Mail that a list or a program made is another matter: its return
path was made to be told of failures (RFC 5321 6.1, and list software lives on it), so it is. It is
not told of delays, which nobody there waits for.

The envelope sender is an address the client was allowed to use when the message was accepted, so
what goes back to it goes to nobody a stranger chose.
"""

from __future__ import annotations

import re

from m365gw.relay.delivery.recovery import is_report
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.headers import HeaderScan, header_of
from m365gw.smtp.reports.facts import Kind
from m365gw.spool.message import Message

HEADER_LIMIT = 65536  # octets of the original header that are looked at and returned

_WISHES = {Kind.FAILED: "FAILURE", Kind.DELAYED: "DELAY", Kind.RELAYED: "SUCCESS"}
_ROLE = re.compile(r"owner-.*|.*-(owner|request|bounces?(\+.*)?)|mailer-daemon|majordomo", re.I)


def wants(kind: Kind, recipient: Recipient) -> bool:
    """Whether this is to be reported of this recipient (RFC 3461 4.1).

    Who asked for nothing gets failures and delays, and no success.
    """
    if not recipient.notify:
        return kind is not Kind.RELAYED
    return _WISHES[kind] in recipient.notify


def unanswerable(message: Message) -> str:
    """Why nothing may be told about a message to its sender; "" if it may."""
    if is_report(message.origin):
        return "It is a report that the sender of a message could not be given."
    if not message.envelope.sender:
        return "Not delivered, and it has no sender it could be returned to."
    header = _header(message)
    if _submitted(header) in ("auto-replied", "auto-notified"):
        return "It is an automatic answer, not delivered, and those are not answered."
    if header.first("content-type").strip().lower().startswith("multipart/report"):
        return "Not delivered, and it is a report itself."
    return ""


def may_be_warned(message: Message) -> bool:
    """Whether the sender of a message may be told of a delay: no list, no program, no role."""
    if unanswerable(message):
        return False
    header = _header(message)
    return not (
        _submitted(header) not in ("", "no")
        or header.first("precedence").strip().lower() in ("bulk", "list", "junk")
        or any(name.startswith("list-") for name in header.counts)
        or _ROLE.fullmatch(message.envelope.sender.rpartition("@")[0])
    )


def _header(message: Message) -> HeaderScan:
    return header_of(message.header(HEADER_LIMIT))


def _submitted(header: HeaderScan) -> str:
    """What Auto-Submitted says, without its parameters (RFC 3834 5)."""
    return header.first("auto-submitted").partition(";")[0].partition("(")[0].strip().lower()
