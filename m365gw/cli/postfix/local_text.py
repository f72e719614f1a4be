"""Text as local programs write it, made a message as SMTP has it.

As Postfix's sendmail: a line ends with LF, carriage returns before it are dropped, a "From " line
of a mailbox file at the beginning is none of the message, and a line with only a dot ends it unless
that is switched off. A carriage return within a line, which no message may hold, becomes a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from m365gw.cli.postfix.address_lists import addresses

_FROM = re.compile(rb">*From ")
_HEADER = re.compile(rb"(?:[!-9;-~]++[ \t]*+:[^\n]*+\n(?:[ \t][^\n]*+\n)*+)*+")
_RECIPIENTS = re.compile(rb"(?im)^(resent-)?(?:to|cc|bcc)[ \t]*+:([^\n]*+\n(?:[ \t][^\n]*+\n)*+)")


def content_of(lines: Iterable[bytes], *, dot_ends: bool) -> Iterator[bytes]:
    """The lines of the message, each with CR LF, from the lines of a file or pipe."""
    at_start = True
    for line in lines:
        if at_start and line.endswith(b"\n") and _FROM.match(line):
            continue
        at_start = False
        text = line[:-1].rstrip(b"\r") if line.endswith(b"\n") else line
        if dot_ends and text == b".":
            return
        yield text.replace(b"\r", b" ") + b"\r\n"


def header_recipients(content: bytes) -> list[str]:
    """The addresses in To, Cc and Bcc; of the Resent- fields, when one of those is there.

    Raises BadAddresses.
    """
    header = _HEADER.match(content)
    found = _RECIPIENTS.findall(header[0]) if header else []
    is_resent = any(resent for resent, _ in found)
    return [
        address
        for resent, value in found
        if bool(resent) is is_resent
        for address in addresses(value.decode("utf-8", "replace"))
    ]
