"""A storm of wrong logins, and what those notice of it who know their password.

    .venv/bin/python -m bench.auth_storm [--rate 1000] [--seconds 20]

Starts the gateway as a user would, and has a process of its own say 1,000 wrong AUTH a second from
50 addresses (`bench.storm`). Meanwhile clients at other addresses connect with TLS, log in and
send a message, one after the other: with a generated password; with a chosen one that was never
checked before, each time another login; and with the chosen password of the login that the storm
aims at, from the address where that has logged in before. The same is measured without the storm.

The goal: everybody who knows a password is logged in within a second. Ends with 1 when it is
missed.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from attrs import define, field

from bench.certificate import certificate
from bench.figures import percentile
from bench.processes import processor_seconds, proportional_octets, running
from bench.servers import free_port
from m365gw.directory import passwords

GOAL = 1.0  # seconds from connecting to the 235
COLD = 250  # clients with a chosen password that log in once
CHOSEN = "tell nobody of it"
MESSAGE = b"Subject: storm\r\n\r\nStill here.\r\n"
KINDS = ("generated", "chosen, never checked", "chosen, stormed at")

_CONFIGURATION = """\
hostname = "gateway.example.com"
state_dir = "state"
spool_dir = "spool"
control_socket = ""

[tls]
certificate = "{certificate}"
key = "{certificate}"

[[listener]]
name = "smtps"
endpoint = "tcp:{port}:interface=127.0.0.1"
tls = "implicit"

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

# This is about logins: the storm has all the connections it wants.
[limits]
connection_limit = 5000
network_connection_limit = 5000
client_connection_rate_limit = 1000000
"""
_CLIENT = """
[[client]]
login = "{login}"
password_hash = "{stored}"
senders = ["*"]
mailbox = "relay@contoso.example"
"""


@define
class Calm:
    """One round: clients that know their password, each from an address of its own."""

    port: int
    generated: str
    cold: Iterator[int]
    logins: dict[str, list[float]] = field(factory=lambda: {kind: [] for kind in KINDS})
    messages: list[float] = field(factory=list)

    def run(self, seconds: float) -> None:
        """Log in and send, kind after kind, for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            number = next(self.cold)
            self._send("generated", "printer", self.generated, "127.0.2.1")
            self._send("chosen, never checked", f"cold{number}", CHOSEN, f"127.0.3.{number}")
            self._send("chosen, stormed at", "office", CHOSEN, "127.0.4.1")
            time.sleep(0.2)

    def _send(self, kind: str, login: str, password: str, address: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        begun = time.perf_counter()
        with smtplib.SMTP_SSL(
            "127.0.0.1", self.port, context=context, source_address=(address, 0), timeout=60
        ) as client:
            client.login(login, password)
            in_between = time.perf_counter()
            client.sendmail("a@example.com", ["b@example.com"], MESSAGE)
            self.logins[kind].append(in_between - begun)
            self.messages.append(time.perf_counter() - in_between)

    def lines(self) -> Iterator[str]:
        """What was measured, for people."""
        for what, values in (*self.logins.items(), ("a message, behind the login", self.messages)):
            said = sorted(value * 1000 for value in values)
            yield (
                f"  {what:<28} n={len(said):<4} median {percentile(said, 0.5):7.1f} ms"
                f"   99% {percentile(said, 0.99):7.1f} ms   worst {said[-1]:7.1f} ms"
            )

    @property
    def is_good(self) -> bool:
        return max(max(values) for values in self.logins.values()) < GOAL


@contextmanager
def gateway(folder: Path) -> Iterator[tuple[int, int, str]]:
    """The gateway: its process, its port, and the generated password of "printer"."""
    port, log = free_port(), folder / "log"
    generated, fast = passwords.generate()
    slow = passwords.hash_chosen(CHOSEN)
    logins = {"printer": fast, "office": slow, **{f"cold{each}": slow for each in range(COLD)}}
    configuration = folder / "m365gw.toml"
    configuration.write_text(
        _CONFIGURATION.format(certificate=certificate(folder), port=port)
        + "".join(_CLIENT.format(login=login, stored=each) for login, each in logins.items())
    )
    configuration.chmod(0o600)
    twistd = (Path(sys.executable).parent / "twistd", "-n", "--pidfile=", f"--logfile={log}")
    command = (*twistd, "m365gw", "--config", configuration)
    with running(command, folder, said="gateway.out") as pid:
        end = time.monotonic() + 30
        while not (log.exists() and "listening" in log.read_text()):
            if time.monotonic() > end:
                raise TimeoutError((folder / "gateway.out").read_text())
            time.sleep(0.05)
        yield pid, port, generated


@click.command(help=__doc__.split("\n", maxsplit=1)[0])
@click.option("--rate", default=1000, help="Wrong logins a second.")
@click.option("--seconds", default=20.0, help="How long the storm lasts.")
def main(rate: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name, gateway(Path(name)) as (pid, port, generated):
        cold = iter(range(COLD))
        calm = Calm(port, generated, cold)
        calm.run(3.0)
        click.echo("Without the storm, from connecting to the 235:\n" + "\n".join(calm.lines()))
        order = ("--port", str(port), "--rate", str(rate), "--seconds", str(seconds))
        with subprocess.Popen(
            [sys.executable, "-m", "bench.storm", *order], stdout=subprocess.PIPE, text=True
        ) as storm:
            assert storm.stdout is not None
            storm.stdout.readline()  # it begins
            before, used = proportional_octets(pid), processor_seconds(pid)
            stormy = Calm(port, generated, cold)
            stormy.run(seconds - 2)
            after, used = proportional_octets(pid), processor_seconds(pid) - used
            said = json.loads(storm.communicate()[0])
        click.echo("In the storm:\n" + "\n".join(stormy.lines()))
        click.echo(f"  the storm: {said}")
        click.echo(
            f"  the gateway: {used / (seconds - 2):.2f} of one processor, memory"
            f" {before / 2**20:.0f} MiB before and {after / 2**20:.0f} MiB after"
        )
        lines = (Path(name) / "log").read_text().count("\n")
        click.echo(f"  lines in its log: {lines}")
    sys.exit(0 if stormy.is_good else 1)


if __name__ == "__main__":
    main()
