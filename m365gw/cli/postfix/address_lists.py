"""Lists of addresses as people write them in headers and on command lines (RFC 5322 3.4).

Names, comments and groups are read and dropped: `Joe <joe@example.com>, Ops: root, a@b.example;`
gives three addresses. An address may lack its domain. What is not clearly a list of addresses is
refused whole, because half of it would be mail that somebody misses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from m365gw.smtp.addresses import UNPRINTABLE, parse_mailbox
from m365gw.smtp.replies import Refused

_TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*+")|(?P<angle><[^<>]*+>)|(?P<literal>\[[^\[\]]*+\])'
    r"|(?P<mark>[,;:()])|(?P<space>\s++)|(?P<text>[^\"<>\[\],;:()\s]++)",
    re.DOTALL,
)
_LINE_END = re.compile(r"\r(?!\n)|\n(?![ \t]|\Z)")  # but for that of a folded field
_LOCAL = re.compile(rf'[^{UNPRINTABLE} "(),:;<>@\[\\\]]++')


class BadAddresses(Exception):
    """This is no list of addresses; the text says where not."""


def addresses(text: str) -> list[str]:
    """The addresses of a list, in its order. Raises BadAddresses."""
    found: list[str] = []
    item: list[str] = []
    if _LINE_END.search(text):
        raise BadAddresses(f"{text!r} has a line end in it")
    for kind, token in _tokens(text):
        if kind == "mark" and token == ":":
            if "@" in "".join(item):
                raise BadAddresses(f"{text.strip()!r} has an address before a colon")
            item.clear()  # the name of a group
        elif kind == "mark":
            found += _address(item)
            item.clear()
        else:
            item.append(token)
    return found + _address(item)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each token outside of comments, which may hold comments."""
    place = depth = 0
    while place < len(text):
        if depth and text[place] == "\\":
            place += 2
            continue
        if text[place] in "()":
            depth += 1 if text[place] == "(" else -1
            if depth < 0:
                raise BadAddresses(f"{text.strip()!r} has a bracket too many")
            place += 1
        elif depth:
            place += 1
        else:
            match = _TOKEN.match(text, place)
            if match is None:
                raise BadAddresses(f"{text.strip()!r} is no list of addresses")
            yield match.lastgroup or "", match[0]
            place = match.end()
    if depth:
        raise BadAddresses(f"{text.strip()!r} has a bracket too few")


def _address(item: list[str]) -> list[str]:
    """The address of one item of a list, none for an empty item. Raises BadAddresses."""
    words = [token for token in item if not token.isspace()]
    if not words:
        return []
    has_brackets = [word.startswith("<") for word in words]
    if has_brackets[-1] and sum(has_brackets) == 1:
        address = words[-1][1:-1].strip()
    else:
        address = "".join(item).strip()
    try:
        if _LOCAL.fullmatch(address) is None:
            parse_mailbox(address)
    except Refused as error:
        raise BadAddresses(f"{address!r}: {error.reply.text}") from None
    return [address]
