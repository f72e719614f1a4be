"""A million deferred messages: what the gateway needs for them, and whom they slow down.

    .venv/bin/python -m bench.million [--messages 1000000] [--folder DIR]

Makes a spool of so many deferred messages on a fresh ext4 of its own (`bench.crowd`), which takes
some minutes, and mounts it anew, so that nothing of it is remembered. Starts the gateway on it
before a rehearsal Microsoft 365 with ten mailboxes at the usual limits, and measures

* the start: first 250 of a new message, first delivery, all known; memory, and the longest turn of
  the reactor (`bench.pulse`) meanwhile;
* what the commands cost that look at the queue;
* each thing that happens later, beside the same with an empty queue: taking mail, operations on one
  message, a look through the spool, a new configuration, a flush, the stop and another start.

Ends with 1 when a figure misses its goal. A machine that others use makes it look worse.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
from attrs import define, field, frozen

from bench.certificate import certificate
from bench.commands import Cost, cost
from bench.crowd import crowd, some_that_stay
from bench.crowded_gateway import (
    BIN,
    LOOK_EVERY,
    MAILBOXES,
    CrowdedGateway,
    open_mailboxes,
)
from bench.gateway import rehearsal
from bench.ground import Ground
from bench.processes import processor_seconds
from bench.pulse import Pulse

MIB = 2**20
OCTETS_EACH = 5000  # on the disk, of one message with its inode
LOAD = ("--sessions=10", "--size=10240", "--seconds=4")
FEW = 100  # messages, for comparison
PAUSE = 5.0  # seconds over which the pulse of a gateway at rest is felt


@frozen
class Goal:
    """The most a figure may be."""

    most: float
    unit: str


FIRST_250 = Goal(3.0, "s")
FIRST_DELIVERY = Goal(5.0, "s")
MEMORY = Goal(250.0, "MB")
FIRST_LINE = Goal(1.0, "s")
TURN = Goal(0.050, "s")
TIMES = Goal(1.5, "times")  # what with the crowd may take, of what it takes without


@define
class Report:
    """Prints each figure when it is known, and remembers whether all goals were met."""

    missed: list[str] = field(factory=list)

    def tell(self, what: str, value: float, unit: str = "", goal: Goal | None = None) -> None:
        """One figure."""
        verdict = ""
        if goal is not None:
            is_met = value <= goal.most
            verdict = f"goal {goal.most:g} {goal.unit}: {'met' if is_met else 'MISSED'}"
            unit = goal.unit
            if not is_met:
                self.missed.append(what)
        click.echo(f"  {what:<52} {value:>11,.3f} {unit:<10} {verdict}")

    def pulse(self, what: str, pulse: Pulse) -> None:
        """How long the reactor let others wait."""
        self.tell(f"{what}: p99 of turns", pulse.p99, "s")
        self.tell(f"{what}: longest turn", pulse.worst, goal=TURN)

    def cost(self, what: str, cost: Cost) -> None:
        """What a command cost."""
        self.tell(f"{what}: first line", cost.first_line, goal=FIRST_LINE)
        words = "s, cut off" if cost.is_cut else "s"
        self.tell(f"{what}: {cost.lines:,} lines", cost.whole, words)
        self.tell(f"{what}: memory", cost.memory / 1e6, "MB")


@define
class Million:
    """The whole course."""

    gateway: CrowdedGateway
    messages: int
    report: Report

    def start(self) -> None:
        """From nothing to knowing them all."""
        click.echo("Start")
        gateway, report, most = self.gateway, self.report, 0
        gateway.start()
        report.tell("first 250 of a new message", gateway.first_250(), goal=FIRST_250)
        with Pulse(gateway.port, gateway.pid) as pulse:
            delivered = gateway.await_log("status=sent")
            report.tell("first delivery", delivered, goal=FIRST_DELIVERY)

            def knows_all() -> bool:
                nonlocal most
                most = max(most, gateway.memory)
                known = gateway.status().get("queue", {}).get("scheduled", 0)
                return bool(known >= self.messages * 0.99)

            report.tell("all of them known", gateway.await_that(knows_all, "too few"), "s")
        report.tell("processor time so far", processor_seconds(gateway.pid), "s")
        report.pulse("while the spool is read", pulse)
        report.tell("memory, most so far", most / 1e6, goal=MEMORY)
        report.tell("memory, then", gateway.memory / 1e6, goal=MEMORY)

    def look(self) -> None:
        """Commands that look at the whole queue, and at one message."""
        click.echo("Looking at the queue")
        self.report.cost("m365gw queue list", self._command("queue", "list"))
        self.report.cost("m365gw queue list --json", self._command("queue", "list", "--json"))
        self.report.cost("mailq", self._command("mailq"))
        shape = self._command("queue", "shape")
        words = "s, cut off" if shape.is_cut else "s"
        self.report.tell("m365gw queue shape", shape.whole, words)
        self.report.tell("m365gw queue shape: memory", shape.memory / 1e6, "MB")

    def _command(self, *words: str) -> Cost:
        return cost([BIN / "m365gw", "--config", self.gateway.configuration, *words])

    def one_message(self) -> dict[str, float]:
        """What is done to one message; seconds of each."""
        taken = {}
        ids = some_that_stay(self.gateway.spool, len(OPERATIONS))
        for queue_id, (name, words) in zip(ids, OPERATIONS, strict=True):
            command = self._command(*words, queue_id)
            if command.status:
                raise RuntimeError(f"{' '.join(words)} ended with {command.status}")
            taken[name] = command.whole
        return taken

    def accept(self) -> tuple[float, float]:
        """Messages taken a second by ten sessions, and their p99 in seconds."""
        line = [sys.executable, "-m", "bench.load", f"--port={self.gateway.port}", *LOAD]
        said = subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        result = json.loads(said.splitlines()[-1])
        return result["messages"] / result["seconds"], result["p99"]

    def look_through(self) -> None:
        """The next look through the spool, and a quiet time for comparison."""
        click.echo("Each look through the spool")
        gateway = self.gateway
        before, began = processor_seconds(gateway.pid), time.monotonic()
        with Pulse(gateway.port, gateway.pid) as pulse:
            time.sleep(LOOK_EVERY)
        used = processor_seconds(gateway.pid) - before
        self.report.pulse("while mail flows", pulse)
        share = 100 * used / (time.monotonic() - began)
        self.report.tell(f"processor, with one look in {LOOK_EVERY} s", share, "%")

    def reload(self) -> None:
        """SIGHUP."""
        click.echo("SIGHUP")
        began = time.monotonic()
        with Pulse(self.gateway.port, self.gateway.pid) as pulse:
            os.kill(self.gateway.pid, signal.SIGHUP)
            self.gateway.await_log("configuration read anew")
            self.report.tell("new configuration taken", time.monotonic() - began, "s")
        self.report.pulse("meanwhile", pulse)

    def flush(self) -> None:
        """Everything is to be tried at once."""
        click.echo("Flush")
        with Pulse(self.gateway.port, self.gateway.pid) as pulse:
            flush = self._command("queue", "flush")
            self.report.tell("m365gw queue flush", flush.whole, "s")
            time.sleep(PAUSE)
        self.report.pulse("meanwhile and after", pulse)
        self.report.tell("memory, then", self.gateway.memory / 1e6, goal=MEMORY)

    def again(self) -> None:
        """The stop, and a start that finds the names in memory."""
        click.echo("Stop and start again")
        self.report.tell("SIGTERM to the end", self.gateway.stop(), "s")
        self.gateway.start()
        first = self.gateway.first_250()
        self.report.tell("first 250 of a new message", first, goal=FIRST_250)
        self.report.tell("SIGTERM while the spool is read", self.gateway.stop(), "s")


OPERATIONS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("queue show", ("queue", "show")),
    ("queue retry", ("queue", "retry")),
    ("queue hold", ("queue", "hold")),
    ("queue remove", ("queue", "remove")),
    ("postcat", ("postcat", "-q")),
)
ROOT = Path(__file__).parents[1]


def compare(crowded: Million, alone: Million) -> None:
    """What happens later, beside the same with an empty queue."""
    click.echo(f"Beside the same with {FEW} messages")
    report, one, other = crowded.report, crowded.one_message(), alone.one_message()
    for name, seconds in one.items():
        report.tell(f"{name}, one message", seconds, "s")
        report.tell(f"{name}, without the crowd", other[name], "s")
        report.tell(f"{name}, times", seconds / other[name], goal=TIMES)
    (rate, p99), (rate_alone, p99_alone) = crowded.accept(), alone.accept()
    report.tell("messages taken", rate, "/s")
    report.tell("messages taken, without the crowd", rate_alone, "/s")
    report.tell("times slower", rate_alone / rate, goal=TIMES)
    report.tell("p99 of the final dot", p99, "s")
    report.tell("p99 of the final dot, without the crowd", p99_alone, "s")


@contextmanager
def place(folder: Path | None, messages: int) -> Iterator[Path]:
    """The spool with the crowd; made unless it is there."""
    with tempfile.TemporaryDirectory(prefix="m365gw-million-") as scratch:
        ground = Ground(Path(scratch), OCTETS_EACH * messages + 2**30, messages * 5 // 4 + 100_000)
        with nullcontext(folder) if folder else ground.fresh() as there:
            assert there is not None
            spool = there / "spool"
            if not spool.exists():
                click.echo(f"... making {messages:,} messages in {spool}", err=True)
                crowd(spool, messages, MAILBOXES)
            if not folder:
                ground.mount_anew(there)
            yield spool


@click.command()
@click.option("--messages", default=1_000_000, show_default=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Make the messages here and leave them; those that are here already are used again.",
)
def main(messages: int, folder: Path | None) -> None:
    """Measure the gateway with a million deferred messages."""
    # An end from outside takes the way of Ctrl-C: servers end, file systems are unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    report = Report()
    with (
        tempfile.TemporaryDirectory(prefix="m365gw-bench-") as scratch,
        place(folder, messages) as spool,
    ):
        home = Path(scratch)
        with rehearsal(home) as microsoft:
            open_mailboxes(home)
            pem = certificate(home)

            def gateway(name: str, spool: Path) -> CrowdedGateway:
                return CrowdedGateway(home / name, spool, pem, microsoft.cloud)

            crowd(home / "few", FEW, MAILBOXES)
            alone = Million(gateway("alone", home / "few"), FEW, report)
            crowded = Million(gateway("crowded", spool), messages, report)
            try:
                run(crowded, alone)
            finally:
                for each in (crowded, alone):
                    each.gateway.kill()
    if report.missed:
        sys.exit(f"\nMissed: {'; '.join(report.missed)}")


def run(crowded: Million, alone: Million) -> None:
    """All of it, in order."""
    crowded.start()
    crowded.look()
    crowded.look_through()
    crowded.reload()
    alone.gateway.start()
    crowded.report.tell("first 250, without the crowd", alone.gateway.first_250(), "s")
    compare(crowded, alone)
    alone.gateway.stop()
    crowded.flush()
    crowded.again()


if __name__ == "__main__":
    main()
