"""The Received field we put before each message (RFC 5321 4.4, RFC 3848).

What a client says of itself gets in only as far as it is harmless: a name with anything else in
it than the letters of a name is shown with question marks, a recipient that would not fit is left
out. The login is not told: it is nobody's business behind us.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from m365gw.smtp.envelope import Origin

_NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_NOT_OF_A_PHRASE: Final = re.compile(r"[^A-Za-z0-9. :_/-]")
_PATH: Final = re.compile(r"[!-;=?-~]{1,320}")  # no controls, spaces or angle brackets

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def received(origin: Origin, hostname: str, queue_id: str, recipient: str, at: float) -> bytes:
    """One folded Received field with its last CRLF.

    `recipient` is named only when it is the only one: give "" for several, who must not learn of
    each other. `at` is in seconds since 1970.
    """
    to = f"\r\n\tfor <{recipient}>" if _PATH.fullmatch(recipient) else ""
    text = f"{_came(origin, hostname)} id {queue_id}{to};\r\n\t{_date_of(int(at))}\r\n"
    return text.encode("ascii", "replace")


@lru_cache(maxsize=1024)
def _came(origin: Origin, hostname: str) -> str:
    """The part that all messages of a session share."""
    came = f"from {_name(origin.helo)} ({_literal(origin.client)})\r\n\t" if origin.client else ""
    tls = f"(using {_phrase(origin.tls)})\r\n\t" if origin.tls else ""
    protocol = f" with {origin.protocol}" if origin.protocol else ""
    return f"Received: {came}{tls}{by(hostname)}{protocol}"


def by(hostname: str) -> str:
    """What all fields of one host have in common."""
    return f"by {hostname}"


@lru_cache(maxsize=4)
def _date_of(second: int) -> str:
    return date(datetime.fromtimestamp(second, UTC))


def date(at: datetime) -> str:
    """A moment as mail writes it (RFC 5322 3.3), whatever the locale."""
    at = at.astimezone(UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    clock = f"{at.hour:02}:{at.minute:02}:{at.second:02}"
    return f"{day}, {at.day} {month} {at.year:04} {clock} +0000"


def _name(text: str) -> str:
    return _NOT_OF_A_NAME.sub("?", text[:255]) or "unknown"


def _phrase(text: str) -> str:
    return _NOT_OF_A_PHRASE.sub("?", text[:100])


def _literal(address: str) -> str:
    """An address as RFC 5321 4.1.3 writes it."""
    address = _NOT_OF_A_NAME.sub("?", address[:64])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
