"""A message in the maildrop: what `sendmail` writes and the service reads.

    m365gw-maildrop 1 ENVELOPE-OCTETS CONTENT-OCTETS LF     numbers of 8 and 12 digits
    {"sender": ..., "recipients": [...], ...}               JSON, in ASCII
    the content, lines ending with CR LF

Strict, because any local user may write such a file: the lengths must be those of the file, the
envelope must hold these members and no others, and no text in it may hold a control character.
Who wrote it is not in it: that is asked of the file system.

Failures: `NotDropped`, with words for the log.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from attrs import asdict, frozen

from m365gw.smtp.addresses import UNPRINTABLE

HEAD_LENGTH: Final = len("m365gw-maildrop 1 00000000 000000000000\n")
ENVELOPE_LIMIT: Final = 1024 * 1024  # octets
TEXT_LIMIT: Final = 1000  # characters of an address, a name or an id

_HEAD: Final = re.compile(rb"m365gw-maildrop 1 ([0-9]{8}) ([0-9]{12})\n")
_UNPRINTABLE: Final = re.compile(f"[{UNPRINTABLE}]")
_NOTIFY: Final = ("NEVER", "SUCCESS", "FAILURE", "DELAY")


class NotDropped(Exception):
    """This is no message as `sendmail` writes it; the text says why."""


@frozen
class Dropped:
    """The envelope of a message handed in by a local program. Nothing in it is checked grammar."""

    sender: str | None  # None: the program named none; "": the null sender
    recipients: tuple[str, ...]  # may lack a domain: "root"
    full_name: str = ""  # for a From field that has to be made
    eight_bit: bool = False
    notify: frozenset[str] = frozenset()
    ret: str = ""
    envid: str = ""


def render(dropped: Dropped, content: bytes) -> bytes:
    """The whole file. Raises NotDropped for what could not be read back."""
    values = asdict(dropped) | {"notify": sorted(dropped.notify)}
    envelope = json.dumps(values).encode("ascii") + b"\n"
    if parse_envelope(envelope) != dropped:
        raise NotDropped("the envelope cannot be written")
    head = b"m365gw-maildrop 1 %08d %012d\n" % (len(envelope), len(content))
    return head + envelope + content


def parse_head(octets: bytes, file_size: int) -> tuple[int, int]:
    """Octets of the envelope and of the content, from the beginning of a file of this size."""
    found = _HEAD.match(octets)
    if found is None:
        raise NotDropped("it does not begin as a message in the maildrop does")
    envelope, content = int(found[1]), int(found[2])
    if envelope > ENVELOPE_LIMIT:
        raise NotDropped("its envelope is too long")
    if HEAD_LENGTH + envelope + content != file_size:
        raise NotDropped("it does not have the length it says it has")
    return envelope, content


def parse_envelope(octets: bytes) -> Dropped:
    """The envelope. Raises NotDropped."""
    try:
        values = json.loads(octets.decode("ascii"))
    except (ValueError, RecursionError):
        raise NotDropped("its envelope is no JSON") from None
    if not isinstance(values, dict) or values.keys() != _MEMBERS.keys():
        raise NotDropped("its envelope does not have the members it should have")
    for name, value in values.items():
        if not _MEMBERS[name](value):
            raise NotDropped(f"its {name} cannot be understood")
    recipients, notify = tuple(values.pop("recipients")), frozenset(values.pop("notify"))
    return Dropped(recipients=recipients, notify=notify, **values)


def _is_text(value: Any) -> bool:
    return (
        isinstance(value, str) and len(value) <= TEXT_LIMIT and _UNPRINTABLE.search(value) is None
    )


_MEMBERS: Final = {
    "sender": lambda value: value is None or _is_text(value),
    "recipients": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "full_name": _is_text,
    "eight_bit": lambda value: isinstance(value, bool),
    "notify": lambda value: isinstance(value, list) and all(word in _NOTIFY for word in value),
    "ret": lambda value: value in ("", "FULL", "HDRS"),
    "envid": _is_text,
}
