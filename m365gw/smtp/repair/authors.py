"""Whom a message says it is from: the addresses in its From and Sender fields (RFC 5322 3.6.2).

Read for deciding who may send as whom, so it errs on one side only. Where readers of mail differ,
each address one of them could take for the author counts: an unquoted display name that looks like
an address is one, too. What cannot be understood for sure is said to be unreadable, never passed
over. Known here: display names, quoted and encoded, comments, groups (RFC 6854), source routes,
commas in unquoted names, semicolons between addresses.

Nothing here fails.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from email.header import Header
from email.utils import quote
from quopri import decodestring

from attrs import define, field, frozen

from m365gw.smtp.addresses import forward_path, parse_mailbox
from m365gw.smtp.replies import Refused

LONGEST = 16384  # octets of a field that is read

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_WORD = r'(?:\[[^\]\s"<>()\\]*+\]|[^\s"<>(),;:\\\[\]])++'
_TOKEN = re.compile(
    rf"(?P<space>\s++)|(?P<stop>[,;:])|(?P<angle><(?:[^<>\"]|{_QUOTED})*+>)"
    rf"|(?P<quoted>{_QUOTED})(?P<at>@{_WORD})?|(?P<word>{_WORD})",
    re.DOTALL,
)
# What matters inside and outside of comments: in them quotes are letters like others.
_INSIDE = re.compile(r"\\.|[()]", re.DOTALL)
_OUTSIDE = re.compile(rf"{_QUOTED}|[()]", re.DOTALL)
_SPECIAL = re.compile(r'[()<>@,;:\\"\[\]]')
# An encoded word (RFC 2047) of a charset in which "@" is that octet, and nothing else is.
_ENCODED = re.compile(
    r"=\?(?P<charset>us-ascii|utf-8|iso-8859-1?[0-9]|windows-125[0-8])\?"
    r"(?:q\?(?P<q>(?:[!-<>@-~]|=[0-9a-f]{2})*+)|b\?(?P<b>[a-z0-9+/]*+={0,2}))\?=",
    re.IGNORECASE | re.ASCII,
)


@frozen
class Authors:
    """What a field says: its addresses, and the display name of the first, as it is written.

    A field without any address may still have a name.
    """

    addresses: tuple[str, ...]
    is_readable: bool
    name: str = ""

    @property
    def is_nobody(self) -> bool:
        """Whether there is certainly no address in it."""
        return self.is_readable and not self.addresses


NOBODY = Authors((), is_readable=True)
_UNREADABLE = Authors((), is_readable=False)


def authors(value: str) -> Authors:
    """The authors that the unfolded value of a From or Sender field names."""
    if len(value) > LONGEST:
        return _UNREADABLE
    text = _without_comments(value)
    reading = _Reading()
    is_readable = text is not None and all(map(reading.take, _tokens(text))) and reading.end()
    if not is_readable and "@" not in value and "=?" not in value:
        return NOBODY  # "Scanner <>": broken, and surely no address
    return Authors(tuple(reading.addresses), is_readable, reading.name if is_readable else "")


@define
class _Reading:
    """The members of a list of addresses, as far as they were read."""

    addresses: list[str] = field(factory=list)
    name: str = ""
    _phrase: str = ""  # words before an address, as they are written
    _words: int = 0  # of them
    _bare: int = 0  # addresses without angle brackets in this member
    _angles: int = 0
    _last: str = ""  # kind of the last token

    def take(self, token: re.Match[str] | None) -> bool:
        """One more token; False when it has no place there."""
        if token is None:
            return False
        kind = token.lastgroup or ""
        text, last, self._last = token[0], self._last, kind
        if kind == "space":
            self._phrase += text
            return True
        if kind == "stop":
            return self._stop(text)
        if self._angles:
            return False  # something behind the closing bracket
        if kind == "angle":
            self._angles += 1
            self._named()
            return self._add(text)
        # Quoted and unquoted text without a space between them is one local part to some readers.
        if last in ("word", "quoted", "at"):
            return False
        self._phrase += text
        if kind == "at" or (kind == "word" and "@" in text):
            self._bare += 1
            return self._add(f"<{text}>")
        self._words += 1
        return True

    def end(self) -> bool:
        """The value is over; False when something is left."""
        if not self.addresses:
            self._named()  # "Printer 3", and nothing else
        return self._member() and (not self._words or not self.addresses)

    def _stop(self, text: str) -> bool:
        if text == ":":
            fits = not self._angles and not self._misleads
            self._begin()
            return fits
        if not (self._angles or self._bare):
            fits = not self._misleads
            self._phrase += text  # "Smith, Jane <jane@example.com>"
            return fits
        return self._member()

    @property
    def _misleads(self) -> bool:
        """Whether words that end here could be an address to those who decode or unquote first."""
        return "=?" in self._phrase if self._bare else may_be_address(self._phrase)

    def _member(self) -> bool:
        """A member is over: an address alone, or one in angle brackets."""
        fits = bool(self._angles) or not self._bare or self._bare + self._words == 1
        if self._angles or self._bare:
            self._begin()
        return fits

    def _begin(self) -> None:
        self._phrase, self._words, self._bare, self._angles = "", 0, 0, 0

    def _named(self) -> None:
        if not self.addresses or len(self.addresses) == self._bare:
            self.name = " ".join(self._phrase.split())

    def _add(self, path: str) -> bool:
        path = f"<{path[1:-1].strip()}>"
        try:
            address, rest = forward_path(path)
            parse_mailbox(str(address))
        except Refused:
            return False
        # Some readers decode encoded words wherever they stand (RFC 2047 5 forbids it).
        self.addresses.append(str(address))
        return not rest and "=?" not in path


def may_be_address(words: str) -> bool:
    """Whether words could be an address to readers who decode or unquote them first."""
    left = _ENCODED.sub(_unless_plain, words)
    return any(mark in left for mark in ("@", "=?", "?="))


def _unless_plain(word: re.Match[str]) -> str:
    """Nothing for an encoded word that is certainly no part of an address; else the word."""
    try:
        if word["q"] is None:
            octets = b64decode(word["b"], validate=True)
        else:
            octets = decodestring(word["q"], header=True)
        decoded = octets.decode(word["charset"])
    except (LookupError, ValueError):
        return word[0]
    return word[0] if "@" in decoded or "=" in decoded else ""


def phrase(name: str) -> str:
    """A display name as `Authors` gives it, fit to stand before an address in angle brackets."""
    if "=?" in name and name.isascii() and not _SPECIAL.search(name):
        return name
    if re.fullmatch(_QUOTED, name, re.DOTALL):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if not name.isascii():
        return Header(name, "utf-8").encode(maxlinelen=0)
    return f'"{quote(name)}"' if _SPECIAL.search(name) or "=?" in name or "." in name else name


def _tokens(text: str) -> Iterator[re.Match[str] | None]:
    """The tokens of the text; None for what is none, and then no more."""
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        yield token
        if token is None:
            return
        place = token.end()


def _without_comments(text: str) -> str | None:
    """The text with a space for each comment; None when one does not end."""
    if "(" not in text and ")" not in text:
        return text
    kept: list[str] = []
    depth = start = place = 0
    while found := (_INSIDE if depth else _OUTSIDE).search(text, place):
        place = found.end()
        if found[0] == "(":
            if not depth:
                kept.append(text[start : found.start()])
            depth += 1
        elif found[0] == ")":
            depth -= 1
            start = place
            if depth < 0:
                return None
    return None if depth else " ".join([*kept, text[start:]])
