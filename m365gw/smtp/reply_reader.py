"""Replies of a server, read from octets: the client's half of RFC 5321 4.2.

Tolerant in what hurts nobody (bare LF, a code without text, very long lines, 8-bit text) and
strict in what could make two sides disagree: lines of one reply carry one code, a reply has a
bounded size, and what is no reply ends the reading with `ReplyError`. The caller then closes the
connection; nothing that follows can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from m365gw.smtp.replies import Reply

REPLY_LIMIT: Final = 65536  # octets of one reply, all its lines together

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ \t]+|$)")
_CLEAN = dict.fromkeys((*range(32), 127), " ")


class ReplyError(Exception):
    """What came is not a reply. `replies` are the ones that were complete before it."""

    def __init__(self, words: str, replies: Sequence[Reply]) -> None:
        super().__init__(words)
        self.replies = tuple(replies)


class ReplyReader:
    """Octets in, replies out, whatever the pieces are."""

    def __init__(self) -> None:
        self._buffer = b""
        self._code = 0  # of the reply that is being read; 0: none
        self._lines: list[str] = []
        self._size = 0  # octets of its lines so far

    @property
    def pending(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes. Raises `ReplyError`; the reader is then of no use."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        replies: list[Reply] = []
        for line in lines:
            self._bound(len(line) + 1, replies)
            reply = self._take(line.removesuffix(b"\r"), replies)
            if reply is not None:
                replies.append(reply)
        self._bound(0, replies, pending=len(self._buffer))
        return replies

    def _bound(self, octets: int, replies: list[Reply], *, pending: int = 0) -> None:
        self._size += octets
        if self._size + pending > REPLY_LIMIT:
            raise ReplyError(f"a reply of more than {REPLY_LIMIT} octets", replies)

    def _take(self, line: bytes, replies: list[Reply]) -> Reply | None:
        """One line: None while the reply goes on, else the whole reply."""
        match = _LINE.fullmatch(line)
        if match is None:
            raise ReplyError(f"not an SMTP reply: {line[:80]!r}", replies)
        code, mark, text = int(match[1]), match[2], match[3] or b""
        if self._code not in (0, code):
            raise ReplyError(f"a reply with two codes, {self._code} and {code}", replies)
        self._code = code
        self._lines.append(text.decode("utf-8", "replace").translate(_CLEAN).rstrip())
        if mark == b"-":
            return None
        reply = _reply(code, self._lines)
        self._code, self._lines, self._size = 0, [], 0
        return reply


def _reply(code: int, lines: list[str]) -> Reply:
    """A reply of these lines, with the enhanced status taken out of the text."""
    matches = [_STATUS.match(line) for line in lines]
    status = next((match[1] for match in matches if match), "")
    kept = [
        line[match.end() :] if match and match[1] == status else line
        for line, match in zip(lines, matches, strict=True)
    ]
    return Reply(code, status, "\n".join(kept))
