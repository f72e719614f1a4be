"""Tests for `m365gw.relay.queue.upkeep`."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.stops.kept import STATE_FILE
from m365gw.relay.tokens.failures import TokenUnavailable
from tests.relay.stage import BOX, Stage, refuse


class UpkeepTests(SynchronousTestCase):
    """What is written down, and when."""

    def setUp(self) -> None:
        self.stage = Stage(self)
        self.stage.dispatch.start()

    def kept(self) -> Any:
        data = self.stage.spool.read_state(STATE_FILE)
        return None if data is None else json.loads(data)

    def test_what_stops_a_mailbox_is_written_within_a_second(self) -> None:
        """A moment after a mailbox was stopped the next process would know of it."""
        self.stage.pool.script = [refuse(550, "5.1.8", "Access denied, bad outbound sender")]
        self.stage.send()
        self.stage.wait(1)
        self.assertEqual([stop[:2] for stop in self.kept()["stops"]], [["mailbox", BOX]])

    def test_budgets_are_made_durable_within_seconds(self) -> None:
        """A power loss may forget a few seconds of what was sent, not more."""
        self.stage.send()
        self.assertTrue(self.stage.governor.ledger.has_unsynced)
        self.stage.wait(6)
        self.assertFalse(self.stage.governor.ledger.has_unsynced)

    def test_sign_of_life_is_written_each_minute(self) -> None:
        """A quiet service notes that it is alive, so that downtime can be told."""
        self.stage.wait(150)
        self.assertGreaterEqual(self.kept()["excuses"]["at"], self.stage.clock.seconds() - 61)

    def test_stop_writes_the_last_state(self) -> None:
        """A stop in good order leaves nothing to be guessed."""
        self.stage.send()
        self.successResultOf(Deferred.fromCoroutine(self.stage.dispatch.stop(1)))
        self.assertEqual(self.kept()["excuses"]["at"], self.stage.clock.seconds())

    def test_removals_are_made_durable_within_a_second(self) -> None:
        """What was delivered does not come back after a power loss a second later."""
        self.stage.send()
        self.assertTrue(self.stage.spool.has_unsynced)
        self.stage.wait(1)
        self.assertFalse(self.stage.spool.has_unsynced)

    def test_disk_that_cannot_take_the_note_is_said(self) -> None:
        """A failing write is tried again; it is logged once, and once that it is over."""
        failing = [OSError(28, "No space left on device")] * 2
        write_state = self.stage.spool._files.write_all

        def fail(*arguments: Any) -> None:
            if failing:
                raise failing.pop()
            write_state(*arguments)

        self.patch(self.stage.spool._files, "write_all", fail)
        self.stage.wait(30)
        for event in ("spool.unwritable", "spool.writable"):
            self.assertEqual(len(self.stage.events(event)), 1, event)
        self.assertIsNotNone(self.kept())

    def test_new_sign_in_is_noticed(self) -> None:
        """Somebody signs in by the command: what waited goes within seconds, without a restart."""
        words = Diagnosis("entra-grant", "Sign-in needed.", "Revoked.", "Sign in.", "mailbox-user")
        self.stage.pool.script = [TokenUnavailable("login", words)] * 2
        self.stage.send()
        self.stage.send()
        self.stage.wait(60)
        self.assertEqual(self.stage.pool.delivered, [])
        self.stage.pool.script = []
        self.stage.signed_in.add(BOX)
        self.stage.wait(6)
        self.assertEqual(len(self.stage.pool.delivered), 2)

    def test_sign_in_does_not_end_what_else_stops_a_mailbox(self) -> None:
        """An operator's pause stays, whoever signs in."""
        words = Diagnosis("paused", "Paused.", "By you.", "Resume it.", "operator")
        self.stage.mailboxes.pause(BOX, words, self.stage.clock.seconds())
        self.stage.signed_in.add(BOX)
        self.stage.send()
        self.stage.wait(60)
        self.assertEqual(self.stage.pool.delivered, [])

    def test_machine_that_slept_ages_no_message(self) -> None:
        """A week asleep, or a clock set forward by a week: the next 4yz returns nothing."""
        self.stage.pool.script = [refuse(451, "4.3.2", "later")] * 3
        self.stage.send()
        self.stage.wait(5)
        self.stage.clock.advance(7 * 86400)
        self.stage.wait(10_000, 100)
        self.assertEqual(self.stage.statuses(), ["deferred"] * 3 + ["sent"])
