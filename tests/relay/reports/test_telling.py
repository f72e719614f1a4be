"""What senders are told after an attempt: `m365gw.relay.reports.telling`, on the real spool."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Queue
from m365gw.microsoft.replies import Phase
from m365gw.smtp.envelope import Recipient
from m365gw.spool.health import SpoolError
from m365gw.spool.names import State
from tests.relay.stage import (
    APP,
    BOX,
    TWIN,
    Delivered,
    Stage,
    accept,
    lose_after_dot,
    refuse,
)

A, B = "a@example.net", "b@example.net"
WANTED = Recipient(A, frozenset({"SUCCESS", "FAILURE"}), "rfc822;Kim@example.net")
NO_USER = refuse(550, "5.1.1", "User unknown", Phase.RCPT)


class PassedOnTests(SynchronousTestCase):
    """NOTIFY=SUCCESS (RFC 3461 5.2)."""

    def stage(self, *, offers_dsn: bool, **more: Any) -> Stage:
        stage = Stage(self, **more)
        stage.pool.offers_dsn = offers_dsn
        stage.dispatch.start()
        return stage

    def report(self, stage: Stage) -> Delivered:
        return next(one for one in stage.pool.delivered if one.recipients == (APP,))

    def test_a_server_with_dsn_answers_itself(self) -> None:
        """Exchange Online takes the wish over: nothing is said here."""
        stage = self.stage(offers_dsn=True)
        stage.send(WANTED)
        self.assertEqual((stage.reached(), stage.entries()), ([A], []))

    def test_passed_on_to_a_server_without_dsn_is_told(self) -> None:
        """As relayed, never as delivered; of those who asked for it."""
        stage = self.stage(offers_dsn=False)
        stage.send(WANTED, B)
        report = self.report(stage).content
        self.assertIn(b"Action: relayed\r\n", report)
        self.assertIn(b"Original-Recipient: rfc822; Kim@example.net\r\n", report)
        self.assertNotIn(b"Action: delivered", report)
        self.assertNotIn(B.encode(), report)
        self.assertEqual(stage.entries(), [])

    def test_nobody_is_told_who_may_not_be(self) -> None:
        """Neither the null sender nor who did not ask."""
        stage = self.stage(offers_dsn=False)
        stage.send(WANTED, sender="")
        stage.send(B)
        self.assertEqual((stage.reached(), stage.entries()), ([A, B], []))

    def test_a_crash_loses_no_report_and_sends_nothing_twice(self) -> None:
        """Ended before the report was durable: it is made; ended after: it is not made again."""
        for call in ("commit", "settle"):
            with self.subTest(call=call):
                first = Stage(self)
                first.pool.offers_dsn = False
                first.dispatch.start()
                entry = first.put(WANTED)
                really = first.spool.settle
                seen = [0]

                def end(*arguments: Any, first: Stage = first) -> Any:
                    first.lose_power()
                    raise SpoolError(OSError(5, "gone"))

                def settle(*arguments: Any, seen: Any = seen, really: Any = really) -> Any:
                    seen[0] += 1  # that it is owed, which report it is, that it was made
                    return really(*arguments) if seen[0] < 3 else end()

                self.patch(first.spool, call, settle if call == "settle" else end)
                first.dispatch.accepted(entry)
                first.turn()
                self.flushLoggedErrors()
                second = first.restarted(pool=first.pool)
                second.dispatch.start()
                second.wait(1000, 10)
                self.assertEqual(sorted(second.reached()), sorted([A, APP]))
                self.assertEqual(second.entries(), [])


class FailedTests(SynchronousTestCase):
    """What the report of a failure says, and where it leaves."""

    def stage(self, **queue: Any) -> Stage:
        stage = Stage(self, queue=Queue(**queue))
        stage.dispatch.start()
        return stage

    def test_reports_leave_by_the_mailbox_for_reports(self) -> None:
        """[queue] report_from, in any letter case; another one while that may not send."""
        stage = self.stage(report_from=TWIN.upper())
        stage.pool.script = [NO_USER]
        stage.send(A)
        self.assertEqual([one.sender for one in stage.pool.delivered], [TWIN])
        stage.pool.script = [refuse(554, "5.2.0", "SubmissionQuotaExceededException"), NO_USER]
        stage.send(B, mailbox=TWIN, sender="twin@contoso.com")
        stage.send(A)
        self.assertEqual([one.sender for one in stage.pool.delivered], [TWIN, BOX])

    def test_a_recipient_that_may_have_it_is_said_to(self) -> None:
        """Uncertain, tried again and refused: the report says that it may have arrived."""
        stage = self.stage()
        stage.pool.script = [lose_after_dot, NO_USER]
        stage.send(A)
        stage.wait(1000, 10)
        self.assertIn(b"It may have arrived all the same", stage.pool.delivered[0].content)

    def test_ret_decides_what_comes_back(self) -> None:
        """RET=FULL brings the message back, 8-bit content as it was."""
        stage = self.stage()
        content = "Subject: x\r\n\r\nGrüße\r\n".encode()
        stage.pool.script = [NO_USER, accept, NO_USER]
        stage.send(A, content=content, ret="FULL")
        stage.send(A, content=content)
        whole, header = (one.content for one in stage.pool.delivered)
        self.assertIn(content, whole)
        self.assertNotIn("Grüße".encode(), header)

    def test_what_bounces_for_ever_ends(self) -> None:
        """Everything is refused, reports and all: nothing goes round, each message is held."""
        stage = self.stage(postmaster="postmaster@contoso.com")
        stage.pool.script = [NO_USER] * 1000
        for number in range(5):
            stage.send(f"user{number}@example.net")
        stage.wait(3600, 10)
        self.assertEqual(stage.pool.delivered, [])
        self.assertEqual({one.state for one in stage.entries()}, {State.HOLD})
        self.assertLessEqual(len(stage.events("message.report")), 10)
        tries = stage.pool.transactions
        stage.wait(86400, 300)
        self.assertEqual(stage.pool.transactions, tries)
