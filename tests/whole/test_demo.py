"""`m365gw demo`: the first minute of everybody who tries the gateway."""

from __future__ import annotations

from tests.whole.stage import BIN, WholeTestCase


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
