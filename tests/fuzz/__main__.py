"""The long fuzz run: `nice .venv/bin/python -m tests.fuzz --seconds 600`.

Spoiled dialogues, one after the other, against sessions with a real spool, and each of them held
against the model. Says how many it ran and how the memory of the process went; ends with 1 at the
first dialogue that breaks a promise, shown with its seed: `--seconds 0 --seed N` runs it again.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from pathlib import Path

from twisted.logger import LogEvent, globalLogPublisher

from tests.fuzz.corpus import spoiled
from tests.fuzz.gateways import LISTENERS, Target
from tests.fuzz.model import Violation

REPORTS = 10  # lines about memory


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="begin with this dialogue")
    asked = parser.parse_args()
    failures: list[str] = []

    def note(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(str(event["log_failure"].getTraceback()))

    globalLogPublisher.addObserver(note)
    targets = [Target(name) for name in LISTENERS]
    begun, told, ran, messages = time.monotonic(), 0, 0, 0
    try:
        for seed in range(asked.seed, sys.maxsize):
            messages += one(targets, seed, failures)
            ran += 1
            passed = time.monotonic() - begun
            if passed > (told + 1) * asked.seconds / REPORTS:
                told += 1
                processor = resource.getrusage(resource.RUSAGE_SELF)
                print(
                    f"{passed:5.0f} s  {ran:8,} dialogues  {messages:7,} messages  "
                    f"{octets() / 2**20:6.1f} MiB  {processor.ru_utime:5.0f} s of processor",
                    flush=True,
                )
            if passed > asked.seconds:
                break
    finally:
        for target in targets:
            target.close()


def one(targets: list[Target], seed: int, failures: list[str]) -> int:
    """The dialogue of one seed; the number of its messages. Ends the program when it is bad."""
    chance = random.Random(seed)
    target, dialogue = targets[seed % len(targets)], spoiled(chance)
    try:
        messages = target.run(chance, dialogue)
        if failures:
            raise Violation(failures[0])
    except Exception as error:
        print(f"seed {seed}: {error!r}\n{dialogue!r}")
        raise
    return messages


def octets() -> int:
    """Memory of this process that is in use (RSS)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
