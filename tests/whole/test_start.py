"""What an administrator sees when the service cannot start: the reason, and an end."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests.whole.stage import BIN, CONFIGURATION, PATIENCE, WholeTestCase, await_


class StartTests(WholeTestCase):
    def start(self, configuration: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run twistd to its end; one that neither starts nor ends fails the test."""
        (self.folder / "m365gw.toml").write_text(configuration)
        return subprocess.run(
            [BIN / "twistd", "--pidfile=pid", *options, "m365gw", "--config", "m365gw.toml"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def setUp(self) -> None:
        super().setUp()
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.taken.close)
        port = self.taken.getsockname()[1]
        plain = CONFIGURATION.replace('cloud = "rehearsal"', "").replace('"json"', '"plain"')
        self.configuration = plain.replace("tcp:0:", f"tcp:{port}:", 1)

    def test_port_in_use(self) -> None:
        """It ends with 1 and says which listener; threads that wait do not keep it alive."""
        done = self.start(self.configuration, "--nodaemon")
        self.assertEqual(done.returncode, 1)
        self.assertIn('error: cannot start: Listener "submission" cannot listen on', done.stdout)
        self.assertFalse((self.folder / "pid").exists())

    def test_daemon(self) -> None:
        """Whoever started a daemon learns that it did not, and the log says why."""
        done = self.start(self.configuration, "--logfile=log")
        self.assertEqual(done.returncode, 1)
        self.assertIn("An error has occurred", done.stdout + done.stderr)
        # The daemon tells its caller first and then tidies up.
        await_(lambda: not (self.folder / "pid").exists(), "the pid file stays")
        self.assertIn("Address already in use", Path(self.folder / "log").read_text())

    def test_log_file(self) -> None:
        """With the log in a file the reason stands on the terminal too."""
        done = self.start(self.configuration, "--nodaemon", "--logfile=log")
        self.assertIn('Listener "submission" cannot listen on', done.stderr)

    def test_state_dir(self) -> None:
        """A folder for keys that cannot be made is said before any port is opened."""
        (self.folder / "state").write_text("a file")
        done = self.start(self.configuration, "--nodaemon")
        self.assertEqual(done.returncode, 1)
        self.assertIn("state cannot be used: File exists", done.stdout)

    def test_it_does_not_change_its_user(self) -> None:
        """It never had more rights than it needs, so it has none to give up."""
        done = self.start(self.configuration, "--nodaemon", "--uid=65534")
        self.assertEqual(done.returncode, 78)
        self.assertIn("m365gw does not change its user", done.stderr)

    def test_no_core_dumps(self) -> None:
        """A core would hold tokens and mail."""
        gateway = self.gateway(self.microsoft())
        limits = Path(f"/proc/{gateway.process.pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 +0 ")

    def test_log_file_that_cannot_be_written(self) -> None:
        """It is a mistake in the command, told in a line."""
        done = self.start(self.configuration, "--nodaemon", "--logfile=missing/log")
        self.assertEqual(done.returncode, 78)
        self.assertEqual(
            done.stderr, "--logfile missing/log cannot be written: No such file or directory.\n"
        )
