"""A broken header mended: only what is asked for, only what is broken, all else octet for octet.

Each repair has a name, which stands in the configuration and in the log:

date          added when missing
message-id    added when missing
repeated      further fields of which there may be only one (RFC 5322 3.6) taken away
bcc           taken away: nobody else is to see it
header-text   8-bit text encoded (RFC 2047), unless the client declared SMTPUTF8
display-name  quoted when it would be read as an address
long-lines    fields over 998 octets folded at a space

Whom a message is from is not decided here (`from_rewrite`).

A field that a DKIM signature covers is left alone, and said to be. Nothing here fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from attrs import evolve, field, frozen

from m365gw.smtp.repair import header_fields, header_text
from m365gw.smtp.repair.header_fields import Field, HeaderFields, signed_names
from m365gw.smtp.trace import date

ONLY_ONCE = frozenset(
    {
        *("date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to"),
        *("references", "subject", "mime-version", "content-type", "content-transfer-encoding"),
    }
)

_LONG = re.compile(rb"[^\r\n]{%d}" % (header_fields.LINE_LIMIT + 1))
# Behind the name and at least one word.
_BREAK = re.compile(rb"((?:[!-9;-~]++[ \t]*+:)?+[ \t]*+[^ \t].{0,850})(?=[ \t][^ \t\r])", re.DOTALL)


@frozen(kw_only=True)
class Facts:
    """What repairs need to know. `message_id` is without brackets; `at` is aware."""

    message_id: str
    at: datetime
    smtputf8: bool = False


@frozen
class Mended:
    """The header as it goes on, what was done, and what was left for a signature's sake."""

    header: HeaderFields
    done: tuple[str, ...] = field(default=())
    left: tuple[str, ...] = field(default=())


def mend(header: HeaderFields, wanted: frozenset[str], facts: Facts) -> Mended:
    """The header with the wanted repairs made where something is broken."""
    signed = signed_names(header)
    done: list[str] = []
    left: list[str] = []
    for name, repair in _REPAIRS.items():
        if name not in wanted:
            continue
        mended = repair(header, facts)
        changed = _changed(header, mended)
        if changed & signed:
            left.append(name)
        elif changed:
            header = mended
            done.append(name)
    return Mended(header, tuple(done), tuple(left))


def _changed(before: HeaderFields, after: HeaderFields) -> frozenset[str]:
    """Names of fields that are not what they were."""
    old, new = before.by_name(), after.by_name()
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _each(change: Callable[[Field], Field], header: HeaderFields) -> HeaderFields:
    return evolve(header, fields=tuple(change(one) for one in header.fields))


def _date(header: HeaderFields, facts: Facts) -> HeaderFields:
    if "date" in header:
        return header
    return header.extended(header_fields.field("Date", date(facts.at)))


def _message_id(header: HeaderFields, facts: Facts) -> HeaderFields:
    if "message-id" in header:
        return header
    return header.extended(header_fields.field("Message-ID", f"<{facts.message_id}>"))


def _repeated(header: HeaderFields, _facts: Facts) -> HeaderFields:
    """The first is kept, as readers mostly show that one."""
    seen: set[str] = set()
    kept = []
    for one in header.fields:
        if one.name not in ONLY_ONCE or one.name not in seen:
            kept.append(one)
        seen.add(one.name)
    return evolve(header, fields=tuple(kept))


def _bcc(header: HeaderFields, _facts: Facts) -> HeaderFields:
    hidden = ("bcc", "resent-bcc")
    return evolve(header, fields=tuple(one for one in header.fields if one.name not in hidden))


def _header_text(header: HeaderFields, facts: Facts) -> HeaderFields:
    return header if facts.smtputf8 else _each(_encoded, header)


def _encoded(one: Field) -> Field:
    if one.octets.isascii() or one.name in header_text.STRUCTURED:
        return one
    title, text = one.title.decode("ascii"), header_text.decoded(one.value)
    if one.name in header_text.ADDRESSES:
        value = header_text.encoded_addresses(text, title)
    else:
        value = header_text.encoded(text, title)
    return one if value is None else one.with_value(value)


def _display_name(header: HeaderFields, _facts: Facts) -> HeaderFields:
    return _each(_quoted, header)


def _quoted(one: Field) -> Field:
    if one.name not in header_text.ADDRESSES or not one.octets.isascii():
        return one
    text = one.value.decode("ascii")
    quoted = header_text.quoted_addresses(text)
    unquoted = ", ".join(header_text.mailboxes(text))
    return one if quoted == unquoted else one.with_value(quoted.encode("ascii"))


def _long_lines(header: HeaderFields, _facts: Facts) -> HeaderFields:
    return _each(_folded, header)


def _folded(one: Field) -> Field:
    if not _LONG.search(one.octets):
        return one
    lines = one.octets.removesuffix(b"\n").removesuffix(b"\r").split(b"\n")
    folded = b"\n".join(_fold(line) for line in lines)
    return evolve(one, octets=folded + b"\r\n")


def _fold(line: bytes) -> bytes:
    return b"\r\n".join(_cut(line)) if _LONG.search(line) else line


def _cut(line: bytes) -> Iterator[bytes]:
    """The pieces of a line, each of which but the first begins with a space."""
    while len(line) > header_fields.LINE_LIMIT:
        piece = _BREAK.match(line)
        if piece is None:
            break
        yield piece[1]
        line = line[piece.end() :]
    yield line


_REPAIRS: dict[str, Callable[[HeaderFields, Facts], HeaderFields]] = {
    "repeated": _repeated,
    "bcc": _bcc,
    "header-text": _header_text,
    "display-name": _display_name,
    "date": _date,
    "message-id": _message_id,
    "long-lines": _long_lines,
}
