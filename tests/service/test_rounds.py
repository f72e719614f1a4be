"""When the doctor examines by itself, and what is kept of it."""

from __future__ import annotations

import io
import os
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.doctor.casebook import Casebook
from m365gw.doctor.finding import Finding, bad, good
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.service.rounds import AGAIN, DELAY, FIRST, MOST_WAITING, Rounds
from tests.admin.web.browser import AtOnce

DAY = 86400.0
RELAY = "relay@contoso.com"
TOLD = Diagnosis("consent-missing", "What.", "Why.", "Fix.", "entra-admin")


@define
class Examination:
    """Finds that one check of each mailbox fails; `gate` holds it up."""

    mailboxes: list[str] = field(factory=lambda: [RELAY, "b@contoso.com"])
    asked: list[tuple[list[str], bool]] = field(factory=list)
    gate: Any = field(factory=lambda: succeed(None))

    async def __call__(self, addresses: Any, *, send: bool, heard: Any) -> dict[str, Any]:
        self.asked.append((list(addresses), send))
        heard("", Finding("D01", "files", good("it", "fine")))
        await self.gate
        found = Finding("D07", "token", bad("it", "no", TOLD))
        names = list(addresses) or self.mailboxes
        for name in names:
            heard(name, found)
        each = [{"address": name, "findings": [found.plain()]} for name in names]
        return {"gateway": [], "mailboxes": each}


class RoundsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.makedirs(self.folder)
        self.every = DAY
        self.examination = Examination()
        self.begin()

    def begin(self) -> None:
        """A service starts."""
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.lines = io.StringIO()
        log = EventLog(self.lines, hostname="gw", format="json", clock=self.clock.seconds)
        self.incidents = Incidents(log, self.clock.seconds)
        calls: Any = AtOnce()
        self.rounds = Rounds(
            examine=self.examination,
            book=Casebook(self.folder),
            every=lambda: self.every,
            calls=calls,
            clock=self.clock,
            incidents=self.incidents,
            log=log,
        )
        self.rounds.start()


class TimeTests(RoundsTestCase):
    def test_daily_and_soon_after_the_first_start(self) -> None:
        """What was never examined is after ten minutes; then each day. Nothing is sent."""
        self.clock.advance(FIRST)
        self.clock.advance(DAY)
        self.assertEqual(self.examination.asked, [([], False)] * 2)
        self.assertIn("failed: D07 relay@contoso.com", self.lines.getvalue())

    def test_a_restart_does_not_begin_anew(self) -> None:
        """The round of an hour ago counts, and its findings are there."""
        self.clock.advance(FIRST)
        self.begin()
        self.assertEqual(self.rounds.book.known[RELAY].count("fail"), 1)
        self.clock.advance(DAY - 2)
        self.assertEqual(len(self.examination.asked), 1)
        self.clock.advance(FIRST + 2)
        self.assertEqual(len(self.examination.asked), 2)

    def test_never_when_it_is_not_wanted(self) -> None:
        """Neither daily nor for a mailbox that stops; a reload that wants it again counts."""
        self.every = 0.0
        self.begin()
        self.incidents.open(TOLD, state="needs_admin", mailbox=RELAY)
        self.clock.pump([AGAIN] * 30)
        self.assertEqual(self.examination.asked, [])
        self.every = DAY
        self.clock.advance(AGAIN)
        self.assertEqual(len(self.examination.asked), 1)

    def test_nothing_begins_after_the_end(self) -> None:
        """Nothing is left on the clock."""
        self.incidents.open(TOLD, state="needs_admin", mailbox=RELAY)
        self.rounds.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StopTests(RoundsTestCase):
    def test_a_mailbox_that_stops_is_examined(self) -> None:
        """A minute later; the next time not before an hour is over."""
        for _ in range(3):
            self.incidents.open(TOLD, state="needs_admin", mailbox=RELAY)
            self.clock.advance(DELAY)
            self.incidents.close(TOLD.key, mailbox=RELAY)
        self.assertEqual(self.examination.asked, [([RELAY], False)])
        self.incidents.open(TOLD, state="needs_admin", mailbox=RELAY)
        self.assertIn("as it has stopped", self.rounds.book.known[RELAY].by)

    def test_what_is_mended_meanwhile_is_not(self) -> None:
        """Nor what heals by itself, what somebody paused, or what is no mailbox."""
        self.incidents.open(TOLD, state="needs_admin", mailbox=RELAY)
        self.incidents.close(TOLD.key, mailbox=RELAY)
        heals = Diagnosis("busy", "What.", "Why.", "Fix.", "nobody")
        self.incidents.open(heals, state="throttled", mailbox=RELAY)
        self.incidents.open(TOLD, state="paused", mailbox="b@contoso.com")
        self.incidents.open(TOLD, level="error", file="x")
        self.incidents.open(TOLD, state="needs_admin", mailbox="unknown@contoso.com")
        self.clock.advance(DELAY)
        self.assertEqual(self.examination.asked, [])

    def test_a_tenant_that_fails_does_not_start_hundreds(self) -> None:
        """So many wait at most; the others are seen by the next round."""
        self.examination.mailboxes[:] = [f"m{number}@contoso.com" for number in range(100)]
        for address in self.examination.mailboxes:
            self.incidents.open(TOLD, state="needs_admin", mailbox=address)
        self.clock.advance(DELAY)
        self.assertEqual(len(self.examination.asked), MOST_WAITING)


class TurnTests(RoundsTestCase):
    def test_one_at_a_time_and_seen_as_it_comes(self) -> None:
        """Findings are in the book before the end; who comes second waits."""
        gate: Deferred[None] = Deferred()
        self.examination.gate = gate
        self.rounds.begin([RELAY], "anna")
        self.rounds.begin([], "ben")
        self.assertTrue(self.rounds.is_busy)
        self.assertEqual(self.rounds.book.known[""].count("ok"), 1)
        self.assertTrue(self.rounds.book.known[RELAY].is_under_way)
        self.assertEqual(len(self.examination.asked), 1)
        gate.callback(None)
        self.assertEqual([len(names) for names, _ in self.examination.asked], [1, 0])
        self.assertFalse(self.rounds.is_busy)

    def test_a_disk_that_is_full_keeps_nothing_and_says_so(self) -> None:
        """The findings are there until the next start."""
        os.rename(self.folder, f"{self.folder}-gone")
        with open(self.folder, "w"):  # a file where the folder was
            pass
        self.rounds.begin([RELAY], "anna")
        self.assertIn("doctor.unkept", self.lines.getvalue())
        self.assertFalse(self.rounds.is_busy)
