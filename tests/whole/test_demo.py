"""`m365gw demo`: the first minute of everybody who tries the gateway."""

from __future__ import annotations

import signal
import subprocess

from tests.whole.stage import BIN, PATIENCE, WholeTestCase


class DemoTests(WholeTestCase):
    def test_one_message_travels(self) -> None:
        """Accepted, spooled, token, delivered, received; and how to send one's own."""
        folder = self.folder / "demo"
        said = self.run_client(BIN / "m365gw", "demo", "--once", "--folder", folder)
        steps = [
            "accepted  250 2.0.0 Ok: queued as ",
            "spooled  spool/incoming/new/",
            "token  MSAL fetched one for relay@contoso.example",
            "sent  to you@elsewhere.example by 127.0.0.1",
            "received  by the rehearsal Microsoft 365",
            "| Subject: Your scan",
            "swaks --server 127.0.0.1:",
            "curl --url smtp://127.0.0.1:",
        ]
        places = [said.find(step) for step in steps]
        self.assertNotIn(-1, places, said)
        self.assertEqual(places, sorted(places))
        self.assertEqual([p for p in (folder / "spool").glob("*/new/*") if p.is_file()], [])

    def test_ends_with_all_it_started(self) -> None:
        """However it is told to end, no process is left behind: all have closed the pipe."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                demo = subprocess.Popen(
                    [BIN / "m365gw", "demo"],
                    cwd=self.folder,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                assert demo.stdout is not None
                while "Waiting for your messages" not in demo.stdout.readline():
                    self.assertIsNone(demo.poll())
                demo.send_signal(number)
                said, _ = demo.communicate(timeout=PATIENCE)
                self.assertIn("Stopping: the gateway finishes what it has in hand.", said)
                self.assertEqual(demo.returncode, 0)
