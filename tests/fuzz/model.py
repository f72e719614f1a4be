"""What a session may answer and store, read off the whole dialogue by a second, plain reader.

It shares nothing with the session: it has all octets of the client and all replies of the server in
hand, and pairs them. What it cannot pair, and what was stored without a reason, is a `Violation`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from attrs import define, field

from tests.fuzz.corpus import LOGIN, PASSWORD

AUTH_LIMIT: Final = 12288
_BDAT: Final = re.compile(rb"(?i)BDAT +([0-9]{1,20})(?: +(LAST))?[ \t]*\Z")
_FAULT: Final = b"\n"  # stands for a line that is none
# The codes that may answer a verb. A reply that has lost its place meets the wrong verb.
_REFUSALS: Final = {"421", "451", "452", "500", "501", "502", "503", "530", "550", "553", "555"}
_CODES: Final = {
    b"EHLO": {"250"} | _REFUSALS,
    b"HELO": {"250"} | _REFUSALS,
    b"MAIL": {"250", "552"} | _REFUSALS,
    b"RCPT": {"250"} | _REFUSALS,
    b"DATA": {"354"} | _REFUSALS,
    b"RSET": {"250", "501"},
    b"NOOP": {"250", "501"},
    b"VRFY": {"252", "501"},
    b"EXPN": {"502", "501"},
    b"HELP": {"214", "501"},
    b"QUIT": {"221", "501"},
    b"STAR": {"220", "421", "501", "502"},
    b"AUTH": {"235", "334", "454", "504", "535", "538"} | _REFUSALS,
}
_EXCHANGE: Final = {"235", "334", "421", "454", "501", "535"}


class Violation(Exception):
    """The session did what it must not do."""


class _Closed(Exception):
    """The session is over, and what follows was not read."""


@define
class Stored:
    """A message in the spool."""

    sender: str
    recipients: int
    content: bytes


@define
class Dialogue:
    """One dialogue, to be read from its beginning to its end."""

    octets: bytes  # of the client
    replies: list[str]  # of the server, multi-line ones as their last line
    is_closed: bool
    is_trusted: bool  # may send without a login
    limit: int  # octets of a line
    limit_in_tls: int
    messages: list[Stored] = field(factory=list)  # that it promised to store
    _place: int = 0
    _is_refused: bool = False  # the rest of a line is read over
    _sender: bytes = b""  # the line of MAIL
    _recipients: int = 0
    _chunks: list[bytes] = field(factory=list)
    _is_logged_in: bool = False

    def read(self) -> list[Stored]:
        """The messages that were promised. Raises Violation."""
        if self._next()[:3] != "220":
            raise Violation("no greeting")
        with suppress(_Closed):
            while (line := self._line()) is not None:
                self._command(line)
        is_farewell = [reply[:3] for reply in self.replies] in (["421"], ["552"])
        if self.replies and not (self.is_closed and is_farewell):
            raise Violation(f"replies to nothing: {self.replies}")
        return self.messages

    def _next(self, allowed: set[str] | None = None, to: bytes = b"") -> str:
        if not self.replies:
            if self.is_closed:
                raise _Closed
            raise Violation(f"no reply to {to[:60]!r}")
        reply = self.replies.pop(0)
        if reply.startswith("451 4.3.0 Something went wrong"):
            raise Violation(f"an exception, at {to[:60]!r}")
        if allowed is not None and reply[:3] not in allowed | {"421"}:
            raise Violation(f"{reply} to {to[:60]!r}")
        return reply

    def _line(self) -> bytes | None:
        """The next line that gets a reply; `_FAULT` for one that is none."""
        octets = self.octets
        while True:
            end = octets.find(b"\n", self._place)
            length = (len(octets) if end < 0 else end) - self._place
            if not self._is_refused and length >= self.limit:
                self._is_refused = True
                return _FAULT
            if end < 0:
                return None
            line = octets[self._place : end]
            self._place = end + 1
            if not line.endswith(b"\r"):
                self._is_refused = True
                return _FAULT
            if self._is_refused:
                self._is_refused = False
                continue
            return _FAULT if b"\r" in line[:-1] or b"\0" in line else line[:-1]

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"BDAT":
            self._chunk(line)
            return
        if line == _FAULT:
            self._next({"500"}, line)
            return
        reply = self._next(_CODES.get(verb, {"500", "501", "502"}) | {"500"}, line)
        code = reply[:3]
        if code == "250" and verb in (b"EHLO", b"HELO", b"RSET"):
            self._forget()
        elif code == "250" and verb == b"MAIL":
            self._forget()
            self._sender = line
        elif code == "250" and verb == b"RCPT":
            self._recipients += 1
        elif code == "354":
            self._content()
        elif code == "220":
            self._forget()
            self._is_logged_in, self.limit = False, self.limit_in_tls
        elif verb == b"AUTH":
            self._login(line, reply)

    def _content(self) -> None:
        rest = b"\r\n" + self.octets[self._place :]
        end = rest.find(b"\r\n.\r\n")
        if end < 0:
            self._place = len(self.octets)
            return
        self._place += end + 3
        lines = rest[2 : end + 2].split(b"\r\n") if end else [b""]
        content = b"\r\n".join(line[line[:1] == b"." :] for line in lines)
        reply = self._next({"250", "451", "452", "550", "552", "554"}, b"the end of content")
        self._end(reply, content)

    def _chunk(self, line: bytes) -> None:
        found = _BDAT.match(line)
        if found is None:
            self._next({"500", "501", "503"}, line)
            if not self.is_closed:
                raise Violation(f"went on behind {line[:60]!r}")
            raise _Closed
        size = int(found[1])
        chunk = self.octets[self._place : self._place + size]
        self._place += size
        if self._place > len(self.octets) and not self.replies:
            return  # the rest has not come
        refusals = {"250", "451", "452", "501", "503", "550", "552", "554"}
        reply = self._next(refusals, line)
        if reply[:3] != "250":
            self._forget()
        elif found[2]:
            self._end(reply, b"".join([*self._chunks, chunk]))
        else:
            self._chunks.append(chunk)

    def _end(self, reply: str, content: bytes) -> None:
        if reply[:3] == "250":
            if "queued as" not in reply:
                raise Violation(f"{reply} to the end of content")
            if not (self.is_trusted or self._is_logged_in):
                raise Violation("a stranger's message was taken")
            if not self._sender or not self._recipients:
                raise Violation("a message without MAIL or RCPT was taken")
            sender = self._sender.decode("utf-8", "replace")
            self.messages.append(Stored(sender, self._recipients, content))
        self._forget()

    def _login(self, line: bytes, reply: str) -> None:
        said = line.split()[2:] or [b""]
        last, method = said[0], line.split()[1].upper() if len(line.split()) > 1 else b""
        while reply[:3] == "334":
            answer = self._line()
            if answer is None:
                return
            last = answer
            reply = self._next({"500"} if answer == _FAULT else _EXCHANGE, answer)
        if reply[:3] == "235":
            if not _is_right(method, last):
                raise Violation(f"logged in by {last!r}")
            self._is_logged_in = True

    def _forget(self) -> None:
        self._sender, self._recipients, self._chunks = b"", 0, []


def _is_right(method: bytes, response: bytes) -> bool:
    with_login = b"\0" + LOGIN + b"\0" + PASSWORD
    text = response.strip(b" \t=")  # devices forget the padding, and some put more
    try:
        said = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return False
    return said == PASSWORD if method == b"LOGIN" else said.endswith(with_login)


def compare(promised: Sequence[Stored], stored: Sequence[Stored]) -> None:
    """Raises Violation unless what was promised is what is there, octet for octet, in order."""
    for one, other in zip(promised, stored, strict=False):
        has_no_header = one.content[:1] in (b" ", b"\t")  # then it does not touch our trace field
        if (b"\r\n" if has_no_header else b"") + one.content != other.content:
            raise Violation(f"{other.content[:200]!r} is stored, not {one.content[:200]!r}")
        if other.recipients != one.recipients or f"<{other.sender}>" not in one.sender:
            raise Violation(f"the envelope {other} is that of another: {one}")
    if len(promised) != len(stored):
        raise Violation(f"{len(stored)} messages are stored, and {len(promised)} were promised")
