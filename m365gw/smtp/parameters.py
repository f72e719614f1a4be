"""The ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2), each checked by its own extension.

A parameter nobody knows is refused, never ignored: it may be a wish that we would break.

Failures: Refused with 555 5.5.4 for a parameter or value we do not offer, 501 5.5.4 for one that
is malformed or given twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from m365gw.smtp import xtext
from m365gw.smtp.addresses import UNPRINTABLE
from m365gw.smtp.replies import Refused, Reply

ENVID_LIMIT: Final = 100  # octets as encoded, RFC 3461 4.4
ORCPT_LIMIT: Final = 500  # octets as encoded, RFC 3461 4.2

_PARAMETER: Final = re.compile(rf"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([^{UNPRINTABLE} =]++))?+")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_NOTIFY: Final = frozenset({"SUCCESS", "FAILURE", "DELAY"})

Reader = Callable[[str | None], object]


def read_parameters(text: str, known: Mapping[str, tuple[str, Reader]]) -> dict[str, Any]:
    """What stands behind a path, as attributes: name and reader for each keyword that is known.

    The text is "" or begins with a space.
    """
    read: dict[str, Any] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if not match:
            raise malformed("expected KEYWORD=VALUE, separated by single spaces")
        keyword = match[1].upper()
        if keyword not in known:
            raise unknown(f"{keyword[:20]} is not offered here")
        name, reader = known[keyword]
        if name in read:
            raise malformed(f"{keyword} is given twice")
        read[name] = reader(match[2])
    return read


def malformed(why: str) -> Refused:
    """The refusal of a parameter that is not what its extension says."""
    return Refused(Reply(501, "5.5.4", f"Parameter syntax: {why}"))


def unknown(why: str) -> Refused:
    """The refusal of a parameter that this server does not know or offer (RFC 5321 4.1.1.11)."""
    return Refused(Reply(555, "5.5.4", f"Unknown parameter: {why}"))


def _word(value: str | None) -> str:
    """A value that is a keyword, in capitals; not ASCII, it is none.

    Unicode has more letters than one whose capital is S.
    """
    return value.upper() if value and value.isascii() else ""


def _size(value: str | None) -> int:
    """SIZE, in octets (RFC 1870 4)."""
    if value is None or not _NUMBER.fullmatch(value):
        raise malformed("SIZE needs a number of octets, of at most 20 digits")
    return int(value)


def _body(value: str | None) -> str:
    """BODY (RFC 6152 2). BINARYMIME belongs to BDAT and is not offered (RFC 3030 3)."""
    body = _word(value)
    if body not in ("7BIT", "8BITMIME"):
        raise unknown("BODY is 7BIT or 8BITMIME here")
    return body


def _smtputf8(value: str | None) -> bool:
    """SMTPUTF8, which has no value (RFC 6531 3.4)."""
    if value is not None:
        raise malformed("SMTPUTF8 has no value")
    return True


def _ret(value: str | None) -> str:
    """RET (RFC 3461 4.3)."""
    ret = _word(value)
    if ret not in ("FULL", "HDRS"):
        raise malformed("RET is FULL or HDRS")
    return ret


def _envid(value: str | None) -> str:
    """ENVID, decoded (RFC 3461 4.4)."""
    if value is None or len(value) > ENVID_LIMIT:
        raise malformed(f"ENVID needs a value of at most {ENVID_LIMIT} characters")
    return xtext.decode(value)


def _auth(value: str | None) -> str:
    """AUTH, decoded, "" for <> (RFC 4954 5).

    It is not held against the grammar of addresses: nothing here trusts it, and senders put
    login names there.
    """
    if value is None:
        raise malformed("AUTH needs a value, <> when the sender is not known")
    return "" if value == "<>" else xtext.decode(value)


def _notify(value: str | None) -> frozenset[str]:
    """NOTIFY: NEVER alone, or any of SUCCESS, FAILURE, DELAY (RFC 3461 4.1)."""
    words = _word(value).split(",")
    if words != ["NEVER"] and not _NOTIFY.issuperset(words):
        raise malformed("NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY")
    return frozenset(words)


def _orcpt(value: str | None) -> str:
    """ORCPT, decoded (RFC 3461 4.2, RFC 6533 3)."""
    if value is None or len(value.encode()) > ORCPT_LIMIT:
        raise malformed(f"ORCPT needs a value of at most {ORCPT_LIMIT} characters")
    return xtext.decode_recipient(value)


MAIL: Final[Mapping[str, tuple[str, Reader]]] = {
    "SIZE": ("size", _size),
    "BODY": ("body", _body),
    "SMTPUTF8": ("smtputf8", _smtputf8),
    "RET": ("ret", _ret),
    "ENVID": ("envid", _envid),
    "AUTH": ("auth", _auth),
}
RCPT: Final[Mapping[str, tuple[str, Reader]]] = {
    "NOTIFY": ("notify", _notify),
    "ORCPT": ("orcpt", _orcpt),
}
