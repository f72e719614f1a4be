"""A spool made in bulk is one as the gateway makes it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.crowd import ANSWER, CLIENTS, MESSAGE, crowd, some_that_stay
from m365gw.spool.names import State, tag
from m365gw.spool.spool import Spool


class CrowdTests(SynchronousTestCase):
    def test_every_message_is_whole(self) -> None:
        """Each is found by its name, and what is in it is what its name and checksums say."""
        folder = Path(self.mktemp())
        crowd(folder, 40, ["a@example.com", "b@example.com"])
        spool = Spool.open(str(folder), hostname="test")
        self.addCleanup(spool.close)
        entries = list(spool.entries())
        self.assertEqual({entry.state for entry in entries}, {State.DEFERRED})
        self.assertEqual(len({entry.id for entry in entries}), 40)
        for entry in entries:
            message = spool.claim(entry)
            [one] = message.recipients
            self.assertEqual(message.read(0, message.size), MESSAGE)
            self.assertEqual((one.reply, tag(message.origin.mailbox)), (ANSWER, entry.mailbox))
            self.assertLess(int(message.origin.client.rpartition(".")[2]), CLIENTS)
            message.close()
        stay = some_that_stay(folder, 5)
        self.assertEqual(len({spool.find(queue_id) for queue_id in stay} - {None}), 5)
