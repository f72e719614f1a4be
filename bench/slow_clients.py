"""Thousands of connections that do nothing, and what those notice of it who send mail.

    .venv/bin/python -m bench.slow_clients [--rounds 5]

Starts the gateway as a user would. In each round ten sessions send 10 KiB messages (`bench.load`)
for a few seconds without, then with a crowd (`bench.slow_crowd`) of 2,000 idle connections and 500
that drip. In two scenes:

* *inside*: the crowd is in the trusted network and all limits are high. Everybody is let in, so
  that the cost of holding them is seen.
* *outside*: the limits are those of the settings' defaults, and the crowd is of strangers, who come
  again as often as they are turned away or cut off.

The goal: with the crowd mail is taken at four fifths of the rate without it, in the median round.
Ends with 1 when that is missed. What others used of the machine meanwhile is said with each round.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import define, field, frozen

from bench.certificate import certificate
from bench.processes import processor_seconds, proportional_octets, running
from bench.quiet import Clocks, disturbance
from bench.servers import await_greeting, free_port

GOAL = 0.8
SESSIONS, SIZE = 10, 10240
IDLE, DRIPPING = 2000, 500

_CONFIGURATION = """\
hostname = "gateway.example.com"
state_dir = "state"
spool_dir = "spool"
control_socket = ""

[tls]
certificate = "{certificate}"
key = "{certificate}"

[[listener]]
name = "bench"
endpoint = "tcp:{port}:interface=127.0.0.1"
networks = ["{trusted}"]

[[network]]
cidr = "{trusted}"
senders = ["*"]
mailbox = "relay@contoso.example"

[[mailbox]]
address = "relay@contoso.example"
flow = "secret"
tenant = "contoso.example"
client_id = "00000000-0000-4000-8000-0000000000a1"
client_secret = "none"
cloud = "rehearsal"

[cloud.rehearsal]
rehearsal = true
smtp = "127.0.0.1:9"
authority = "https://127.0.0.1:9/TENANT"

[queue]
delivery = false

{limits}
"""


@frozen
class Scene:
    """Where the crowd is, and what it may."""

    title: str
    trusted: str
    limits: str


SCENES = (
    Scene(
        "inside: everybody is let in",
        "127.0.0.0/8",
        "[limits]\nconnection_limit = 4000\nclient_connection_limit = 1000",
    ),
    Scene("outside: strangers, against the default limits", "127.0.0.1/32", ""),
)


@frozen
class Sent:
    """Mail for some seconds: messages a second, the 99th percentile of the final dot, and costs."""

    rate: float
    p99: float  # seconds
    processor: float  # share of one, of the gateway
    memory: int  # octets, of the gateway
    foreign: float  # share of the machine that others used

    @property
    def cost(self) -> float:
        """Milliseconds of processor for a message, whatever else the gateway did meanwhile."""
        return self.processor / self.rate * 1000


@define
class Round:
    """One round of a scene."""

    calm: Sent
    crowded: Sent
    crowd: dict[str, Any] = field(factory=dict)

    @property
    def ratio(self) -> float:
        return self.crowded.rate / self.calm.rate

    def line(self) -> str:
        calm, crowded = self.calm, self.crowded
        return (
            f"  {calm.rate:6.0f} -> {crowded.rate:6.0f} messages/s ({self.ratio:4.0%})"
            f"   p99 {calm.p99 * 1000:5.1f} -> {crowded.p99 * 1000:5.1f} ms"
            f"   processor {calm.cost:4.2f} -> {crowded.cost:4.2f} ms a message"
            f"   memory {calm.memory / 2**20:4.0f} -> {crowded.memory / 2**20:4.0f} MiB"
            f"   others {calm.foreign:3.0%}, {crowded.foreign:3.0%}\n"
            f"    of the crowd {self.crowd['connected']} are connected;"
            f" all their connections so far: {self.crowd['answers']}"
        )


@contextmanager
def gateway(folder: Path, scene: Scene) -> Iterator[tuple[int, int]]:
    """The gateway: its process and its port."""
    port = free_port()
    configuration, log = folder / "m365gw.toml", folder / "log"
    configuration.write_text(
        _CONFIGURATION.format(
            certificate=certificate(folder),
            port=port,
            trusted=scene.trusted,
            limits=scene.limits,
        )
    )
    configuration.chmod(0o600)
    twistd = (Path(sys.executable).parent / "twistd", "-n", "--pidfile=", f"--logfile={log}")
    command = (*twistd, "m365gw", "--config", configuration)
    with running(command, folder, said="gateway.out") as pid:
        await_greeting("the gateway", port, folder / "gateway.out")
        yield pid, port


@contextmanager
def crowd(port: int) -> Iterator[subprocess.Popen[str]]:
    """The crowd, once all of it has tried to come."""
    order = ("--port", str(port), "--idle", str(IDLE), "--dripping", str(DRIPPING))
    with subprocess.Popen(
        [sys.executable, "-m", "bench.slow_crowd", *order],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.terminate()


def send(pid: int, port: int, seconds: float, others: int | None = None) -> Sent:
    """Mail for so long; `others` is a process of ours beside gateway and generator."""
    order = ("--port", str(port), "--sessions", str(SESSIONS), "--size", str(SIZE))
    used_by = [pid] if others is None else [pid, others]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.load", *order, "--seconds", str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    ) as load:
        assert load.stdout is not None
        load.stdout.readline()  # it begins
        machine, used = Clocks.now(), [processor_seconds(each) for each in used_by]
        result = json.loads(load.stdout.readline())
        spent = [
            processor_seconds(each) - before for each, before in zip(used_by, used, strict=True)
        ]
        foreign = disturbance(machine, Clocks.now(), sum(spent) + result["cpu"]).foreign
    share = spent[0] / result["seconds"]
    rate = result["messages"] / result["seconds"]
    return Sent(rate, result["p99"], share, proportional_octets(pid), foreign)


def play(scene: Scene, seconds: float) -> Round:
    """One round, with a gateway of its own."""
    with tempfile.TemporaryDirectory() as name, gateway(Path(name), scene) as (pid, port):
        calm = send(pid, port, seconds)
        with crowd(port) as slow:
            assert slow.stdin is not None and slow.stdout is not None
            crowded = send(pid, port, seconds, slow.pid)
            slow.stdin.write("\n")
            slow.stdin.flush()
            return Round(calm, crowded, json.loads(slow.stdout.readline()))


@click.command(help=__doc__.split("\n", maxsplit=1)[0])
@click.option("--rounds", default=5, help="Of each scene; the scenes take turns.")
@click.option("--seconds", default=4.0, help="Of mail without, and with the crowd, in a round.")
def main(rounds: int, seconds: float) -> None:
    played: dict[Scene, list[Round]] = {scene: [] for scene in SCENES}
    for _ in range(rounds):
        for scene in SCENES:
            click.echo(f"{scene.title}:")
            played[scene].append(play(scene, seconds))
            click.echo(played[scene][-1].line())
    is_good = True
    for scene, found in played.items():
        median = statistics.median(one.ratio for one in found)
        worst = min(one.ratio for one in found)
        click.echo(f"{scene.title}: {median:.0%} of the calm rate (median), {worst:.0%} at worst")
        is_good = is_good and median >= GOAL
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
