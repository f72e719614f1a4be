"""When a gateway is ready, and that Microsoft has no part in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Listener, Network
from m365gw.directory.entries import Made
from m365gw.service.readiness import Readiness

LISTENER = Listener(name="submission", endpoint="tcp:587")
NETWORK = Network(cidr="10.0.0.0/8", senders=("*",), mailbox="relay@contoso.example")


class ReadinessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.until: float | None = None
        self.places = [{"listener": "submission", "address": "0.0.0.0:587"}]
        self.troubles: list[dict[str, str]] = []
        self.made: Any = SimpleNamespace(failure="", known=Made())

    def faults(self) -> list[str]:
        listening = SimpleNamespace(places=lambda: self.places)
        parts: Any = SimpleNamespace(
            drain=SimpleNamespace(until=self.until),
            mail_in=SimpleNamespace(listening=listening),
            settings=SimpleNamespace(listener=(LISTENER,)),
            directory=SimpleNamespace(made=self.made),
        )
        status: Any = SimpleNamespace(status=lambda: {"health": {"troubles": self.troubles}})
        return Readiness(parts, status).faults()

    def test_all_is_well(self) -> None:
        """Nothing is asked of mailboxes or of Microsoft: the parts here have none."""
        self.assertEqual(self.faults(), [])

    def test_what_keeps_mail_out(self) -> None:
        """A drain, a listener without its port, a disk: each in words."""
        self.until = 100.0
        self.assertIn("It drains", self.faults()[0])
        self.until, self.places = None, []
        self.assertEqual(self.faults(), ["Listener submission is not bound."])
        self.troubles = [
            {"what": "The disk of the spool failed.", "why": "/secret/path", "fix": ""}
        ]
        self.assertEqual(self.faults()[1], "The disk of the spool failed.")

    def test_a_directory_that_was_known_once_will_do(self) -> None:
        """Its last state is used; only without any is nobody known."""
        self.made.failure = "connection refused"
        self.assertIn("cannot be reached", self.faults()[0])
        self.made.known = evolve(Made(), networks=(NETWORK,))
        self.assertEqual(self.faults(), [])
