"""Delivery reports (RFC 3464, RFC 6522): mail that tells a sender what became of a message.

Three parts: words for a person, fields for programs, and the header of the message it is about (or
all of it, when RET=FULL asked for it). A report is built from plain values; it has no clock and no
randomness of its own.

Its lines have at most 998 octets. It is 7-bit, but for two cases: a message with 8-bit content
comes back whole as it was (RFC 2046 5.2.1 allows no encoding of it), and a sender who used SMTPUTF8
gets the international form, with addresses as they are (RFC 6533).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from m365gw.smtp.headers import header_of
from m365gw.smtp.reports.facts import Facts, Kind
from m365gw.smtp.reports.fields import fields
from m365gw.smtp.reports.parts import encoded_part, fits, multipart, part, plain, text_part
from m365gw.smtp.reports.words import SUBJECTS, words
from m365gw.smtp.trace import date

_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,250}>")


def compose_report(facts: Facts) -> bytes:
    """The report as a whole message with CRLF lines."""
    scan = header_of(facts.header)
    message = facts.message if facts.kind is Kind.FAILED else None
    header = facts.header[: scan.size]
    parts = [text_part(words(facts)), _status_part(facts), _returned(facts, header, message)]
    content = multipart(
        "multipart/report; report-type=delivery-status", f"=_{facts.queue_id}.report", parts
    )
    return (
        opening(
            hostname=facts.hostname,
            sender=facts.sender,
            addressees=[facts.addressee],
            subject=SUBJECTS[facts.kind],
            queue_id=facts.queue_id,
            at=date(facts.at),
            original=scan.first("message-id"),
        )
        + content
    )


def opening(
    *,
    hostname: str,
    sender: str,
    addressees: Sequence[str],
    subject: str,
    queue_id: str,
    at: str,
    original: str = "",
) -> bytes:
    """The header of mail of our own up to its MIME fields; nobody shall answer it by itself.

    Auto-Submitted (RFC 3834 5) says so to all, X-Auto-Response-Suppress to Exchange. `original` is
    the Message-ID it is about.
    """
    thread = _MESSAGE_ID.fullmatch(original)
    lines = [
        f"From: Mail Delivery System <{plain(sender)}>",
        "To: " + ", ".join(f"<{plain(each)}>" for each in addressees),
        f"Subject: {subject}",
        f"Date: {at}",
        f"Message-ID: <{queue_id}.report@{hostname}>",
        *([f"In-Reply-To: {thread[0]}", f"References: {thread[0]}"] if thread else []),
        "Auto-Submitted: auto-replied",
        "X-Auto-Response-Suppress: All",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8", "replace")


def _status_part(facts: Facts) -> bytes:
    body = ("\r\n".join(fields(facts)) + "\r\n").encode("utf-8", "replace")
    kind = "global-delivery-status" if facts.is_international else "delivery-status"
    return part(f"message/{kind}", body)


def _returned(facts: Facts, header: bytes, message: bytes | None) -> bytes:
    """The third part: the whole message if it may be returned so, else its header."""
    is_global = facts.is_international and not header.isascii() and _is_utf8(header)
    if message is not None and fits(message):
        return part("message/global" if is_global else "message/rfc822", message)
    if is_global and fits(header):
        return part("message/global-headers", header)
    if header.isascii() and fits(header):
        return part("text/rfc822-headers", header)
    return encoded_part("text/rfc822-headers; charset=utf-8", header)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
