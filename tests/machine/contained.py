"""A gateway in a container, a rehearsal beside it in there, and a client of it.

The rehearsal listens on loopback only, so it runs in the gateway's own container, with its folder
and the mail it took in the volume of the state. It ends with the container.
"""

from __future__ import annotations

import re
from pathlib import Path

from attrs import define

from m365gw.rehearsal.tenant import APP_ID, APP_SECRET
from tests.machine.machine import Machine

STATE = "/var/lib/m365gw"
REHEARSAL = (
    f"m365gw rehearsal --folder {STATE}/rehearsal --mail-folder {STATE}/arrived --no-limits "
    "--smtp-port 10587 --https-port 10443 --control-port 10080"
)
RELAY, SCANNER = "relay@contoso.example", "scanner@contoso.example"


@define
class Contained:
    """How it is reached: `exec` is what goes before a command inside, `volume` has its state."""

    machine: Machine
    exec: str
    volume: str
    configuration: str
    password: str = ""

    def run(self, line: str, typed: str = "") -> str:
        return self.machine.run(f"{self.exec} {line}", typed=typed)

    def rehearse(self) -> None:
        """Start a rehearsal, and lead the gateway to it."""
        cloud = self._state("rehearsal/cloud.toml")
        cloud.unlink(missing_ok=True)
        self.machine.run(f"{self.exec.replace('exec ', 'exec --detach ')} {REHEARSAL}")
        self.machine.wait_until(cloud.exists, "the rehearsal did not come")
        there = self.machine.path(f"{self.configuration}/conf.d/rehearsal.toml")
        there.parent.mkdir(exist_ok=True)
        there.write_bytes(cloud.read_bytes())
        self.wait_until_it_answers()
        self.run("m365gw reload")

    def wait_until_it_answers(self) -> None:
        self.machine.wait_until(
            lambda: self.machine.ends(f"{self.exec} m365gw healthcheck"),
            "the gateway did not come up",
        )

    def add_mailbox(self) -> None:
        """The one of the rehearsal that a secret opens."""
        self.run(
            f"m365gw mailbox add {RELAY} --cloud rehearsal --flow secret --secret-file - "
            f"--tenant contoso.example --client-id {APP_ID}",
            typed=APP_SECRET,
        )

    def let_printer_in(self) -> None:
        """A login that may send by that mailbox."""
        said = self.run(f"m365gw client add printer3 --sender {SCANNER} --mailbox {RELAY}")
        found = re.search(r"shown this once: +(\S+)", said)
        assert found, said
        self.password = found[1]

    def submit(self, subject: str) -> None:
        """Send as a printer would from the machine: STARTTLS, AUTH, one message."""
        swaks = f"swaks --server 127.0.0.1:587 --tls --auth-user printer3 --from {SCANNER}"
        words = [*swaks.split(), "--to", "you@example.com", "--auth-password", self.password]
        self.machine.from_here(*words, "--header", f"Subject: {subject}")

    def arrived(self, subject: str) -> bytes:
        """The message with this subject as the rehearsal took it, once it did."""
        arrived: list[bytes] = []

        def is_there() -> bool:
            found = [path.read_bytes() for path in self._state("arrived").glob("*.eml")]
            arrived[:] = [each for each in found if f"Subject: {subject}\r\n".encode() in each]
            return bool(arrived)

        self.machine.wait_until(is_there, f"{subject} did not arrive")
        return arrived[0]

    def _state(self, name: str) -> Path:
        return self.machine.path(f"/var/lib/docker/volumes/{self.volume}/_data/{name}")
