"""Programs the bench starts: their start, their end, and what their whole tree costs.

Read from `/proc`: a tree is a process and all its descendants. Its processor time counts children
that have ended too (their parents have waited for them). PSS shares a page out among those who
map it, so that it may be added up over a tree.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")  # ticks a second
KTHREADD = 2  # all threads of the kernel descend from it
PATIENCE = 10.0  # seconds a program has to end by itself


@contextmanager
def running(command: Sequence[str | Path], folder: Path, *, said: str) -> Iterator[int]:
    """A program running in this folder, by its process id; what it says goes to a file there.

    It gets a process group of its own: Ctrl-C is for the bench, which then ends its programs.
    """
    with (folder / said).open("ab") as output:
        program = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield program.pid
    finally:
        program.terminate()
        with suppress(subprocess.TimeoutExpired):
            program.wait(PATIENCE)
        # What is left of it; its group cannot be anybody else's while a member lives.
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children = defaultdict(list)
    for pid, (parent, _) in _table().items():
        children[parent].append(pid)
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def processor_seconds(root: int) -> float:
    """Processor time that a tree has used so far, ended children included, in seconds."""
    table = _table()
    return sum(table[pid][1] for pid in tree(root) if pid in table) / TICK


def kernel_threads() -> dict[int, float]:
    """Processor time of each of the kernel's own threads (journal, loop device, write-back)."""
    table = _table()
    return {pid: table[pid][1] / TICK for pid in tree(KTHREADD) if pid in table}


def proportional_octets(root: int) -> int:
    """Memory of a tree (PSS), in octets."""
    return sum(_pss(pid) for pid in tree(root))


def most_octets(pid: int) -> int:
    """The most memory one process ever had (RSS), in octets; 0 when it has ended."""
    with suppress(OSError):
        for line in (PROC / f"{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _pss(pid: int) -> int:
    with suppress(OSError):  # it may have ended just now
        for line in (PROC / f"{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _table() -> dict[int, tuple[int, int]]:
    """Each process with its parent and the ticks it and its ended children have used."""
    table = {}
    for name in os.listdir(PROC):
        if name.isdigit():
            with suppress(OSError):
                table[int(name)] = parse_stat((PROC / name / "stat").read_text())
    return table


def parse_stat(text: str) -> tuple[int, int]:
    """Parent and used ticks of one process, from the text of its `stat` (proc(5))."""
    # The second field is the name in brackets and may hold anything, brackets too.
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15])
