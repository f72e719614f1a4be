"""Variables as `.env` files and `docker inspect` list them: NAME=VALUE, a line each.

A value may be quoted; after one that is not, a comment may follow a blank. Lines that are neither
are said. Source: the dotenv packages of Node.js and Compose.
"""

from __future__ import annotations

import json
import re

_LINE = re.compile(
    r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"
    r"(?:'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`|(?!['\"`])((?:(?!\s#).)*))\s*(?:\s#.*|\#.*)?"
)


def variables_in(text: str) -> tuple[dict[str, str], list[int]]:
    """The variables, and the numbers of lines that are none."""
    found, odd = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            odd.append(number)
            continue
        single, double, back, plain = match.groups()[1:]
        if double is not None:
            found[match[1]] = double.replace("\\n", "\n").replace('\\"', '"')
        else:
            found[match[1]] = single if single is not None else (back or plain or "").strip()
    return found, odd


_PAIR = re.compile(
    r'\s*(?:"((?:[^"\\]|\\.)*)"|([^:"\s][^:\n]*?))\s*:[ \t]*'  # the key, quoted or not
    r'(?:"((?:[^"\\]|\\.)*)"|([^,"\s][^,\r\n]*?))'  # the value
    r"\s*(?=[,\r\n]|$)[,\s]*"
)


def pairs_in(text: str) -> dict[str, str] | None:
    """Pairs as `one:value,two:value`, braces and quotes as one likes; None when it is no such."""
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].strip()
    found = {}
    while rest:
        match = _PAIR.match(rest)
        if match is None:
            return None
        try:
            key, value = _unquoted(match[1], match[2]), _unquoted(match[3], match[4])
        except ValueError:
            return None
        found[key] = value
        rest = rest[match.end() :]
    return found


def _unquoted(quoted: str | None, plain: str | None) -> str:
    return (plain or "").strip() if quoted is None else str(json.loads(f'"{quoted}"'))
