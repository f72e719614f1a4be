"""The gateway as a user would start it, with ten mailboxes, before a rehearsal that has limits.

Its pace is that of Exchange Online, so that a queue of a million stays one while it is looked at.
"""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field

from bench.processes import proportional_octets
from bench.servers import free_port
from m365gw.cli.control import Control, ControlFailed, NotRunning
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET

MAILBOXES = tuple(f"relay{number}@contoso.example" for number in range(10))
NEW = b"From: erp@contoso.example\r\nSubject: new\r\n\r\nNew.\r\n"
PATIENCE = 120.0  # seconds for anything that is waited for
LOOK_EVERY = 60  # seconds between two looks through the spool
BIN = Path(sys.executable).parent

_HEAD = """\
hostname = "gateway.example.com"
state_dir = "{folder}/state"
spool_dir = "{spool}"
control_socket = "{folder}/control"

[tls]
certificate = "{certificate}"
key = "{certificate}"

[[listener]]
name = "bench"
endpoint = "tcp:{port}:interface=127.0.0.1"
networks = ["127.0.0.0/8"]

[[network]]
cidr = "127.0.0.0/8"
senders = ["*"]
mailbox = "relay0@contoso.example"

[queue]
queue_run_delay = {look_every}

{more}
{cloud}
"""
PATIENT = """
[limits]
client_connection_limit = 1000
command_limit = 1000000000
"""
_MAILBOX = """
[[mailbox]]
address = "{address}"
flow = "secret"
tenant = "contoso.example"
client_id = "{client_id}"
client_secret = "{client_secret}"
cloud = "rehearsal"
"""


def open_mailboxes(folder: Path) -> None:
    """Tell the rehearsal in this folder of the ten, each of which may send as anybody."""
    port = json.loads((folder / "rehearsal.json").read_text())["control"]
    order = {
        "apps": {APP_ID: {"mailboxes": MAILBOXES}},
        "mailboxes": {address: {"send_as": ["*"]} for address in MAILBOXES},
    }
    address = f"http://127.0.0.1:{port}/rehearsal/switches"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(address, data=json.dumps(order).encode())).close()


@define
class CrowdedGateway:
    """One gateway: start it, stop it, ask it. Times are seconds since it was started."""

    folder: Path
    spool: Path
    certificate: Path
    cloud: str
    more: str = PATIENT  # tables of the configuration
    port: int = field(factory=free_port)
    _started: float = 0.0
    _program: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._program is not None
        return self._program.pid

    @property
    def configuration(self) -> Path:
        return self.folder / "m365gw.toml"

    @property
    def control(self) -> Control:
        return Control(str(self.folder / "control"))

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def memory(self) -> int:
        """Its memory (PSS), in octets."""
        return proportional_octets(self.pid)

    def start(self) -> None:
        """Start it, without waiting for anything."""
        self.folder.mkdir(exist_ok=True)
        text = _HEAD.format(
            folder=self.folder,
            spool=self.spool,
            certificate=self.certificate,
            port=self.port,
            cloud=self.cloud,
            more=self.more,
            look_every=LOOK_EVERY,
        )
        for address in MAILBOXES:
            secret = {"client_id": APP_ID, "client_secret": APP_SECRET}
            text += _MAILBOX.format(address=address, **secret)
        self.configuration.write_text(text)
        self.configuration.chmod(0o600)
        (self.folder / "log").write_text("")
        command = [BIN / "twistd", "-n", "--pidfile=", f"--logfile={self.folder}/log", "m365gw"]
        self._started = time.monotonic()
        with (self.folder / "said").open("ab") as said:
            self._program = subprocess.Popen(
                [str(word) for word in (*command, "--config", self.configuration)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def stop(self) -> float:
        """End it by SIGTERM; the seconds that took."""
        assert self._program is not None
        began = time.monotonic()
        self._program.terminate()
        self._program.wait(PATIENCE)
        return time.monotonic() - began

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._program is not None:
            self._program.kill()
            self._program.wait()

    def first_250(self) -> float:
        """Hand in a message as soon as it can be; when that was promised."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", self.port, "bench") as client:
                    client.sendmail("erp@contoso.example", ["sink@example.net"], NEW)
                return self._age()
            except OSError:
                self._await_a_little(end, "it takes no mail")

    def await_log(self, word: str) -> float:
        """When the log first held this word."""
        return self.await_that(lambda: word in self.log, f"its log does not say {word}")

    def await_that(self, holds: Callable[[], bool], else_said: str) -> float:
        """When this first held."""
        end = time.monotonic() + PATIENCE
        while not holds():
            self._await_a_little(end, else_said)
        return self._age()

    def status(self) -> dict[str, Any]:
        """What it says of itself; {} while it cannot be asked."""
        try:
            return dict(self.control.get("/status"))
        except (NotRunning, ControlFailed):
            return {}

    def _await_a_little(self, end: float, else_said: str) -> None:
        assert self._program is not None
        if self._program.poll() is not None or time.monotonic() > end:
            raise TimeoutError(f"{else_said}; its log ends with {self.log[-2000:]}")
        time.sleep(0.02)

    def _age(self) -> float:
        return time.monotonic() - self._started
