"""Numbers, times and text from outside as people read them, on a terminal or on a page."""

from __future__ import annotations

import time

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def escaped(text: str) -> str:
    """Text from outside that cannot move the cursor, colour the screen or turn its direction.

    What is not printable is written as an escape: "\\x1b", "\\u202e".
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def short_span(seconds: float) -> str:
    """A length of time for a narrow column: "45s", "12m", "27h", "5d"."""
    left = max(0, int(seconds))
    if left < 60:
        return f"{left}s"
    if left < 3600:
        return f"{left // 60}m"
    return f"{left // 3600}h" if left < 2 * 86400 else f"{left // 86400}d"


def span(seconds: float) -> str:
    """A length of time in words, in its two largest units: "3 hours 5 minutes"."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for length, name in _UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(counted(count, name))
        elif parts:
            break
    return " ".join(parts[:2]) or "0 seconds"


def counted(count: int, name: str) -> str:
    """A number of things: "1 message", "1,200 messages"."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def size(octets: int) -> str:
    """A size for a narrow column: "312", "10.0K", "24.9M"."""
    if octets < 1024:
        return str(octets)
    amount, unit = octets / 1024, "K"
    for larger in "MG":
        if amount >= 999.95:
            amount, unit = amount / 1024, larger
    return f"{amount:.1f}{unit}"


def octets(count: int) -> str:
    """A size in a sentence: "312 octets", "10.0 KB", "24.9 MB"."""
    if count < 1024:
        return counted(count, "octet")
    short = size(count)
    return f"{short[:-1]} {short[-1]}B"


def moment(at: float) -> str:
    """A time in the local zone: "Sat 21 Nov 2026 04:59:25 +0000"."""
    return time.strftime("%a %d %b %Y %H:%M:%S %z", time.localtime(at))
