"""500 mailboxes, each with a token of its own: what they cost, and who has to wait.

    .venv/bin/python -m bench.many_mailboxes [--mailboxes 500] [--idle 60]

Starts the gateway as a user would, with mailboxes of all kinds (`bench.fleet`), before a rehearsal
Microsoft 365, and states: the time until it listens and until the first message is delivered; its
memory before and with all tokens; a burst of a message for each mailbox, without and with tokens;
the requests for tokens; what a listing, a change and a reload take, and how long anybody has to
wait for an answer meanwhile; and what it costs when nothing happens.

The rehearsal runs on the same machine and takes its part of the processor.
"""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import define, field

from bench.certificate import certificate
from bench.fleet import SECRET, Fleet, Member, received, tokens_given
from bench.gateway import rehearsal
from bench.processes import processor_seconds, proportional_octets, running
from bench.pulse import Pulse
from bench.servers import await_greeting, free_port
from m365gw.cli.control import Control

BIN = Path(sys.executable).parent
PATIENCE = 300.0  # seconds for anything that is waited for
MESSAGE = b"From: erp@contoso.example\r\nTo: sink@example.net\r\nSubject: fleet\r\n\r\nHello.\r\n"

_HEAD = """\
hostname = "gateway.example.com"
state_dir = "state"
spool_dir = "spool"
control_socket = "{folder}/control"

[tls]
certificate = "{certificate}"
key = "{certificate}"

[[listener]]
name = "bench"
endpoint = "tcp:{port}:interface=127.0.0.1"
tls = "none"
auth = "offer"
networks = ["127.0.0.0/8"]
quirks = ["plaintext-auth"]

[limits]
command_limit = 1000000000

"""


@define
class Bench:
    """A gateway with its fleet, and what was measured of it so far."""

    folder: Path
    fleet: Fleet
    control_port: int
    port: int = field(factory=free_port)
    pid: int = 0
    began: float = 0.0

    @property
    def control(self) -> Control:
        return Control(str(self.folder / "control"), PATIENCE)

    def configure(self, cloud: str) -> None:
        """Write the configuration, and make what is not in it."""
        own = certificate(self.folder)
        head = _HEAD.format(folder=self.folder, certificate=own, port=self.port)
        file = self.folder / "m365gw.toml"
        file.write_text(f"{head}{self.fleet.configuration()}\n{cloud}")
        file.chmod(0o600)
        self.fleet.enrol(self.control_port)
        with told("set-up of half of them, and of all sign-ins"):
            self.fleet.make(file, self.control_port)

    @contextmanager
    def started(self) -> Iterator[None]:
        """While the gateway runs."""
        twistd = (BIN / "twistd", "-n", "--pidfile=", f"--logfile={self.folder}/log")
        self.began = time.monotonic()
        command = (*twistd, "m365gw", "--config", self.folder / "m365gw.toml")
        with running(command, self.folder, said="gateway.out") as self.pid:
            await_greeting("the gateway", self.port, self.folder / "gateway.out")
            yield

    def age(self) -> str:
        return f"{time.monotonic() - self.began:.1f} s after its start"

    def memory(self) -> str:
        return f"{proportional_octets(self.pid) / 2**20:.0f} MiB"

    def send(self, members: list[Member]) -> None:
        """Hand in a message by each, and wait until all were delivered."""
        wanted = received(self.control_port) + len(members)
        for member in members:
            with smtplib.SMTP("127.0.0.1", self.port, "bench") as client:
                client.login(member.login, self.fleet.passwords[member.login])
                client.sendmail("erp@contoso.example", ["sink@example.net"], MESSAGE)
        end = time.monotonic() + PATIENCE
        while received(self.control_port) < wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"not all was delivered; see {self.folder}/log")
            time.sleep(0.05)

    def burst(self, name: str) -> None:
        """A message for each mailbox: how long it took, what it cost, who had to wait."""
        given = tokens_given(self.control_port)
        work = processor_seconds(self.pid)
        self.felt(name, lambda: self.send(self.fleet.members))
        work = processor_seconds(self.pid) - work
        given = tokens_given(self.control_port) - given
        say("", f"{given} tokens asked for, {work:.1f} s of processor; memory {self.memory()}")

    def felt(self, name: str, act: Callable[[], Any]) -> None:
        """Do something; how long it took, and how long others waited for a reply meanwhile."""
        with Pulse(self.port, self.pid) as pulse:
            began = time.monotonic()
            act()
            took = time.monotonic() - began
        worst = f"others waited {pulse.worst * 1000:.0f} ms at worst, p99 {pulse.p99 * 1000:.0f}"
        say(name, f"{took:.2f} s; {worst}")

    def command(self, *words: str) -> None:
        """Run `m365gw`."""
        done = subprocess.run(
            [BIN / "m365gw", "--config", self.folder / "m365gw.toml", *words],
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)

    def change(self) -> None:
        """Add one more login, as the console does."""
        values = {"login": "one-more", "senders": ["*"], "mailbox": self.fleet.members[0].address}
        self.control.post("/clients/add", {"values": values})

    def reload_changed(self) -> None:
        """Read a configuration anew in which one mailbox is another."""
        file = self.folder / "m365gw.toml"
        file.write_text(file.read_text().replace(SECRET, f"{SECRET}2", 1))
        self.control.post("/reload")

    def rest(self, seconds: float) -> None:
        """Nothing happens; what that costs."""
        before, given = processor_seconds(self.pid), tokens_given(self.control_port)
        time.sleep(seconds)
        used = (processor_seconds(self.pid) - before) / seconds * 60
        given = tokens_given(self.control_port) - given
        say("when nothing happens", f"{used:.2f} s of processor a minute; {given} tokens")


@contextmanager
def told(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(name, f"{time.monotonic() - began:.1f} s")


def say(name: str, words: str) -> None:
    click.echo(f"{name:<44} {words}")


@click.command()
@click.option("--mailboxes", default=500, show_default=True)
@click.option("--idle", default=60.0, show_default=True, help="Seconds in which nothing happens.")
def main(mailboxes: int, idle: float) -> None:
    """Measure a gateway with many mailboxes."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as name, rehearsal(Path(name)) as microsoft:
        folder = Path(name)
        ports = json.loads((folder / "rehearsal.json").read_text())
        bench = Bench(folder, Fleet(mailboxes, folder), ports["control"])
        bench.configure(microsoft.cloud)
        with bench.started():
            measure(bench, idle)


def measure(bench: Bench, idle: float) -> None:
    """All figures, in an order in which none spoils another."""
    say("it listens", bench.age())
    bench.send(bench.fleet.members[:1])
    say("the first message is delivered", bench.age())
    say("memory", bench.memory())
    bench.rest(10.0)
    bench.burst("a message for each, no tokens yet")
    bench.burst("a message for each, tokens at hand")
    control = bench.control
    bench.felt("GET /mailboxes, with the ends of credentials", lambda: control.get("/mailboxes"))
    bench.felt("GET /mailboxes, again", lambda: control.get("/mailboxes"))
    bench.felt("m365gw mailbox list", lambda: bench.command("mailbox", "list"))
    bench.felt("m365gw status", lambda: bench.command("status"))
    bench.felt("a login added", bench.change)
    bench.felt("reload, nothing changed", lambda: control.post("/reload"))
    bench.felt("reload, one mailbox changed", bench.reload_changed)
    bench.rest(idle)


if __name__ == "__main__":
    main()
