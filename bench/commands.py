"""What a command costs whoever types it: time to its first line, to its end, and its memory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

STOP_AFTER = 10.0  # seconds after which a command that still prints is ended
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
    first = lines = 0.0
    is_cut = False
    with program.stdout as output:
        while piece := os.read(output.fileno(), READ):
            lines += piece.count(b"\n")
            first = first or time.monotonic() - began
            if time.monotonic() - began > STOP_AFTER:
                is_cut = True
                break
    if is_cut:
        program.kill()
    _, status, usage = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    whole = time.monotonic() - began
    memory = usage.ru_maxrss * 1024
    return Cost(first, whole, memory, int(lines), is_cut, program.returncode)
