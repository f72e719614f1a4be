"""Another author put into a header: From rewritten, or added where there is none.

The old From stays readable as X-Original-From, and answers still reach whom it named (Reply-To).
Pure; nothing here fails. Whether a signature forbids it is for the caller to ask (`signed_names`).
"""

from __future__ import annotations

from attrs import evolve

from m365gw.smtp.repair import header_text
from m365gw.smtp.repair.authors import NOBODY, Authors, authors, phrase
from m365gw.smtp.repair.header_fields import Field, HeaderFields, field


def named_in(header: HeaderFields, name: str) -> list[Authors]:
    """What each field of this name ("from", "sender") says."""
    return [authors(header_text.decoded(one.value)) for one in header.all(name)]


def from_instead(header: HeaderFields, address: str) -> HeaderFields:
    """The header with this ASCII address as its one author.

    The display name stays. Whoever was named is answered to, unless Reply-To says otherwise.
    """
    before = named_in(header, "from")
    first = before[0] if before else NOBODY
    added = [_from(address, first.name)]
    old = [each for one in before for each in one.addresses]
    is_known = all(one.is_readable for one in before) and all(map(str.isascii, old))
    if old and is_known and "reply-to" not in header:
        added.append(field("Reply-To", ",\r\n ".join(f"<{each}>" for each in dict.fromkeys(old))))
    kept = without(header, "sender")
    return _renamed(kept).extended(*added)


def from_added(header: HeaderFields, address: str) -> HeaderFields:
    """The header with this ASCII address as its author, where none is named that can be read."""
    first = next(iter(named_in(header, "from")), NOBODY)
    return _renamed(header).extended(_from(address, first.name))


def without(header: HeaderFields, name: str) -> HeaderFields:
    """The header without the fields of this name."""
    return evolve(header, fields=tuple(one for one in header.fields if one.name != name))


def _from(address: str, name: str) -> Field:
    return field("From", f"{phrase(name)} <{address}>".lstrip())


def _renamed(header: HeaderFields) -> HeaderFields:
    return evolve(header, fields=tuple(map(_kept, header.fields)))


def _kept(one: Field) -> Field:
    if one.name != "from":
        return one
    return Field("x-original-from", b"X-Original-From:" + one.octets.partition(b":")[2])
