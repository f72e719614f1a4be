"""Delivery reports (RFC 3464, RFC 6522): mail that tells a sender what was not delivered.

Three parts: words for a person, fields for programs, and the header of the message it is about (or
all of it, when RET=FULL asked for it). A report is built from plain values; it has no clock and no
randomness of its own.

It is put together by hand: the email package decodes and folds what it is given, and a report
quotes strangers. Everything from outside passes `_plain` or an encoding first, so it can neither
begin a header field nor end a part. The result is 7-bit with lines of at most 998 octets; only a
sender or addressee outside ASCII puts UTF-8 into the header, and then needs SMTPUTF8 anyway.
"""

from __future__ import annotations

import base64
import binascii
import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final, Protocol

from attrs import frozen

from m365gw.smtp.envelope import Recipient
from m365gw.smtp.headers import header_of
from m365gw.smtp.replies import Reply
from m365gw.smtp.trace import date
from m365gw.smtp.xtext import encode_recipient

LONGEST_LINE: Final = 998  # octets without CRLF (RFC 5322 2.1.1)
LONGEST_QUOTE: Final = 900  # characters of somebody else's text in one place

_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,250}>")
_UNCLEAN: Final = re.compile(rb"[\x00\x80-\xff]|\r(?!\n)|(?<!\r)\n")
_LONG_LINE: Final = re.compile(rb"[^\n]{999,}")


class Explanation(Protocol):
    """A failure in words: what happened, why, what to do, and who must do it."""

    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def fix(self) -> str: ...
    @property
    def actor(self) -> str: ...


@frozen
class FailedRecipient:
    """A recipient who did not get the message.

    `relay` is the server that answered, "smtp.office365.com[192.0.2.1]:587", or "none". `reply` of
    code 0 means that there was no answer. `gave_up`: its trouble was temporary, until it had
    lasted too long.
    """

    recipient: Recipient
    reply: Reply
    diagnosis: Explanation
    relay: str = "none"
    gave_up: bool = False


def compose_report(
    *,
    hostname: str,
    sender: str,
    addressee: str,
    queue_id: str,
    about: str,
    envid: str,
    arrived_at: datetime,
    at: datetime,
    failed: Sequence[FailedRecipient],
    header: bytes,
    message: bytes | None = None,
) -> bytes:
    """The report as a whole message with CRLF lines.

    `sender` is a real mailbox (Microsoft takes no null sender), `queue_id` is the report's own,
    `about` and `header` are those of the message that failed. `message` is all of that message,
    for RET=FULL; it is only returned whole if it is 7-bit with lines of a legal length, because
    RFC 2046 5.2.1 allows no encoding of it.
    """
    scan = header_of(header)
    words = "\r\n".join(_words(hostname, about, arrived_at, scan.first("subject"), failed))
    fields = _fields(hostname, about, envid, arrived_at, at, failed)
    parts = [
        _text_part(words),
        _part("message/delivery-status", fields.encode("ascii", "replace")),
        _returned(header[: scan.size], message),
    ]
    boundary = f"=_{queue_id}.report"
    while any(boundary.encode() in part for part in parts):
        boundary += "_"
    original = _MESSAGE_ID.fullmatch(scan.first("message-id"))
    lines = [
        f"From: Mail Delivery System <{_plain(sender)}>",
        f"To: <{_plain(addressee)}>",
        "Subject: Undelivered mail returned to sender",
        f"Date: {date(at)}",
        f"Message-ID: <{queue_id}.report@{hostname}>",
        *([f"In-Reply-To: {original[0]}", f"References: {original[0]}"] if original else []),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
        "\r\nThis is a delivery report in MIME format.\r\n",
    ]
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(opening + part + b"\r\n" for part in parts)
    return "\r\n".join(lines).encode() + body + f"--{boundary}--\r\n".encode()


def _words(
    hostname: str,
    about: str,
    arrived_at: datetime,
    subject: str,
    failed: Sequence[FailedRecipient],
) -> Iterator[str]:
    """The first part, for a person, line by line."""
    yield f"This is the mail gateway {hostname}."
    yield ""
    yield "Your message could not be delivered to everybody it was meant for."
    title = _plain(_decoded(subject))[:200]
    if title:
        yield from _wrapped("Subject: ", title)
    yield f"Arrived: {date(arrived_at)}"
    yield f"Queue id: {about}"
    for one in failed:
        yield ""
        yield f"To: <{_plain(one.recipient.address)}>"
        yield from _wrapped("  What happened: ", one.diagnosis.what)
        yield from _wrapped("  What it means: ", one.diagnosis.why)
        yield from _wrapped("  What to do:    ", one.diagnosis.fix)
        yield from _wrapped("  Who must act:  ", one.diagnosis.actor)
        if one.gave_up:
            yield from _wrapped("  ", "It was tried until its time was over; it will not be again.")
        yield from _wrapped(
            "  The answer:    ", _plain(str(one.reply)) if one.reply.code else "none"
        )
    yield ""
    yield "If you cannot mend it yourself, give this whole message to your administrator."


def _fields(
    hostname: str,
    about: str,
    envid: str,
    arrived_at: datetime,
    at: datetime,
    failed: Sequence[FailedRecipient],
) -> str:
    """The second part, for programs (RFC 3464 2)."""
    lines = [f"Reporting-MTA: dns; {hostname}"]
    if envid:
        lines.append(f"Original-Envelope-Id: {_plain(envid)}")
    lines += [f"Arrival-Date: {date(arrived_at)}", f"X-M365GW-Queue-ID: {about}"]
    for one in failed:
        host = _plain(one.relay.partition("[")[0])
        lines.append("")
        if one.recipient.orcpt:
            lines.append(f"Original-Recipient: {_typed(one.recipient.orcpt)}")
        lines.append(f"Final-Recipient: {_typed(_with_type(one.recipient.address))}")
        lines += ["Action: failed", f"Status: {_status(one)}"]
        if host and host != "none":
            lines.append(f"Remote-MTA: dns; {host}")
        lines.append(f"Diagnostic-Code: {_diagnostic(one.reply)}")
        lines.append(f"Last-Attempt-Date: {date(at)}")
    return "\r\n".join(lines) + "\r\n"


def _status(one: FailedRecipient) -> str:
    """An enhanced status of the class that ended it (RFC 3463)."""
    if one.gave_up:
        return "4.4.7"  # delivery time expired
    return one.reply.status if re.fullmatch(r"5\.\d{1,3}\.\d{1,3}", one.reply.status) else "5.0.0"


def _diagnostic(reply: Reply) -> str:
    kind = "smtp" if reply.code else "x-m365gw"
    return f"{kind}; {_plain(str(reply) if reply.code else reply.text)}".rstrip()


def _with_type(address: str) -> str:
    return f"rfc822;{address}" if address.isascii() else f"utf-8;{address}"


def _typed(address: str) -> str:
    """An address with its type, in ASCII (RFC 3464 2.3, RFC 6533 3)."""
    kind, _, rest = address.partition(";")
    if kind.lower() == "utf-8":
        try:
            rest = encode_recipient(address).partition(";")[2]
        except ValueError:
            rest = _plain(rest)
    return f"{_plain(kind)}; {_plain(rest)}"


def _returned(header: bytes, message: bytes | None) -> bytes:
    """The third part: the whole message if it may be returned so, else its header."""
    if message is not None and _is_plain(message):
        return _part("message/rfc822", message)
    if _is_plain(header):
        return _part("text/rfc822-headers", header)
    return _part("text/rfc822-headers; charset=utf-8", _base64(header), "base64")


def _text_part(words: str) -> bytes:
    words += "\r\n"
    if words.isascii():
        return _part("text/plain; charset=us-ascii", words.encode("ascii"))
    encoded = binascii.b2a_qp(words.encode("utf-8", "replace"), istext=True)
    return _part("text/plain; charset=utf-8", encoded, "quoted-printable")


def _part(kind: str, body: bytes, encoding: str = "7bit") -> bytes:
    header = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return header.encode("ascii") + body


def _base64(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def _is_plain(octets: bytes) -> bool:
    """Whether octets may stand in a 7-bit message as they are."""
    return not _UNCLEAN.search(octets) and not _LONG_LINE.search(octets)


def _plain(text: str) -> str:
    """Text of a stranger on one line of bounded length: no controls, no line ends of any kind."""
    clean = "".join(c if c.isprintable() else " " for c in text[:LONGEST_QUOTE])
    return " ".join(clean.split())


def _decoded(subject: str) -> str:
    """A subject as people read it, or as it was sent when it cannot be decoded."""
    try:
        return str(make_header(decode_header(subject)))
    except (HeaderParseError, LookupError, ValueError):
        return subject


def _wrapped(label: str, text: str) -> list[str]:
    """A labelled paragraph. Addresses and commands stay in one piece, up to a legal line."""
    return textwrap.wrap(
        text,
        width=76,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [label.rstrip()]
