"""The gateway itself, started as a user would start it: `twistd -n m365gw --config FILE`.

Mail comes from a trusted network without a login, as with Postfix. Either it delivers nothing, or
it delivers to a rehearsal Microsoft 365 with all limits off, on both sides. That last hop is
STARTTLS and a sign-in, in Python: it costs the machine more than `smtp-sink` does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from bench.processes import running
from bench.servers import PATIENCE, Server, await_greeting, free_port
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET

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
networks = ["127.0.0.0/8"]

[[network]]
cidr = "127.0.0.0/8"
senders = ["*"]
mailbox = "relay@contoso.example"

[[mailbox]]
address = "relay@contoso.example"
flow = "secret"
tenant = "contoso.example"
client_id = "{client_id}"
client_secret = "{client_secret}"
cloud = "rehearsal"

[queue]
delivery = {delivery}

[limits]
client_connection_limit = 1000
transaction_limit = 1000000000

[governor]
connections = 20
messages_per_minute = 1000000
burst = 1000000
recipients_per_day = 1000000000
messages_per_connection = 1000000

{cloud}
"""
_NOWHERE = """\
[cloud.rehearsal]
rehearsal = true
smtp = "127.0.0.1:9"
authority = "https://127.0.0.1:9/TENANT"
"""


@frozen
class Rehearsal:
    """A rehearsal Microsoft 365: its process, and the table that leads a gateway to it."""

    pid: int
    cloud: str


@contextmanager
def gateway(
    folder: Path, certificate: Path, last_hop: Rehearsal | None = None, more: str = ""
) -> Iterator[Server]:
    """The gateway running in this folder; without a last hop it only accepts.

    `more` is added to its configuration.
    """
    configuration, log, port = folder / "m365gw.toml", folder / "log", free_port()
    configuration.write_text(
        _CONFIGURATION.format(
            certificate=certificate,
            port=port,
            client_id=APP_ID,
            client_secret=APP_SECRET,
            delivery="true" if last_hop else "false",
            cloud=last_hop.cloud if last_hop else _NOWHERE,
        )
        + more
    )
    configuration.chmod(0o600)
    twistd = (Path(sys.executable).parent / "twistd", "-n", "--pidfile=", f"--logfile={log}")
    command = (*twistd, "m365gw", "--config", configuration)
    with running(command, folder, said="gateway.out") as pid:
        await_greeting("the gateway", port, folder / "gateway.out")
        yield Server(port, pid, log)


@contextmanager
def rehearsal(folder: Path) -> Iterator[Rehearsal]:
    """A rehearsal Microsoft 365 without limits, that keeps no contents."""
    command = (sys.executable, "-m", "m365gw.rehearsal", "--no-limits", "--digests-only")
    ready, end = folder / "rehearsal.json", time.monotonic() + PATIENCE
    with running((*command, "--folder", folder), folder, said="rehearsal.out") as pid:
        while not ready.exists():
            if time.monotonic() > end:
                raise TimeoutError("the rehearsal did not start; see rehearsal.out")
            time.sleep(0.02)
        yield Rehearsal(pid, (folder / "cloud.toml").read_text())
