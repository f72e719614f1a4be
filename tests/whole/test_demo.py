"""`m365gw demo`: the first minute of everybody who tries the gateway."""

from __future__ import annotations

import subprocess

from tests.whole.stage import BIN, PATIENCE, WholeTestCase

STEPS = (
    "accepted  250 2.0.0 Ok: queued as ",
    "spooled  spool/incoming/new/",
    "token  MSAL fetched one for relay@contoso.example",
    "sent  to you@elsewhere.example by 127.0.0.1",
    "received  by the rehearsal Microsoft 365",
    "| Subject: Your scan",
    "swaks --server 127.0.0.1:",
    "curl --url smtp://127.0.0.1:",
    "in a browser, as demo with the password",
    "http://127.0.0.1:",
    "/rehearsal/switches",
    "Waiting for your messages",
)


class DemoTests(WholeTestCase):
    def test_one_message_travels(self) -> None:
        """Accepted, spooled, token, delivered, received; and how to send one's own.

        Told to end, it takes its two processes with it: all three have closed the pipe.
        """
        folder = self.folder / "demo"
        demo = subprocess.Popen(
            [BIN / "m365gw", "demo", "--folder", folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert demo.stdout is not None
        said = ""
        while line := demo.stdout.readline():
            said += line
            if STEPS[-1] in line:
                break
        demo.terminate()
        rest, _ = demo.communicate(timeout=PATIENCE)
        places = [said.find(step) for step in STEPS]
        self.assertNotIn(-1, places, said)
        self.assertEqual(places, sorted(places))
        self.assertEqual([p for p in (folder / "spool").glob("*/new/*") if p.is_file()], [])
        self.assertIn("Stopping: the gateway finishes what it has in hand.", rest)
        self.assertEqual(demo.returncode, 0)
