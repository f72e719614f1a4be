"""Durations and sizes as people write them: "5d", "300s", "1h30m", "25M", "35 MiB"."""

from __future__ import annotations

import re
from math import inf

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_OCTETS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


def seconds(value: object) -> float:
    """Seconds from a number or a text like "5d" or "1h30m". Raises `ValueError` with the remedy."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf:
        return float(value)
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        if text and "".join(match.group(0) for match in _PART.finditer(text)) == text:
            return sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))
    raise ValueError(f'{value!r} is not a duration; write seconds, or "300s", "15m", "4h", "5d"')


def octets(value: object) -> int:
    """Octets from a number or a text like "25M". Raises `ValueError` with the remedy."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            return int(float(match.group(1)) * _OCTETS[match.group(2).lower()])
    raise ValueError(f'{value!r} is not a size; write octets, or "512K", "25M", "1G"')


def duration_text(number: float) -> str:
    """As `seconds` reads it, in the largest unit that fits: "5d", "90s", "0"."""
    if number and float(number).is_integer():
        for unit in ("d", "h", "m", "s"):
            count, rest = divmod(int(number), int(_SECONDS[unit]))
            if not rest:
                return f"{count}{unit}"
    return f"{number:g}"


def size_text(number: int) -> str:
    """As `octets` reads it, in the largest unit that fits: "35M", "1000", "0"."""
    for unit in ("t", "g", "m", "k"):
        count, rest = divmod(number, _OCTETS[unit])
        if count and not rest:
            return f"{count}{unit.upper()}"
    return str(number)
