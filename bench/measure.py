"""One measurement of one server: its figures, and whether the machine was quiet meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attrs import evolve, frozen

from bench.cells import Cell
from bench.load import Result
from bench.processes import kernel_threads, processor_seconds, proportional_octets
from bench.quiet import Clocks, Disturbance, disturbance
from bench.servers import Server

QUEUED = 10_000  # messages, for the memory of a full queue
PATIENCE = 120.0  # seconds for the last message to be delivered
CHECKED = 5_000  # messages sent by `smtp-source`
DELIVERED = b"status=sent"
ROOT = Path(__file__).parents[1]


class MeasurementFailed(Exception):
    """A server or the generator did not do what it should; the text says what it said."""


@frozen(kw_only=True)
class Figures:
    """What one run measured; None: not measured. Memory is octets (PSS), latency seconds."""

    rate: float  # messages a second
    cpu: float  # processor seconds for each 1,000 messages, of all the server's processes
    p50: float  # latency of the final dot
    p99: float
    memory: int
    generator: float  # share of one processor the generator used
    memory_queued: int | None = None  # with QUEUED messages
    smtp_source: float | None = None  # messages a second, by `smtp-source`
    last_hop: float | None = None  # processor seconds for each 1,000 messages, of the last hop


Measured = tuple[Figures, Disturbance]


@frozen
class Look:
    """All clocks at one moment, in seconds of processor time."""

    machine: Clocks
    server: float
    last_hop: float
    bench: float
    kernel: dict[int, float]  # its threads, which write what is synced

    @classmethod
    def now(cls, server: Server, last_hop: int | None = None) -> Look:
        return cls(
            Clocks.now(),
            processor_seconds(server.pid),
            processor_seconds(last_hop) if last_hop else 0.0,
            time.process_time(),
            kernel_threads(),
        )

    def disturbance(self, later: Look, generator: float) -> Disturbance:
        """How others disturbed until then; the generator used so much."""
        ours = later.server - self.server + later.last_hop - self.last_hop
        ours += later.bench - self.bench + generator
        # Those that have ended meanwhile took their clocks with them.
        ours += sum(used - self.kernel.get(pid, 0.0) for pid, used in later.kernel.items())
        return disturbance(self.machine, later.machine, ours)


def accepting(server: Server, cell: Cell, seconds: float, *, thorough: bool) -> Measured:
    """How fast the server takes mail. `thorough`: also memory when full, and `smtp-source`."""
    with _load(server, *cell.arguments, f"--seconds={seconds}") as load:
        _begin(load)
        before = Look.now(server)
        result = _result(load)
        after = Look.now(server)
    figures = Figures(
        rate=result.messages / result.seconds,
        cpu=1000 * (after.server - before.server) / result.messages,
        p50=result.p50,
        p99=result.p99,
        memory=proportional_octets(server.pid),
        generator=result.cpu / result.seconds,
    )
    if thorough:
        # Those of the warm-up are there too, so it has a few more than that.
        _send(server, cell, QUEUED - result.messages)
        memory_queued = proportional_octets(server.pid)
        figures = evolve(
            figures, memory_queued=memory_queued, smtp_source=_smtp_source(server, cell)
        )
    return figures, before.disturbance(after, result.cpu)


def end_to_end(server: Server, last_hop: int, cell: Cell, messages: int) -> Measured:
    """How fast the server takes so many messages and delivers them all to the last hop."""
    deliveries = Deliveries(server.log)
    first = cell.sessions * 10
    _send(server, cell, first)  # now connections are made and tokens are there
    deliveries.wait_for(first)
    before, started = Look.now(server, last_hop), time.monotonic()
    with _load(server, *cell.arguments, f"--messages={messages}") as load:
        _begin(load)
        result = _result(load)
    deliveries.wait_for(first + messages)
    elapsed, after = time.monotonic() - started, Look.now(server, last_hop)
    figures = Figures(
        rate=messages / elapsed,
        cpu=1000 * (after.server - before.server) / messages,
        p50=result.p50,
        p99=result.p99,
        memory=proportional_octets(server.pid),
        generator=result.cpu / result.seconds,
        last_hop=1000 * (after.last_hop - before.last_hop) / messages,
    )
    return figures, before.disturbance(after, result.cpu)


class Deliveries:
    """Counts delivered messages in a log while it grows."""

    def __init__(self, log: Path) -> None:
        self._file = log.open("rb")
        self._rest = b""
        self.count = 0

    def wait_for(self, count: int) -> None:
        """Return once so many were delivered in all. Raises MeasurementFailed."""
        end = time.monotonic() + PATIENCE
        while self.count < count:
            if time.monotonic() > end:
                raise MeasurementFailed(f"only {self.count} of {count} messages were delivered")
            text = self._rest + self._file.read()
            self.count += text.count(DELIVERED)
            self._rest = text[text.rfind(b"\n") + 1 :]
            self.count -= self._rest.count(DELIVERED)
            time.sleep(0.02)


@contextmanager
def _load(server: Server, *arguments: str) -> Iterator[IO[str]]:
    """The generator at work, by what it says; at the end it has ended."""
    command = (sys.executable, "-m", "bench.load", f"--port={server.port}", *arguments)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        try:
            yield load.stdout
            load.wait(PATIENCE)
        finally:
            load.kill()


def _begin(load: IO[str]) -> None:
    if load.readline() != "begin\n":
        raise MeasurementFailed("the generator did not begin; what it said is above")


def _result(load: IO[str]) -> Result:
    line = load.readline()
    if not line:
        raise MeasurementFailed("the generator broke off; what it said is above")
    return Result(**json.loads(line))


def _send(server: Server, cell: Cell, messages: int) -> None:
    """Send so many messages, if that is any."""
    if messages > 0:
        with _load(server, *cell.arguments, f"--messages={messages}") as load:
            _begin(load)
            _result(load)


def _smtp_source(server: Server, cell: Cell) -> float:
    """The same load by Postfix's own generator, as a check on ours: messages a second."""
    command = ["smtp-source", "-d", "-s", cell.sessions, "-l", cell.size, "-m", CHECKED]
    command += ["-f", "relay@contoso.example", "-t", "sink@example.net"]
    started = time.monotonic()
    subprocess.run(
        [str(word) for word in (*command, f"127.0.0.1:{server.port}")], check=True, timeout=PATIENCE
    )
    return CHECKED / (time.monotonic() - started)
