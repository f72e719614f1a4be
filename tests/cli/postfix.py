"""Queues that both Postfix and we can list, and Postfix's own listing of them.

Nothing is started: the messages are written in Postfix's queue file format into a folder of
their own, and the real `postqueue`, which reads a queue by itself when no Postfix runs over it,
prints them. It does so for root only. Each queue has one message in each state at most, because
the order of messages within a folder is the file system's.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.browse import Queued
from m365gw.spool.names import EPOCH, Entry, State
from m365gw.spool.outcomes import RecipientRecord

GOLDEN = Path(__file__).parent / "postqueue"
ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"  # a zone with summer time that needs no zone files
STYLES = {"table": "-p", "json": "-j"}

_FOLDERS = ("incoming", "active", "deferred", "hold", "maildrop", "defer", "pid", "public")
_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {queue}
enable_long_queue_ids = yes
hash_queue_names = maildrop
inet_interfaces = loopback-only
"""


def message(
    state: State,
    arrived: int,
    size: int,
    sender: str,
    *recipients: tuple[str, str] | tuple[str, str, Outcome],
) -> Queued:
    """A queued message; recipients are address, reason of the delay ("" none) and outcome."""
    records = []
    for address, reason, *outcome in recipients:
        reply, at = Reply(0, "", reason), float(arrived + 1) if reason else 0.0
        kept = outcome[0] if outcome else Outcome.PENDING
        records.append(RecipientRecord(Recipient(address), kept, reply, at))
    number = (arrived - EPOCH) * 1_000_000 << 13
    return Queued(
        Entry(number, state, size, arrived + 300, 1, 0, 0),
        Envelope(sender, tuple(record.recipient for record in records)),
        Origin("192.0.2.7", mailbox="relay@contoso.com"),
        tuple(records),
    )


REFUSED = "connect to smtp.office365.com[203.0.113.9]:587: Connection refused"
LONG = "host smtp.office365.com[203.0.113.9] said: 451 4.7.500 Server busy. Please try again later"
QUEUES: dict[str, list[Queued]] = {
    "empty": [],
    "one": [message(State.INCOMING, 1_762_000_000, 267, "app@contoso.com", ("a@example.com", ""))],
    "reasons": [
        message(State.INCOMING, 1_751_511_845, 1023, "", ("a@example.com", "")),
        message(
            State.DEFERRED,
            1_763_000_000,
            1025,
            "scan@contoso.com",
            ("a@example.com", REFUSED),
            ("b@example.com", REFUSED),
            ("c@example.com", "451 4.3.2 try later"),
        ),
        message(State.HOLD, 1_763_100_000, 4096, "fax@contoso.com", ("d@example.com", "")),
    ],
    "partly-done": [
        message(
            State.DEFERRED,
            1_763_000_000,
            8192,
            "scan@contoso.com",
            ("untried@example.com", ""),
            ("done@example.com", "", Outcome.DELIVERED),
            ("late@example.com", LONG),
            ("refused@example.com", "550 5.1.1 unknown", Outcome.FAILED),
            ("later@example.com", "x" * 76),
        ),
    ],
    "wide": [
        message(State.DEFERRED, 1_764_572_400, 1, "a@b.example", ("c@d.example", "y" * 75)),
        message(
            State.HOLD,
            1_764_572_401,
            123_456_789,
            f"{'long' * 15}@{'a-rather-long-domain.' * 5}example",
            ("a@example.com", "x" * 77),
        ),
    ],
    "letters": [
        message(
            State.DEFERRED,
            1_763_000_000,
            300,
            "jürgen@exämple.com",
            ('"two words"@example.com', 'he said "no\\way" today'),
            ('"a\\"quote"@example.com', "größer als erlaubt"),
            ("o'neil+tag@example.com", "bell\x07 and\x1b[31m colour\x7f"),
        ),
    ],
}


def listing(queue: list[Queued], option: str) -> bytes:
    """What the real `postqueue` prints of a queue. For root only."""
    folder = tempfile.mkdtemp(prefix="m365gw-postqueue-")
    try:
        os.chmod(folder, 0o755)
        spool = os.path.join(folder, "queue")
        os.makedirs(spool)
        for name in _FOLDERS:
            os.mkdir(os.path.join(spool, name))
        Path(folder, "main.cf").write_text(_MAIN_CF.format(queue=spool))
        # Postfix waits two seconds for a configuration that might still be being written.
        os.utime(Path(folder, "main.cf"), (0, 0))
        Path(folder, "master.cf").write_text("")
        for queued in queue:
            _write(Path(spool), queued)
        found = subprocess.run(
            ["postqueue", "-c", folder, option],
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "TZ": ZONE},
            check=True,
            capture_output=True,
            timeout=120,
        )
        # Postfix 3.11 and later tell each address as it was before aliases, too.
        return re.sub(rb'"orig_address": "(?:[^"\\]|\\.)*", ', b"", found.stdout)
    finally:
        shutil.rmtree(folder)


def _write(spool: Path, queued: Queued) -> None:
    entry, count = queued.entry, len(queued.recipients)
    sizes = " ".join(f"{number:15d}" for number in (entry.size, 0, count, 0, entry.size, 0))
    content = _record("C", sizes) + _record("T", f"{int(entry.arrived_at)} 0")
    content += _record("S", _raw(queued.envelope.sender))
    log = ""
    for record in queued.recipients:
        address = _raw(record.recipient.address)
        is_open = record.outcome is Outcome.PENDING
        content += _record("R" if is_open else "D", address)
        if is_open and record.at:
            log += f"recipient={record.recipient.address}\nreason={record.reply.text}\n\n"
    content += b"".join(_record(kind, "") for kind in "MXE")
    # The permission to execute is Postfix's mark of a message that is whole.
    _own(spool / entry.state.value / entry.queue_id, content, 0o700)
    if log:
        _own(spool / "defer" / entry.queue_id, log.encode(), 0o600)


def _own(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)
    owner = pwd.getpwnam("postfix")
    os.chown(path, owner.pw_uid, owner.pw_gid)


def _record(kind: str, text: str) -> bytes:
    """One record of a queue file: kind, length in groups of seven bits, content."""
    data = text.encode()
    length, left = b"", len(data)
    while left >= 128:
        length += bytes([left % 128 | 128])
        left //= 128
    return kind.encode() + length + bytes([left]) + data


def _raw(address: str) -> str:
    """Postfix keeps local parts without their quotes."""
    local, _, domain = address.rpartition("@")
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return f"{local}@{domain}" if domain else local


if __name__ == "__main__":
    for name, queue in QUEUES.items():
        for style, option in STYLES.items():
            (GOLDEN / f"{name}.{style}").write_bytes(listing(queue, option))
