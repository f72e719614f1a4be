"""What a command costs whoever types it: time to its first line, to its end, and its memory."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from bench.processes import most_octets

STOP_AFTER = 10.0  # seconds after which a command that still prints is ended
LOOK_EVERY = 0.05  # seconds between two looks at its memory
READ = 65536


@frozen
class Cost:
    """Seconds, octets, lines. `is_cut`: it was ended before its end."""

    first_line: float
    whole: float
    memory: int  # the most it had (RSS)
    lines: int
    is_cut: bool
    status: int


def cost(command: Sequence[str | Path]) -> Cost:
    """Run a command, reading what it prints."""
    began = time.monotonic()
    program = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    assert program.stdout is not None
    first, lines, memory, is_cut = 0.0, 0, 0, False
    with program.stdout as output:
        while not is_cut:
            is_cut = time.monotonic() - began > STOP_AFTER
            memory = most_octets(program.pid) or memory
            if select.select([output], [], [], LOOK_EVERY)[0]:
                piece = os.read(output.fileno(), READ)
                if not piece:
                    break
                lines += piece.count(b"\n")
                first = first or time.monotonic() - began
    if is_cut:
        program.kill()
    status = program.wait()
    return Cost(first, time.monotonic() - began, memory, lines, is_cut, status)
