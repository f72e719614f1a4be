"""The board of incidents: opened once, closed once, also over restarts."""

from __future__ import annotations

import io
import json

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.incidents import NOT_SEEN_AGAIN, Incident, Incidents, News
from m365gw.microsoft.diagnosis import Diagnosis

BOX = "relay@contoso.com"
HELD = Diagnosis("held", "It is held.", "Because.", "Mend it.", "operator")


class IncidentsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines = io.StringIO()
        self.now = 1000.0
        self.heard: list[tuple[str, str]] = []
        self.board = self.fresh()

    def fresh(self) -> Incidents:
        log = EventLog(self.lines, hostname="here", format="json")
        board = Incidents(log, lambda: self.now)
        board.listen(lambda news, incident: self.heard.append((news.value, incident.told.what)))
        return board

    def logged(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.lines.getvalue().splitlines()]

    def test_it_is_told_once(self) -> None:
        """However often it is found, and however often it is found to be over."""
        for _ in range(3):
            self.board.open(HELD, mailbox=BOX)
        self.assertTrue(self.board.is_open("held", mailbox=BOX))
        self.assertFalse(self.board.is_open("held"))
        self.now += 60
        for _ in range(3):
            self.board.close("held", mailbox=BOX)
        self.assertEqual(self.logged(), ["incident.opened", "incident.closed"])
        self.assertEqual(self.heard, [("opened", HELD.what), ("closed", HELD.what)])
        self.assertEqual(list(self.board), [])

    def test_the_log_tells_all_of_it(self) -> None:
        """What, why, what to do, who, of what, and for how long."""
        self.board.open(HELD, level="error", state="needs_admin", mailbox=BOX)
        self.now += 61
        self.board.close("held", mailbox=BOX)
        opened, closed = map(json.loads, self.lines.getvalue().splitlines())
        told = {"key": "held", "what": HELD.what, "why": HELD.why, "fix": HELD.fix, "who": HELD.who}
        self.assertLessEqual(
            (told | {"mailbox": BOX, "state": "needs_admin"}).items(), opened.items()
        )
        self.assertEqual((opened["level"], closed["level"]), ("error", "info"))
        self.assertEqual(closed["note"], "after 61 s")
        self.assertEqual(opened["incident"], closed["incident"])

    def test_other_words_or_another_level_are_news(self) -> None:
        """Another cause of the same is not."""
        self.board.open(HELD)
        self.board.open(evolve(HELD, why="For another reason."))
        self.assertEqual(len(self.heard), 1)
        self.assertEqual(next(iter(self.board)).told.why, "For another reason.")
        self.board.open(evolve(HELD, what="It is held still."))
        self.board.open(evolve(HELD, what="It is held still."), level="error")
        self.assertEqual([news for news, _ in self.heard], ["opened", "changed", "changed"])

    def test_each_subject_has_its_own(self) -> None:
        """Two mailboxes with the same trouble are two incidents."""
        self.board.open(HELD, mailbox=BOX)
        self.board.open(HELD, mailbox="twin@contoso.com")
        self.board.close("held", mailbox=BOX)
        self.assertEqual(
            [dict(each.subject)["mailbox"] for each in self.board], ["twin@contoso.com"]
        )

    def test_a_restart_tells_nothing_twice(self) -> None:
        """What is found again is known; it is closed when it is over."""
        self.board.open(HELD, mailbox=BOX)
        before = list(self.board)
        self.board = self.fresh()
        self.board.recall(before)
        self.heard.clear()
        self.board.open(HELD, mailbox=BOX)
        self.board.settle()
        self.assertEqual(self.heard, [])
        self.board.close("held", mailbox=BOX)
        self.assertEqual(self.heard, [("closed", HELD.what)])

    def test_what_is_not_found_again_is_over(self) -> None:
        """The mailbox was removed while the service was down, say."""
        closed: list[Incident] = []
        self.board.open(HELD, mailbox=BOX)
        before = list(self.board)
        self.board = self.fresh()
        self.board.listen(lambda news, incident: closed.append(incident))
        self.board.recall(before)
        self.board.settle()
        self.assertEqual([each.note for each in closed], [NOT_SEEN_AGAIN])
        self.assertEqual((closed[0].id, closed[0].closed_at), (before[0].id, self.now))

    def test_what_a_mailbox_remembers_is_not_told_again(self) -> None:
        """Where the book was away the board learns it, and listeners may note it."""
        self.board.remember(HELD, 400.0, mailbox=BOX)
        self.board.remember(HELD, 400.0, mailbox=BOX)
        self.assertEqual(self.logged(), [])
        self.assertEqual(self.heard, [(News.REMEMBERED.value, HELD.what)])
        self.assertEqual([each.opened_at for each in self.board], [400.0])
