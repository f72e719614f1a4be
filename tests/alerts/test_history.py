"""What is kept of incidents, and what happens while it cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.alerts import history
from m365gw.alerts.event import Kind
from m365gw.alerts.history import AGAIN, SOON, History
from m365gw.directory.database import DirectoryError
from m365gw.directory.incident_book import Told
from m365gw.incidents import Incident
from tests.alerts.news import BOX, HELD, Stage, event
from tests.relay.stage import Inline


@define
class Book:
    """Keeps incidents in memory, unless it is away."""

    kept: dict[str, Incident] = field(factory=dict)
    told: dict[tuple[str, str], str] = field(factory=dict)
    is_away: bool = False
    writes: int = 0

    def write(self, incidents: Sequence[Incident], told: Told) -> None:
        self._reach()
        self.writes += 1
        self.told |= told
        self.kept.update({each.id: each for each in incidents})

    def latest(self, limit: int) -> list[Incident]:
        self._reach()
        return list(self.kept.values())[:limit]

    def find(self, incident_id: str) -> Incident | None:
        self._reach()
        return self.kept.get(incident_id)

    def _reach(self) -> None:
        if self.is_away:
            raise DirectoryError("The server does not answer.")


class HistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage, self.book = Stage(), Book()
        self.history = History(
            self.book, Inline(), self.stage.clock, self.stage.log, self.stage.incidents
        )
        self.stage.incidents.listen(self.history.hear)

    def latest(self) -> list[str]:
        found = self.successResultOf(Deferred.fromCoroutine(self.history.latest(10)))
        return [each.told.key for each in found]

    def test_news_is_written_soon_and_together(self) -> None:
        """Not by whoever opens it, who must not wait."""
        self.stage.incidents.open(HELD, mailbox=BOX)
        self.stage.incidents.open(HELD)
        self.assertEqual(self.book.writes, 0)
        self.stage.wait(SOON)
        self.assertEqual((self.book.writes, len(self.book.kept)), (1, 2))

    def test_a_book_that_is_away_costs_nothing(self) -> None:
        """It is known from memory, the log says so once, and all is written when it is back."""
        self.book.is_away = True
        self.stage.incidents.open(HELD, mailbox=BOX)
        self.stage.wait(SOON)
        self.stage.incidents.close(HELD.key, mailbox=BOX)
        self.assertEqual(self.latest(), [HELD.key])
        (told,) = self.stage.events("incident.opened")
        found = Deferred.fromCoroutine(self.history.find(told["incident"]))
        self.assertIsNotNone(self.successResultOf(found))
        self.stage.wait(AGAIN * 3, 6)
        self.book.is_away = False
        self.stage.wait(AGAIN * 2, 60)
        self.assertEqual([each.is_open for each in self.book.kept.values()], [False])
        self.assertEqual(len(self.stage.events("incident.unwritten")), 1)

    def test_what_waits_is_bounded(self) -> None:
        """The oldest news is dropped."""
        self.patch(history, "MOST", 3)
        self.book.is_away = True
        for number in range(10):
            self.stage.incidents.open(HELD, mailbox=str(number))
        self.book.is_away = False
        self.stage.wait(SOON)
        self.assertEqual(len(self.book.kept), 3)

    def test_a_stop_writes_what_is_not_written(self) -> None:
        """And leaves nothing behind."""
        self.stage.incidents.open(HELD)
        self.successResultOf(Deferred.fromCoroutine(self.history.stop()))
        self.assertEqual(len(self.book.kept), 1)
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_a_stop_does_not_wait_for_a_book_that_is_away(self) -> None:
        """It is tried once."""
        self.book.is_away = True
        self.stage.incidents.open(HELD)
        self.successResultOf(Deferred.fromCoroutine(self.history.stop()))
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_one_that_is_only_in_the_book_is_found(self) -> None:
        """From before this process."""
        self.stage.incidents.open(HELD)
        (one,) = self.stage.incidents
        self.stage.incidents.close(HELD.key)
        self.stage.wait(SOON)
        found = self.successResultOf(Deferred.fromCoroutine(self.history.find(one.id)))
        assert found is not None
        self.assertFalse(found.is_open)
        self.book.is_away = True
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.history.find(one.id))))

    def test_who_was_told(self) -> None:
        """Is kept as soon as the book can be written; who knows the end, knows the beginning."""
        self.book.is_away = True
        self.history.told("a", event(Kind.CLOSED, 1))
        self.history.told("a", event(Kind.CHANGED, 1))
        self.history.told("b", event(Kind.REMINDER, 1))
        self.history.told("b", event(Kind.TEST, 2))
        self.stage.wait(SOON)
        self.assertEqual(self.book.told, {})
        self.book.is_away = False
        self.stage.wait(AGAIN)
        told = {("00000001", "a"): "closed", ("00000001", "b"): "opened"}
        self.assertEqual(self.book.told, told)
        self.book.told.clear()
        self.history.told("b", event(Kind.CLOSED, 1))
        self.stage.wait(SOON)
        self.assertEqual(self.book.told, {("00000001", "b"): "closed"})
