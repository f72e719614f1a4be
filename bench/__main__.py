"""The bench: `make bench`, or `.venv/bin/python -m bench --quick`.

Measures the gateway against Debian's Postfix in the same run: how many messages a second each
takes durably, at what cost of processor time, with which latency of the final dot and how much
memory; and how many it delivers end to end. The base of all ratios is Postfix at its cheapest
durable accept (hold queue); Postfix as installed is shown beside it.

Ends with 1, and without figures, when others disturbed too much of it.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click
from attrs import frozen

from bench.cells import CELLS, END_TO_END, HEADLINE, Cell
from bench.certificate import certificate
from bench.gateway import gateway, rehearsal
from bench.ground import Ground, StillBusy
from bench.measure import Measured, MeasurementFailed, accepting, end_to_end
from bench.opensmtpd import can_take, is_there, opensmtpd
from bench.postfix import AS_INSTALLED, DEFERRING, HOLD, postfix, smtp_sink, version
from bench.quiet import LIMIT, await_quiet
from bench.report import table
from bench.rounds import Unquiet, interleaved
from bench.servers import Server
from m365gw import __version__

SECONDS = 4.0  # measured, of each run
MESSAGES = 3_000  # of an end-to-end run
WAIT_FOR_QUIET = 20.0  # seconds before each run

BASE, INSTALLED, OURS = "Postfix, hold queue", "Postfix as installed", "m365gw"
UNSYNCED = "OpenSMTPD, not synced"  # no durable rival: it is shown, and marked
END_TO_END_NOTE = """\
The last hops are not alike: Postfix hands over to smtp-sink in the clear, the gateway to a
rehearsal of Microsoft 365 with STARTTLS and a sign-in, written in Python. Both without limits."""


@frozen
class Bench:
    """What all runs share."""

    ground: Ground
    certificate: Path
    rounds: int
    anyway: bool

    def accept(self, cell: Cell) -> Iterator[str]:
        """The table of one load, nothing being delivered."""
        starts: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
            BASE: lambda folder: postfix(folder, HOLD, self.certificate),
            INSTALLED: lambda folder: postfix(folder, DEFERRING, self.certificate),
            OURS: lambda folder: gateway(folder, self.certificate),
        }
        if is_there() and can_take(cell):
            starts[UNSYNCED] = opensmtpd

        def measure(rival: str) -> Measured:
            with self.ground.fresh() as folder, starts[rival](folder) as server:
                await_quiet(WAIT_FOR_QUIET)
                return accepting(server, cell, SECONDS, thorough=cell == HEADLINE)

        yield from self._table(f"Accepted, durably: {cell.title}", list(starts), measure, BASE)

    def deliver(self, cell: Cell) -> Iterator[str]:
        """The table of a load that is delivered to the last message."""

        def measure(rival: str) -> Measured:
            with self.ground.fresh() as folder, self._chain(rival, folder) as (server, last_hop):
                await_quiet(WAIT_FOR_QUIET)
                return end_to_end(server, last_hop, cell, MESSAGES)

        title = f"Delivered, end to end: {cell.title}"
        yield from self._table(title, [INSTALLED, OURS], measure, INSTALLED)
        yield END_TO_END_NOTE

    @contextmanager
    def _chain(self, rival: str, folder: Path) -> Iterator[tuple[Server, int]]:
        """A server and its last hop."""
        if rival == OURS:
            with rehearsal(folder) as microsoft, gateway(folder, self.certificate, microsoft) as us:
                yield us, microsoft.pid
        else:
            with (
                smtp_sink(folder) as sink,
                postfix(folder, AS_INSTALLED, self.certificate, sink.port) as server,
            ):
                yield server, sink.pid

    def _table(
        self, title: str, rivals: Sequence[str], measure: Callable[[str], Measured], base: str
    ) -> Iterator[str]:
        tell(title)
        rounds = interleaved(rivals, measure, self.rounds, say=tell, anyway=self.anyway)
        yield from table(title, rounds, base)


def tell(text: str) -> None:
    """Progress, for who waits."""
    click.echo(f"... {text}", err=True)


@click.command()
@click.option("--quick", is_flag=True, help="Only 10 KiB in 10 sessions, three rounds.")
@click.option("--rounds", type=int, help="Rounds of each load (default: 5; 3 with --quick).")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=tempfile.gettempdir(),
    show_default=True,
    help="Folder for the images of the file systems.",
)
@click.option(
    "--anyway", is_flag=True, help="Show figures of a disturbed machine too. They mislead."
)
def main(quick: bool, rounds: int | None, scratch: Path, anyway: bool) -> None:
    """Measure the gateway against Debian's Postfix."""
    # An end from outside takes the way of Ctrl-C: servers end, file systems are unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if os.geteuid() != 0:
        sys.exit("Postfix can only be started by root, so the bench needs root.")
    with tempfile.TemporaryDirectory(prefix="m365gw-bench-") as place:
        ground = Ground(scratch)
        Path(place).chmod(0o755)
        bench = Bench(ground, certificate(Path(place)), rounds or (3 if quick else 5), anyway)
        click.echo("\n".join(heading(ground, anyway)))
        try:
            for cell in (HEADLINE,) if quick else CELLS:
                click.echo("\n" + "\n".join(bench.accept(cell)))
            if not quick:
                click.echo("\n" + "\n".join(bench.deliver(END_TO_END)))
        except Unquiet as error:
            sys.exit(
                f"\nNo report: others used this machine too much (limit {LIMIT:.0%}), or its host "
                f"did.\nTry again when it is quiet.\n{error}"
            )
        except (MeasurementFailed, StillBusy, TimeoutError, subprocess.SubprocessError) as error:
            sys.exit(f"\nNo report: {error}")


def heading(ground: Ground, anyway: bool) -> Iterator[str]:
    """What was measured, and where."""
    yield f"m365gw {__version__} against Postfix {version()}, base: {BASE}"
    yield (
        f"{os.cpu_count()} processors, Linux {platform.release()}, Python "
        f"{platform.python_version()}; ratios: median of the rounds (least-most)"
    )
    if ground.why_not:
        yield f"NOT on a fresh journaled ext4 ({ground.why_not}). These figures mislead."
    else:
        yield "each run on a fresh ext4 with a journal, on a loop device"
    if not is_there():
        yield "without OpenSMTPD: its package is not unpacked in .venv/opensmtpd (`make bench`)"
    if anyway:
        yield "DISTURBED ROUNDS ARE IN THESE FIGURES. They mislead; do not quote them."


if __name__ == "__main__":
    main()
