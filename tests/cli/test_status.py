"""`m365gw status`: what an administrator sees at one look."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.status import screen

GATEWAY: dict[str, Any] = {
    "version": "1.0",
    "hostname": "gw\x1b[31m",
    "pid": 7,
    "started_at": 0.0,
    "is_draining": False,
    "drains_until": None,
    "health": {"good": True, "troubles": []},
    "queue": {"in_flight": 1, "scheduled": 1200, "without_mailbox": 0},
    "connections": 2,
    "listeners": [{"listener": "submission", "address": "127.0.0.1:25"}],
}


class ScreenTests(SynchronousTestCase):
    def shown(self, **more: Any) -> str:
        return "\n".join(screen(GATEWAY | more, [], 60.0))

    def test_one_look(self) -> None:
        """What runs, and what waits."""
        self.assertIn("1 message being delivered, 1,200 waiting", self.shown())
        self.assertIn("127.0.0.1:25", self.shown())
        self.assertNotIn("\x1b", self.shown())

    def test_mail_of_a_mailbox_that_is_not_configured(self) -> None:
        """No row of a mailbox would show it."""
        queue = GATEWAY["queue"] | {"without_mailbox": 1}
        self.assertIn("1 message of mailboxes that are not configured", self.shown(queue=queue))
        self.assertNotIn("not configured", self.shown())

    def test_nothing_is_set_up(self) -> None:
        """Where to begin."""
        said = self.shown(listeners=[])
        self.assertIn("The log names a set-up page", said)
        self.assertIn("m365gw mailbox add", said)
        self.assertNotIn("set-up", self.shown())

    def test_draining(self) -> None:
        """And until when."""
        said = self.shown(is_draining=True, drains_until=90.0)
        self.assertIn("It stops in 30 seconds at the latest.", said)

    def test_open_incidents(self) -> None:
        """How many, and which command tells of them; nothing where there are none."""
        said = "\n".join(screen(GATEWAY, [], 60.0, 2))
        self.assertIn("2 incidents open: m365gw incident list", said)
        self.assertNotIn("ncident", self.shown())
