"""Tests for `m365gw.relay.delivery.recovery`; the final dot's side of it is in `test_delivery`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.replies import Phase
from m365gw.relay.delivery.recovery import REPORTS, is_report
from m365gw.smtp.envelope import Origin
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.health import SpoolError
from m365gw.spool.names import State
from m365gw.spool.operations import Action, act
from tests.relay.stage import APP, Stage, refuse, refuse_some

A, B = "a@example.net", "b@example.net"
NO_USER = refuse(550, "5.1.1", "User unknown", Phase.RCPT)


class IsReportTests(SynchronousTestCase):
    """`is_report`."""

    def test_client_without_address_is_a_client(self) -> None:
        """By a Unix socket, on a listener that has the name reports are known by."""
        self.assertTrue(is_report(Origin("", protocol="", listener=REPORTS)))
        self.assertFalse(is_report(Origin("", protocol="ESMTP", listener=REPORTS)))


class ReportTests(SynchronousTestCase):
    """The process ends while a report is made."""

    def crashed(
        self, attribute: str, problem: Exception, *recipients: str, was_held: bool = False
    ) -> Stage:
        """A stage that goes on where another one ended, as a call of its spool was made."""
        first = Stage(self)
        first.dispatch.start()
        first.pool.script = [
            refuse_some({A: Reply(550, "5.1.1", "User unknown"), B: Reply(450, "4.2.0", "later")})
        ]

        def end(*_: Any) -> Any:
            first.lose_power()
            raise problem

        really = first.spool.settle

        def settle(message: Any, verdicts: Any, at: float) -> None:
            if any(one.outcome is Outcome.FAILED for one in verdicts):
                end()
            really(message, verdicts, at)

        entry = first.put(*recipients)
        for action in (Action.HOLD, Action.RELEASE) if was_held else ():
            _, rests = act(first.spool, action, entry)
            assert rests is not None
            entry = rests
        self.patch(first.spool, attribute, settle if attribute == "settle" else end)
        first.dispatch.accepted(entry)
        first.turn()
        self.flushLoggedErrors()
        second = first.restarted()
        second.dispatch.start()
        return second

    def test_report_that_was_made_is_not_made_again(self) -> None:
        """The report is durable, the failure it tells of is not noted yet: one report goes."""
        stage = self.crashed("settle", SpoolError(OSError(5, "gone")), A)
        stage.wait(10_000, 50)
        self.assertEqual(stage.reached(), [APP])
        self.assertEqual(stage.entries(), [])
        (line,) = [each for each in stage.events("delivery") if each["to"] == A]
        self.assertEqual(line["status"], "bounced")
        self.assertIn("550 5.1.1 User unknown", line["note"])

    def test_who_held_the_message_once_does_not_have_it_reported_twice(self) -> None:
        """Why it was held is still in the file, and means no more once it was released."""
        problem = SpoolError(OSError(5, "gone"))
        stage = self.crashed("remove", problem, A, was_held=True)
        stage.wait(10_000, 50)
        self.assertEqual(stage.reached(), [APP])
        self.assertEqual(stage.entries(), [])

    def test_report_that_was_not_made_is_made(self) -> None:
        """The message knew its report, but that never came to be: the recipient is tried again."""
        stage = self.crashed("commit", SpoolError(OSError(5, "gone")), A)
        stage.pool.script = [NO_USER]
        stage.wait(10_000, 50)
        self.assertEqual(stage.reached(), [APP])
        self.assertEqual(stage.entries(), [])

    def test_what_was_given_up_is_not_said_to_be_tried_again(self) -> None:
        """An operator has returned it by then: it is reported, and the log says nothing else."""
        stage = self.crashed("commit", SpoolError(OSError(5, "gone")), A)
        (entry,) = stage.entries()
        act(stage.spool, Action.EXPIRE, entry)
        stage.wait(10_000, 50)
        self.assertEqual(stage.reached(), [APP])
        notes = [each["note"] for each in stage.events("delivery") if each["to"] == A]
        self.assertTrue([each for each in notes if "about to be told" in each])
        self.assertFalse([each for each in notes if "tried again" in each])

    def test_others_are_still_tried(self) -> None:
        """Of two recipients the one that was reported has failed; the other gets the message."""
        stage = self.crashed("settle", SpoolError(OSError(5, "gone")), A, B)
        stage.wait(10_000, 50)
        self.assertEqual(sorted(stage.reached()), [APP, B])
        self.assertEqual(stage.entries(), [])

    def test_report_waits_until_its_failures_are_noted(self) -> None:
        """A report is not sent before the message says so: else a crash could send it twice."""
        stage = Stage(self)
        stage.dispatch.start()
        stage.pool.script = [NO_USER]
        settle = stage.spool.settle

        def fail(message: Any, verdicts: list[Verdict], at: float) -> None:
            if any(one.outcome is Outcome.FAILED for one in verdicts):
                raise SpoolError(OSError(28, "No space left on device"))
            settle(message, verdicts, at)

        self.patch(stage.spool, "settle", fail)
        stage.send(A)
        stage.wait(30)
        self.assertEqual(stage.reached(), [])
        self.assertEqual(len(stage.entries(State.INCOMING)), 2)
        self.patch(stage.spool, "settle", settle)
        stage.wait(1000, 10)
        self.assertEqual(stage.reached(), [APP])
        self.assertEqual(stage.entries(), [])
