"""The format of the commit log: a file in which messages are durable before their own files are.

    X-M365GW-Log: 1 MARK SETTLED CRC                       blocks 0 and 1, written in turn
    X-M365GW-Round: MARK NUMBER LENGTH CRC                 from block 2 on, each at a block's start
    ... LENGTH octets: message files (`record`), one behind the other

All that a crash may leave is told apart by what it says itself. MARK is drawn anew for each log and
told to nobody: neither a round of an earlier log nor a message made to look like a round has it. A
round that was not written whole has not its CRC. Rounds up to SETTLED are safe as files; their
places are used again, and whatever still stands there counts for nothing.

Failures: none; what is not whole is None, or is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

from attrs import frozen

from m365gw.spool import record
from m365gw.spool.files import Files

BLOCK = 4096  # octets; no write to one block touches what another holds
HEADS = 2
FIRST_ROUND = HEADS * BLOCK  # offset

_HEAD = re.compile(rb"X-M365GW-Log: 1 ([0-9a-f]{32}) ([0-9]{16}) ([0-9a-f]{8})\r\n")
_ROUND = re.compile(rb"X-M365GW-Round: ([0-9a-f]{32}) ([0-9]{16}) ([0-9]{12}) ([0-9a-f]{8})\r\n")
ROUND_LENGTH = len("X-M365GW-Round: ") + 32 + 1 + 16 + 1 + 12 + 1 + 8 + 2


@frozen
class Head:
    """Whose log it is, and the newest round of which, and of all before it, nothing is needed."""

    mark: bytes
    settled: int


@frozen
class Written:
    """A whole round: its number and where its messages are."""

    number: int
    offset: int
    length: int


def blocks(octets: int) -> int:
    """These octets, rounded up to whole blocks."""
    return -(-octets // BLOCK) * BLOCK


def render_head(head: Head) -> bytes:
    """What begins block 0 or 1."""
    line = b"X-M365GW-Log: 1 %b %016d " % (head.mark, head.settled)
    return b"%b%08x\r\n" % (line, crc32(line))


def parse_head(block: bytes) -> Head | None:
    """The head that begins a block; None when there is none, or not a whole one."""
    found = _HEAD.match(block)
    if found is None or crc32(block[: found.start(3)]) != int(found[3], 16):
        return None
    return Head(found[1], int(found[2]))


def render_round(mark: bytes, number: int, octets: Sequence[bytes]) -> bytes:
    """The line before the messages of a round, which are these octets."""
    line = b"X-M365GW-Round: %b %016d %012d " % (mark, number, sum(map(len, octets)))
    crc = crc32(line)
    for piece in octets:
        crc = crc32(piece, crc)
    return b"%b%08x\r\n" % (line, crc)


def read_head(files: Files, fd: int) -> Head | None:
    """The newer of the two heads; None when neither is whole. Raises OSError."""
    found = (parse_head(files.pread(fd, BLOCK, place * BLOCK)) for place in range(HEADS))
    return max(filter(None, found), key=lambda head: head.settled, default=None)


def unsettled(files: Files, fd: int, head: Head) -> list[Written]:
    """The whole rounds that are still needed, oldest first. Raises OSError."""
    rounds = []
    size = files.fstat(fd).st_size
    for offset in range(FIRST_ROUND, size, BLOCK):
        found = _ROUND.match(files.pread(fd, ROUND_LENGTH, offset))
        if found is None or found[1] != head.mark or int(found[2]) <= head.settled:
            continue
        round_ = Written(int(found[2]), offset + ROUND_LENGTH, int(found[3]))
        if round_.offset + round_.length > size:
            continue
        body = files.pread(fd, round_.length, round_.offset)
        if crc32(body, crc32(found[0][: found.start(4)])) == int(found[4], 16):
            rounds.append(round_)
    return sorted(rounds, key=lambda round_: round_.number)


def messages(files: Files, fd: int, round_: Written) -> Iterator[tuple[int, bytes]]:
    """Id and file of each message of a round. Raises OSError."""
    body = files.pread(fd, round_.length, round_.offset)
    while body:
        block = record.parse(body[: record.block_length(body)])
        length = block.length + block.size
        yield block.id, body[:length]
        body = body[length:]
