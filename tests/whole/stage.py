"""The stage of whole-service tests: the real `twistd -n m365gw` and a rehearsal Microsoft 365.

Both are processes of their own on free loopback ports, driven by real clients. A test waits for
what it expects (an event in the gateway's log, a message at the rehearsal), never for time to pass;
`PATIENCE` only bounds how long a failure takes. Everything the gateway wrote is scanned for secrets
when the stage is cleared.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.control import Control
from m365gw.directory import passwords
from m365gw.rehearsal.tenant import APP_SECRET

PATIENCE = 120.0  # seconds until something expected is given up
BIN = Path(sys.executable).parent
LOGIN = "printer3"
PASSWORD = "correct-horse-battery-staple"
PASSWORD_HASH = passwords.hash_chosen(PASSWORD)
RELAY = "relay@contoso.example"
SENDER = "scanner@contoso.example"

CONFIGURATION = f"""\
hostname = "gateway.contoso.example"
state_dir = "state"
spool_dir = "spool"

[[listener]]
name = "submission"
endpoint = "tcp:0:interface=127.0.0.1"

[[listener]]
name = "smtps"
endpoint = "tcp:0:interface=127.0.0.1"
tls = "implicit"

[[listener]]
name = "trusted"
endpoint = "tcp:0:interface=127.0.0.1"
networks = ["127.0.0.0/8"]

[[mailbox]]
address = "{RELAY}"
flow = "secret"
tenant = "contoso.example"
client_id = "00000000-0000-4000-8000-0000000000a1"
client_secret = "{APP_SECRET}"
cloud = "rehearsal"

[[client]]
login = "{LOGIN}"
password_hash = "{PASSWORD_HASH}"
senders = ["*@contoso.example"]
mailbox = "{RELAY}"

[[network]]
cidr = "127.0.0.0/8"
senders = ["*"]
mailbox = "{RELAY}"

[governor]
messages_per_minute = 1000000
burst = 1000

[log]
format = "json"
level = "debug"
"""

Event = dict[str, Any]
_gateways: WeakSet[Gateway] = WeakSet()  # those of the tests that run


class Microsoft:
    """A rehearsal Microsoft 365, and what a test may ask of it."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._log = (folder / "log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "m365gw.rehearsal", "--folder", str(folder), *flags],
            stdout=self._log,
            stderr=self._log,
        )
        ready = folder / "rehearsal.json"
        await_(ready.exists, "the rehearsal did not start: " + str(folder / "log"))
        self.ports: dict[str, Any] = json.loads(ready.read_text())
        self.cloud = (folder / "cloud.toml").read_text()

    def ask(self, path: str, order: Event | None = None) -> Any:
        """GET, or POST with `order`, at the control interface."""
        address = f"http://127.0.0.1:{self.ports['control']}/rehearsal/{path}"
        body = None if order is None else json.dumps(order).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(address, data=body), timeout=PATIENCE) as answer:
            content = answer.read()
        return json.loads(content) if "json" in answer.headers.get_content_type() else content

    def fault(self, **fault: Any) -> None:
        """Order a fault (`rehearsal.faults.Fault`)."""
        self.ask("faults", fault)

    def mend(self) -> None:
        """All faults are over."""
        address = f"http://127.0.0.1:{self.ports['control']}/rehearsal/faults"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(urllib.request.Request(address, method="DELETE"), timeout=PATIENCE).close()

    def messages(self) -> list[Event]:
        """Everything received so far."""
        found: list[Event] = []
        while True:
            more = self.ask(f"messages?since={len(found)}&limit=1000")["messages"]
            if not more:
                return found
            found += more

    def wait_for(self, count: int) -> list[Event]:
        """The messages received, once there are so many."""
        await_(
            lambda: len(self.messages()) >= count,
            f"Microsoft did not receive {count} messages",
        )
        return self.messages()

    def content(self, number: int) -> bytes:
        """The octets of one message as they arrived."""
        content: bytes = self.ask(f"messages/{number}")
        return content

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()


class Gateway:
    """A gateway process, its log and its ports."""

    def __init__(self, folder: Path, configuration: str, control: Path) -> None:
        self.folder = folder
        self.control = control
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "m365gw.toml"
        self.config.write_text(configuration)
        self.listeners = configuration.count("[[listener]]")
        self.events: list[Event] = []
        self.lines: list[str] = []
        self.ports: dict[str, int] = {}
        try:
            self.start()
        except BaseException:
            self.kill()  # nobody else knows of it
            raise

    def start(self) -> None:
        """Start it (again); returns when it listens."""
        heard = len(self.events)
        self._changed = threading.Condition()
        _gateways.add(self)
        self.process = subprocess.Popen(
            [str(BIN / "twistd"), "-n", "--pidfile=", "m365gw", "--config", str(self.config)],
            cwd=self.folder,
            env={**os.environ, "M365GW_CONTROL_SOCKET": str(self.control)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        for _ in range(self.listeners):
            event = self.wait_for("listener.ready", since=heard)
            heard = self.events.index(event, heard) + 1
            self.ports[event["listener"]] = int(event["address"].rpartition(":")[2])

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "output", "note": line}
            with self._changed:
                self.lines.append(line)
                self.events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, event: str, since: int = 0, **fields: Any) -> Event:
        """The first such event of the log; its fields are compared as they stand."""

        def found() -> Event | None:
            for each in self.events[since:]:
                if each["event"] == event and fields.items() <= each.items():
                    return each
            return None

        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while (match := found()) is None:
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"no event {event} {fields} in the log:\n{self.tail()}")
                self._changed.wait(min(left, 1.0))
        return match

    def tail(self) -> str:
        """The last lines of its log."""
        return "".join(self.lines[-40:])

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `m365gw` for this gateway to its end."""
        return subprocess.run(
            [str(BIN / "m365gw"), "--config", str(self.config), *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "M365GW_CONTROL_SOCKET": str(self.control)},
        )

    def sign_in(self, microsoft: Microsoft, address: str = RELAY) -> str:
        """`m365gw mailbox signin`, with a person at the other end; gives what it said."""
        command = subprocess.Popen(
            [str(BIN / "m365gw"), "--config", str(self.config), "mailbox", "signin", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "M365GW_CONTROL_SOCKET": str(self.control)},
        )
        assert command.stdout is not None
        said = ""
        for line in command.stdout:
            said += line
            if match := re.search(r"enter the code\s+(\S+)", line):
                microsoft.ask("device", {"user_code": match.group(1), "user": address})
        if command.wait() or "is signed in" not in said:
            raise AssertionError(f"the sign-in failed:\n{said}")
        return said

    @property
    def api(self) -> Control:
        """Its control socket."""
        return Control(str(self.control))

    def of(self, event: str, **fields: Any) -> list[Event]:
        """All such events so far."""
        return [e for e in self.events if e["event"] == event and fields.items() <= e.items()]

    def spooled(self) -> list[Path]:
        """The message files in the spool."""
        return [
            path
            for part in ("new", "cur")
            for path in (self.folder / "spool").rglob(f"{part}/*")
            if path.is_file()
        ]

    def is_drained(self) -> bool:
        """Whether the spool is empty: looked at twice, as what moves meanwhile is seen once."""
        return not self.spooled() and not self.spooled()

    def hidden(self) -> list[Path]:
        """Messages that are accepted and cannot be seen yet."""
        return [path for path in self.spooled() if path.name.startswith(".")]

    def kill(self) -> None:
        """kill -9."""
        _gateways.discard(self)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join(PATIENCE)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status


def await_(condition: Callable[[], bool], complaint: str) -> None:
    """Wait until something outside this process is so. A failure tells the end of all logs."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("\n".join([complaint, *(each.tail() for each in _gateways)]))
        pause.wait(0.05)


class WholeTestCase(SynchronousTestCase):
    """A test with a folder of its own; what it starts is stopped, and its logs are scanned."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def microsoft(self, *flags: str) -> Microsoft:
        started = Microsoft(self.folder / "microsoft", *flags)
        self.addCleanup(started.stop)
        return started

    def gateway(
        self, microsoft: Microsoft, more: str = "", configuration: str = CONFIGURATION
    ) -> Gateway:
        # A folder of its own, as the name of a socket must be short.
        short = Path(tempfile.mkdtemp(prefix="m365gw-"))
        self.addCleanup(shutil.rmtree, short)  # also when it does not start, or not stop
        whole = configuration + more + microsoft.cloud
        started = Gateway(self.folder / "gateway", whole, short / "control.sock")
        self.addCleanup(self._leave, started)
        return started

    def _leave(self, gateway: Gateway) -> None:
        try:
            if gateway.process.poll() is None:
                gateway.stop()
        finally:
            gateway.kill()  # nothing, where it has ended
        self.assert_no_secret("".join(gateway.lines))

    def assert_no_secret(self, text: str) -> None:
        """No token, password or secret in what was written, at debug level or anywhere."""
        for secret in (APP_SECRET, PASSWORD):
            self.assertNotIn(secret, text)
            self.assertNotIn(_base64(secret), text)
        self.assertIsNone(
            re.search(r"Bearer [A-Za-z0-9]|dXNlcj[A-Za-z0-9+/=]{40}|eyJ[\w-]{20}", text)
        )

    def run_client(self, *command: str | Path, stdin: bytes = b"") -> str:
        """Run a real client to its end and give what it said; its failure fails the test."""
        done = subprocess.run(
            [str(word) for word in command],
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        if done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{said}")
        return said


def _base64(text: str) -> str:
    """A stretch that any base64 text holding this text at its start would hold."""
    import base64

    return base64.b64encode(text.encode())[:24].decode()
