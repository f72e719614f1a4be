"""Tests of a rehearsal as a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import requests
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.__main__ import main


class ProcessTests(SynchronousTestCase):
    """`python -m m365gw.rehearsal`."""

    def test_process_announces_itself_and_ends(self) -> None:
        """It prints the table for a gateway, names its ports, answers, and ends when told."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "rehearsal.json").write_text("left behind")
        command = [sys.executable, "-m", "m365gw.rehearsal", "--folder", str(folder), "--no-limits"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            printed = ""
            while "ca_file" not in printed:
                line = process.stdout.readline()
                self.assertTrue(line, printed)
                printed += line
            self.assertTrue(tomllib.loads(printed)["cloud"]["rehearsal"]["rehearsal"])
            facts = json.loads((folder / "rehearsal.json").read_text())
            with requests.Session() as web:
                web.trust_env = False
                answer = web.get(f"http://127.0.0.1:{facts['control']}/rehearsal")
            self.assertEqual(answer.json()["ports"]["smtp"], facts["smtp"])
            process.terminate()
            self.assertEqual(process.wait(120), 0)

    def test_port_in_use(self) -> None:
        """A port that is taken is told in a line, without a traceback."""
        folder = self.mktemp()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = subprocess.run(
                [sys.executable, "-m", "m365gw.rehearsal", "--folder", folder, "--smtp-port", port],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn("Choose another port, or 0 for any free one.", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_help_says_what_it_is(self) -> None:
        """Good reading, with every option explained."""
        result = CliRunner().invoke(main, ["--help"])
        self.assertEqual(result.exit_code, 0)
        self.assertIn("It is not Microsoft", " ".join(result.output.split()))
