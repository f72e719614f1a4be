"""The body and the signature of a webhook, as docs/incidents.md promises them."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.alerts.event import Kind
from m365gw.alerts.payload import body, headers
from tests.alerts.news import BOX, GATEWAY, HELD, event

PAGE = Path(__file__).parents[2] / "docs" / "incidents.md"


class PayloadTests(SynchronousTestCase):
    def test_the_documented_body_is_what_is_sent(self) -> None:
        """Every key of the example in the document, and no other."""
        shown = re.search(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
        assert shown is not None
        example, sent = json.loads(shown[1]), json.loads(body(event()))
        self.assertEqual(list(sent), list(example))
        self.assertEqual(list(sent["incident"]), list(example["incident"]))

    def test_times_and_names(self) -> None:
        """Times as RFC 3339 has them, the four sentences, and of what it is."""
        sent = json.loads(body(event()))
        self.assertEqual((sent["event"], sent["gateway"]), ("incident.opened", GATEWAY))
        self.assertEqual(sent["at"], "2027-01-15T08:00:00Z")
        incident = sent["incident"]
        self.assertEqual(incident["subject"], {"mailbox": BOX})
        self.assertEqual(incident["opened_at"], "2027-01-15T07:50:00Z")
        self.assertIsNone(incident["closed_at"])
        self.assertEqual((incident["what"], incident["who"]), (HELD.what, HELD.who))

    def test_the_text_is_ready_for_a_chat(self) -> None:
        """All four sentences while it is open; when it is over, how long it lasted."""
        text = json.loads(body(event()))["text"]
        self.assertTrue(text.startswith(f"PROBLEM on {GATEWAY}\nWhat happened: {HELD.what}\n"))
        for words in (HELD.why, HELD.fix, "an Entra administrator", "m365gw incident show"):
            self.assertIn(words, text)
        text = json.loads(body(event(Kind.CLOSED)))["text"]
        self.assertIn("after 10 min", text)
        self.assertNotIn(HELD.fix, text)

    def test_the_signature_covers_time_and_body(self) -> None:
        """As a receiver checks it."""
        content = body(event())
        fields = headers(content, "d1", "s3cret", 1_800_000_000.5)
        stamp = fields["X-M365GW-Timestamp"]
        self.assertEqual(stamp, "1800000000")
        wanted = hmac.new(b"s3cret", stamp.encode() + b"." + content, hashlib.sha256).hexdigest()
        self.assertEqual(fields["X-M365GW-Signature"], f"v1={wanted}")

    def test_without_a_secret_there_is_no_signature(self) -> None:
        """Rather none than one that anybody could make."""
        self.assertNotIn("X-M365GW-Signature", headers(b"{}", "d1", "", 0.0))
