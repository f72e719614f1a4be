"""The service under systemd: it says when it is ready, and takes sockets it is handed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.whole.stage import BIN, CONFIGURATION, PATIENCE, WholeTestCase

SOCKETS = """\
[[listener]]
name = "mx"
endpoint = "systemd:domain=INET:index=0"
networks = ["127.0.0.0/8"]
"""


class SystemdTests(WholeTestCase):
    def test_ready_with_sockets_that_were_handed_over(self) -> None:
        """READY comes when mail is taken, at a socket that was open before; STOPPING at its end."""
        folder = self.folder / "gateway"
        folder.mkdir()
        config = folder / "m365gw.toml"
        config.write_text(CONFIGURATION + SOCKETS + self.microsoft().cloud)
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(ear.close)
        ear.settimeout(PATIENCE)
        name = f"m365gw-systemd-{os.getpid()}"
        ear.bind("\0" + name)
        handed = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(handed.close)
        process = self._activated(config, handed, "@" + name)
        try:
            self.assertEqual("READY=1", ear.recv(4096).decode().splitlines()[0])
            port = handed.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                self.assertEqual(b"220", client.recv(4096)[:3])
            process.terminate()
            self.assertEqual("STOPPING=1", ear.recv(4096).decode().splitlines()[0])
            self.assertEqual(0, process.wait(PATIENCE))
        finally:
            process.kill()
            process.wait()

    def _activated(self, config: Path, handed: socket.socket, ear: str) -> subprocess.Popen[bytes]:
        """The service with one socket as systemd hands it over: number 3, for this process."""
        twistd = [str(BIN / "twistd"), "-n", "--pidfile=", "m365gw", "--config", str(config)]
        hand_over = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', "
            "LISTEN_FDNAMES='m365gw.socket'); "
            "os.execv(sys.argv[2], sys.argv[2:])"
        )
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", hand_over, str(handed.fileno()), *twistd],
                cwd=config.parent,
                pass_fds=[handed.fileno()],
                env={
                    **os.environ,
                    "M365GW_CONTROL_SOCKET": "",
                    "NOTIFY_SOCKET": ear,
                },
                stdout=log,
                stderr=log,
            )
