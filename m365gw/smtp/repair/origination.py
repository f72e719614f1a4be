"""The header of a message from a local program, completed as a submission agent must (RFC 6409 8).

Programs that hand mail to `sendmail` leave it to that to add Date, Message-ID and From, and to
take Bcc away. Everything else stays octet for octet. A message without any header gets one, and the
blank line behind it.
"""

from __future__ import annotations

import re
from datetime import datetime
from email.header import Header
from email.utils import quote

from m365gw.smtp.repair.header_fields import HeaderFields
from m365gw.smtp.trace import date

# Nobody else is to see these, or they are added where mail is delivered (RFC 5322 3.6.3, 3.6.7).
DROPPED = frozenset({"bcc", "resent-bcc", "return-path"})
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def complete(
    octets: bytes, *, sender: str, full_name: str, message_id: str, at: datetime
) -> tuple[bytes, int]:
    """The completed header, with its blank line, and how many of these octets it stands for.

    `octets` are the beginning of a message, with all of its header. `message_id` comes without
    brackets; `at` is aware; `sender` "" is the null sender.
    """
    header, length = HeaderFields.parse(octets)
    kept = b"".join(one.octets for one in header.fields if one.name not in DROPPED)
    if kept and not kept.endswith(b"\n"):
        kept += b"\r\n"
    needed = {
        "Date": date(at),
        "Message-ID": f"<{message_id}>",
        "From": mailbox(full_name, sender),
    }
    added = [f"{name}: {value}\r\n" for name, value in needed.items() if name.lower() not in header]
    return kept + "".join(added).encode() + b"\r\n", length


def mailbox(full_name: str, address: str) -> str:
    """A From field's value for this name and address."""
    address = address or "MAILER-DAEMON"
    if not full_name:
        return address if address == "MAILER-DAEMON" else f"<{address}>"
    if _PLAIN_NAME.fullmatch(full_name):
        phrase = full_name
    elif full_name.isascii():
        phrase = f'"{quote(full_name)}"'
    else:
        phrase = Header(full_name, "utf-8").encode(maxlinelen=0)
    return f"{phrase} <{address}>"
