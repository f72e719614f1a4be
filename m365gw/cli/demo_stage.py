"""What the demo runs: a rehearsal Microsoft 365 and a gateway, each a process of its own.

They are started as a user would start them, with a configuration written for the occasion, on
loopback ports that need no privileges. The gateway's log is read as JSON, one event a line.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from attrs import define, field

from m365gw.directory import passwords
from m365gw.directory.database import Database
from m365gw.directory.operators import Operators
from m365gw.directory.state_dir import claim
from m365gw.rehearsal.tenant import APP_SECRET

LOGIN = "printer3"
SENDER = "scanner@contoso.example"
PATIENCE = 60.0  # seconds until a process that does not start is given up
WANTED_PORTS = {"submission": 2587, "smtps": 2465, "trusted": 2525}
CONSOLE_PORT = 8025
FIRST = "\0m365gw-demo"  # a name in Linux's abstract namespace, which its owner's end frees
OPERATOR = "demo"  # who signs in to the console, with the password of the printer

_CONFIGURATION = """\
# Written by `m365gw demo`. Everything here is on this machine.
hostname = "gateway.contoso.example"
state_dir = "state"
spool_dir = "spool"
control_socket = "{control}"

[[listener]]
name = "submission"
endpoint = "tcp:{submission}:interface=127.0.0.1"

[[listener]]
name = "smtps"
endpoint = "tcp:{smtps}:interface=127.0.0.1"
tls = "implicit"

[[listener]]
name = "trusted"
endpoint = "tcp:{trusted}:interface=127.0.0.1"
networks = ["127.0.0.0/8"]

[[mailbox]]
address = "relay@contoso.example"
flow = "secret"
tenant = "contoso.example"
client_id = "00000000-0000-4000-8000-0000000000a1"
client_secret = "{app_secret}"
cloud = "rehearsal"

[[client]]
login = "{login}"
password_hash = "{password_hash}"
senders = ["*@contoso.example"]
mailbox = "relay@contoso.example"

[[network]]
cidr = "127.0.0.0/8"
senders = ["*@contoso.example"]
mailbox = "relay@contoso.example"

[web]
endpoint = "tcp:{console}:interface=127.0.0.1"

[log]
format = "json"

{cloud}
"""


class StageFailed(Exception):
    """A process of the demo did not start; the text says what it said."""


@define
class Stage:
    """The two processes, and where they listen."""

    folder: Path
    password: str = ""
    ports: dict[str, int] = field(factory=dict)  # of the gateway, by listener
    console: str = ""  # its address
    microsoft: dict[str, Any] = field(factory=dict)  # of the rehearsal: smtp, https, control
    _processes: list[subprocess.Popen[str]] = field(factory=list)
    _log: IO[str] | None = None
    # For the control socket, as the name of one must be short whatever folder this is.
    _sockets: tempfile.TemporaryDirectory[str] = field(
        factory=lambda: tempfile.TemporaryDirectory(prefix="m365gw-")
    )
    _first: socket.socket = field(factory=lambda: socket.socket(socket.AF_UNIX))

    def raise_curtain(self) -> None:
        """Start both, and return when both listen. Raises StageFailed."""
        self._start_rehearsal()
        self._start_gateway()

    def events(self) -> Iterator[dict[str, Any]]:
        """The gateway's log, event by event, for as long as it runs."""
        assert self._log is not None
        for line in self._log:
            try:
                yield json.loads(line)
            except ValueError:
                yield {"event": "program", "level": "error", "note": line.rstrip()}

    def ask_microsoft(self, path: str, order: dict[str, Any] | None = None) -> Any:
        """Ask the rehearsal for something, or (with `order`) to do something."""
        address = f"http://127.0.0.1:{self.microsoft['control']}/rehearsal/{path}"
        body = None if order is None else json.dumps(order).encode()
        # No proxy: this stays on the machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(address, data=body), timeout=PATIENCE) as answer:
            content = answer.read()
        return json.loads(content) if "json" in answer.headers.get_content_type() else content

    def clear(self) -> None:
        """End both, the gateway first, so that it can finish what it has in hand."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._sockets.cleanup()
        self._first.close()

    def _start_rehearsal(self) -> None:
        folder = self.folder / "microsoft"
        folder.mkdir(parents=True)
        log = (folder / "log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "m365gw.rehearsal", "--folder", str(folder)],
            stdout=log,
            stderr=log,
            text=True,
        )
        self._processes.append(process)
        ready = folder / "rehearsal.json"
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise StageFailed((folder / "log").read_text())
            time.sleep(0.05)
        self.microsoft = json.loads(ready.read_text())

    def _start_gateway(self) -> None:
        self.password, stored = passwords.generate()
        is_first = self._is_first()
        wanted = {**WANTED_PORTS, "console": CONSOLE_PORT}
        configuration = self.folder / "m365gw.toml"
        configuration.write_text(
            _CONFIGURATION.format(
                **{name: _free(port) if is_first else 0 for name, port in wanted.items()},
                control=Path(self._sockets.name) / "control.sock",
                app_secret=APP_SECRET,
                login=LOGIN,
                password_hash=stored,
                cloud=(self.folder / "microsoft" / "cloud.toml").read_text(),
            )
        )
        self._add_operator()
        # twistd lies beside the interpreter; `-m twisted` would do without its --pidfile.
        twistd = shutil.which("twistd", path=str(Path(sys.executable).parent)) or "twistd"
        process = subprocess.Popen(
            [twistd, "-n", "--pidfile=", "m365gw", "--config", str(configuration)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        self._log = process.stdout
        heard = []
        for event in self.events():
            heard.append(str(event.get("note", event)))
            if event["event"] == "listener.ready":
                self.ports[event["listener"]] = int(event["address"].rpartition(":")[2])
            if event["event"] == "web.ready":
                self.console = f"http://{event['address']}"
            if len(self.ports) == len(WANTED_PORTS) and self.console:
                return
        raise StageFailed("\n".join(heard))

    def _is_first(self) -> bool:
        """Whether no other demo runs: between a look at a port and its use, one could take it."""
        try:
            self._first.bind(FIRST)
        except OSError:
            return False
        return True

    def _add_operator(self) -> None:
        state_dir = str(self.folder / "state")
        claim(state_dir)
        database = Database("", state_dir)
        stored = passwords.hash_chosen(self.password)
        Operators(database).add(OPERATOR, stored, "operator", "m365gw demo")
        database.close()


def _free(port: int) -> int:
    """The port if nobody has it, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
