"""Queue ids and file names: all that is known of a message without opening its file.

A queue id is a 64-bit number that is never given twice and grows with time: microseconds since
2020 (51 bits), receiving process (5 bits), counter (8 bits). It is shown as 13 digits of base 31
(figures and consonants, so that no id spells a word), which sort as the numbers do.

A file name is a Maildir name and a pure function of an `Entry`, so that no name is kept in
memory and a start reads names and no contents:

    1767225600.M000042Q0CNPB0K7N4R21.m365gw,Z=10240,N=1767225900,A=1,B=5d41402a,C=bc4b2a76:2,

`Z` is the size of the message, `N` the time of the next attempt, `A` the attempts made, `B` and
`C` the tags of mailbox and source. `,X=1` behind them says that the message is to be returned to
its sender at its next turn. `S` and `W`, which Maildir++ readers take for the size of the
file and act upon, are left alone. Text from outside never becomes part of a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from zlib import crc32

from attrs import frozen

ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZ"
EPOCH = 1577836800  # 2020-01-01T00:00:00Z
ID_LENGTH = 13  # 31 ** 13 > 2 ** 64
SHARDS = 16  # folders of deferred mail

_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_NAME = re.compile(
    r"[0-9]{10,11}\.M[0-9]{6}Q([0-9B-Z]{13})\.m365gw,Z=([0-9]{1,15}),N=([0-9]{1,12}),A=([0-9]{1,9})"
    r",B=([0-9a-f]{8}),C=([0-9a-f]{8})(,X=1)?(?::2,[A-Za-z]*)?"
)


class State(Enum):
    """Where a message rests. The value is the name of its folder in the spool."""

    INCOMING = "incoming"  # accepted, not yet tried
    DEFERRED = "deferred"  # tried at least once, or told to wait
    HOLD = "hold"  # waits for an operator, or for a mailbox to be mended
    CORRUPT = "corrupt"  # could not be read; never deleted by us


@frozen
class Entry:
    """One message as its file name alone tells it.

    `size` is in octets of the message, `due` in seconds since 1970 (0: at once). `mailbox` and
    `source` are tags (`tag`): enough to take turns by, not the addresses themselves.
    """

    id: int
    state: State
    size: int
    due: int
    attempts: int
    mailbox: int
    source: int
    is_expired: bool = False  # an operator wants it returned to its sender at its next turn

    @property
    def queue_id(self) -> str:
        """The id as logs, replies and tools show it."""
        return render_id(self.id)

    @property
    def arrived_at(self) -> float:
        """When the message began to arrive, in seconds since 1970."""
        return arrived_at(self.id)

    @property
    def shard(self) -> int:
        """Which folder of deferred mail is the message's, 0 to 15."""
        return shard_of(self.id)


@lru_cache(maxsize=4096)
def tag(text: str) -> int:
    """The 32-bit tag of a mailbox, a login or a client's address, whatever its letter case.

    Two texts may share a tag. That costs them a shared turn; who is who is read from the file.
    """
    return crc32(text.casefold().encode("utf-8", "surrogatepass"))


def arrived_at(number: int) -> float:
    """The time a queue id was given, in seconds since 1970."""
    return EPOCH + (number >> 13) / 1_000_000


def shard_of(number: int) -> int:
    """The folder of deferred mail a queue id belongs to: its last figure of microseconds."""
    return (number >> 13) % SHARDS


@lru_cache(maxsize=64)
def render_id(number: int) -> str:
    """A queue id as 13 characters. The last few are remembered: each is asked for some times."""
    pairs = []
    for _ in range(6):
        number, pair = divmod(number, 961)
        pairs.append(_PAIRS[pair])
    pairs.append(ALPHABET[number])
    return "".join(reversed(pairs))


def parse_id(text: str) -> int:
    """The number of a queue id, in any letter case. Raises ValueError for what is not one."""
    number = 0
    if len(text) != ID_LENGTH:
        raise ValueError(f"a queue id has {ID_LENGTH} characters, not {len(text)}")
    for letter in text.upper():
        value = _VALUES.get(letter)
        if value is None:
            raise ValueError(f"{letter!r} does not occur in queue ids")
        number = number * 31 + value
    if number >= 1 << 64:
        raise ValueError(f"{text} is no queue id")
    return number


def render_name(entry: Entry) -> str:
    """The file name of an entry. In folder `cur` names end with Maildir's (empty) flags."""
    seconds, microseconds = divmod(entry.id >> 13, 1_000_000)
    ending = ",X=1" if entry.is_expired else ""
    if entry.state is not State.INCOMING:
        ending += ":2,"
    return (
        f"{EPOCH + seconds}.M{microseconds:06d}Q{render_id(entry.id)}.m365gw,Z={entry.size}"
        f",N={entry.due},A={entry.attempts},B={entry.mailbox:08x},C={entry.source:08x}{ending}"
    )


def parse_name(name: str, state: State) -> Entry | None:
    """The entry of a file found in a folder of this state, or None for a foreign file."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    queue_id, size, due, attempts, mailbox, source, expired = found.groups()
    try:
        number = parse_id(queue_id)
    except ValueError:
        return None
    return Entry(
        number,
        state,
        int(size),
        int(due),
        int(attempts),
        int(mailbox, 16),
        int(source, 16),
        is_expired=bool(expired),
    )


class QueueIds:
    """Gives queue ids that only grow, also when the clock is set back.

    `newest` is an id known to have been given before (0: none). When the clock stands before it,
    numbering goes on a minute after it: `newest` itself may be half a minute old after a power
    loss.
    """

    def __init__(self, clock: Callable[[], float], worker: int = 0, newest: int = 0) -> None:
        if not 0 <= worker < 32:
            raise ValueError(f"worker {worker} is not between 0 and 31")
        self._clock = clock
        self._worker = worker << 8
        self._microsecond = newest >> 13
        self._counter = newest & 0xFF
        if self._now() < self._microsecond:
            self._microsecond += 60_000_000

    def _now(self) -> int:
        return max(0, int((self._clock() - EPOCH) * 1_000_000))

    def next(self) -> int:
        """A new id."""
        now = self._now()
        if now > self._microsecond:
            self._microsecond, self._counter = now, 0
        elif self._counter < 0xFF:
            self._counter += 1
        else:
            self._microsecond, self._counter = self._microsecond + 1, 0
        return self._microsecond << 13 | self._worker | self._counter
