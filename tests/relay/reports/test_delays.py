"""Warnings of delays, on the real spool: `m365gw.relay.reports.delays`."""

from __future__ import annotations

from email import message_from_bytes
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Queue
from m365gw.microsoft.replies import Phase
from m365gw.relay.delivery.delivery import Delivery
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.relay.reports import delays, summaries
from m365gw.smtp.envelope import Recipient
from m365gw.spool.health import SpoolError
from m365gw.spool.message import Message
from m365gw.spool.names import State
from m365gw.spool.outcomes import DelayWarning
from tests.relay.stage import APP, BOX, TWIN, Pool, Stage, accept, refuse

A, B = "a@example.net", "b@example.net"
HOUR = 3600.0
WARNING = Queue(delay_warning_time=HOUR)
LATER = refuse(450, "4.2.0", "mailbox busy", Phase.RCPT)
SEND_AS = refuse(550, "5.7.60", "Client does not have permissions to send as this sender")
NO_SIGN_IN = refuse(535, "5.7.139", "SmtpClientAuthentication is disabled for the Mailbox")


class Unwilling(list[Any]):
    """A script without end: what applications send is answered by `step`, reports are taken."""

    def __init__(self, step: Any) -> None:
        super().__init__()
        self.step = step

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _place: Any) -> Any:
        return self.pop(0)

    def pop(self, _place: Any = 0) -> Any:
        async def answer(pool: Pool, transaction: Transaction) -> list[Answer]:
            step = accept if transaction.sender in (BOX, TWIN) else self.step
            answers: list[Answer] = await step(pool, transaction)
            return answers

        return answer


class DelaysTests(SynchronousTestCase):
    """Who is told that mail waits, when, how often, and why."""

    def stage(self, step: Any = LATER, queue: Queue = WARNING, **more: Any) -> Stage:
        stage = Stage(self, queue=queue, **more)
        stage.pool.script = Unwilling(step)
        stage.dispatch.start()
        stage.delays.start()
        return stage

    def warnings(self, stage: Stage) -> list[str]:
        """The words and fields of the reports that went, decoded as far as a test looks."""
        return [
            message_from_bytes(one.content).as_string()
            for one in stage.pool.delivered
            if b"Delayed mail" in one.content
        ]

    def test_a_sender_is_warned_once(self) -> None:
        """After the time set, not before, and never again for this message."""
        stage = self.stage()
        stage.send(A)
        stage.wait(HOUR - 60, 20)
        self.assertEqual(self.warnings(stage), [])
        stage.wait(2 * HOUR, 20)
        (warning,) = self.warnings(stage)
        stage.wait(12 * HOUR, 60)
        self.assertEqual(len(self.warnings(stage)), 1)
        for expected in (
            *("Action: delayed", "Status: 4.2.0", f"Final-Recipient: rfc822; {A}"),
            *(
                "Diagnostic-Code: smtp; 450 4.2.0 mailbox busy",
                "Will-Retry-Until: Wed, 20 Jan 2027",
            ),
            "You need not send it again",
            "What happened: Microsoft said: not now.",
        ):
            self.assertIn(expected, warning)

    def test_off_unless_it_is_wanted(self) -> None:
        """Nothing is looked through, and nobody is warned; until the settings say so."""
        stage = self.stage(queue=Queue())
        stage.send(A)
        stage.wait(8 * HOUR, 60)
        self.assertEqual(self.warnings(stage), [])
        stage.delivery.configure(WARNING)
        stage.wait(HOUR, 60)
        self.assertEqual(len(self.warnings(stage)), 1)

    def test_a_stopped_sender_is_told_who_must_act(self) -> None:
        """The cause is a permission: the warning names it, and the administrator."""
        stage = self.stage(SEND_AS)
        stage.send(A)
        stage.wait(2 * HOUR, 20)
        (warning,) = self.warnings(stage)
        self.assertIn("Add-RecipientPermission", warning)
        self.assertIn("an Exchange administrator of the organisation", warning)

    def test_mail_of_a_stopped_mailbox_is_warned_about_by_another(self) -> None:
        """It is not tried while its mailbox is stopped, and its sender is told all the same."""
        stage = self.stage(refuse(554, "5.2.0", "SubmissionQuotaExceededException"))
        stage.send(A)
        stage.send(B)
        stage.wait(1.5 * HOUR, 20)
        self.assertEqual(len(self.warnings(stage)), 2)
        senders = {one.sender for one in stage.pool.delivered}
        self.assertEqual(senders, {TWIN})

    def test_notify_decides(self) -> None:
        """Only who asked for delays, or for nothing, is told; of those recipients alone."""
        stage = self.stage()
        stage.send(Recipient(A, frozenset({"FAILURE"})), Recipient(B, frozenset({"DELAY"})))
        stage.send(Recipient("c@example.net", frozenset({"NEVER"})))
        stage.send(Recipient("d@example.net"), sender="")
        stage.send(Recipient("e@example.net"), content=b"List-Id: <x>\r\n\r\n")
        stage.send(Recipient("f@example.net"), content=b"Auto-Submitted: auto-generated\r\n\r\n")
        stage.send(Recipient("g@example.net"), content=b"Precedence: bulk\r\n\r\n")
        stage.send(Recipient("h@example.net"), sender="owner-list@contoso.com")
        stage.wait(2 * HOUR, 20)
        (warning,) = self.warnings(stage)
        self.assertIn(B, warning)
        self.assertNotIn(A, warning)

    def test_the_end_of_a_delay_is_told_when_wanted(self) -> None:
        """With confirm_delay_cleared, and only to who was warned."""
        stage = self.stage(queue=evolve(WARNING, confirm_delay_cleared=True))
        stage.send(A)
        stage.wait(2 * HOUR, 20)
        stage.pool.script = []
        stage.send(B)
        stage.wait(2 * HOUR, 20)
        self.assertEqual(sorted(stage.reached()), sorted([APP, APP, A, B]))
        report = stage.pool.delivered[-1].content
        self.assertIn(b"The delay you were told of is over.", report)
        self.assertIn(b"Action: relayed", report)
        self.assertEqual(stage.entries(), [])

    def test_many_are_told_of_in_one_mail(self) -> None:
        """A mailbox is stopped under a thousand messages: a few warnings, and one summary."""
        stage = self.stage(queue=evolve(WARNING, report_limit=3))
        for number in range(40):
            stage.put(f"user{number}@example.net")
        stage.dispatch.accepted(stage.put(A))
        stage.wait(8 * HOUR, 60)
        self.assertEqual(len(self.warnings(stage)), 3)
        summaries = [one for one in stage.pool.delivered if b"more messages delayed" in one.content]
        self.assertEqual(len(summaries), 1)
        self.assertIn(b"Subject: 38 more messages delayed", summaries[0].content)

    def test_more_than_a_look_takes(self) -> None:
        """The oldest are looked at first, and each is told of once, however many there are."""
        self.patch(delays, "MOST", 10)
        self.patch(summaries, "MOST", 10)
        stage = self.stage(queue=evolve(WARNING, report_limit=3))
        for number in range(34):
            stage.put(f"user{number}@example.net")
        stage.dispatch.accepted(stage.put(A))
        stage.wait(8 * HOUR, 60)
        many = [one.content for one in stage.pool.delivered if b"messages delayed" in one.content]
        self.assertEqual(len(self.warnings(stage)), 3)
        told = [int(one.partition(b"Subject: ")[2].split()[0]) for one in many]
        self.assertEqual(told, [7, 10, 10, 5])

    def test_a_message_in_hand_is_looked_at_later(self) -> None:
        """What is being delivered is not warned about meanwhile, and not forgotten."""
        stage = self.stage()
        carried = self.patch(Delivery, "is_carried", lambda _delivery, _number: True)
        stage.send(A)
        stage.wait(1.5 * HOUR, 20)
        self.assertEqual(self.warnings(stage), [])
        carried.restore()
        stage.wait(600, 20)
        self.assertEqual(len(self.warnings(stage)), 1)


class CrashTests(SynchronousTestCase):
    """The process ends while a warning is made."""

    def after_crash(self, *, is_made: bool) -> Stage:
        """A stage that goes on where one ended, before or after its warning was durable."""
        first = Stage(self, queue=WARNING)
        first.pool.script = Unwilling(LATER)
        first.dispatch.start()
        first.delays.start()
        first.send(A)
        first.wait(HOUR - 60, 20)

        ended = []

        def end(*_: Any) -> Any:
            ended.append(True)
            first.lose_power()
            raise SpoolError(OSError(5, "gone"))

        warn = Message.warn

        def warn_or_end(message: Message, warning: DelayWarning) -> None:
            if warning.is_made:
                end()
            warn(message, warning)

        with_patch = self.patch(Message, "warn", warn_or_end) if is_made else None
        if not is_made:
            self.patch(first.spool, "commit", end)
        for _ in range(100):
            if not ended:
                first.clock.advance(20)
                first.turn(5)
        self.assertTrue(ended)
        if with_patch is not None:
            with_patch.restore()
        self.flushLoggedErrors()
        self.assertEqual(first.pool.delivered, [])
        second = first.restarted(queue=WARNING)
        second.pool.script = Unwilling(LATER)
        second.dispatch.start()
        second.delays.start()
        return second

    def test_a_warning_that_was_made_is_not_made_again(self) -> None:
        """It was durable; its message does not say so yet: one warning goes."""
        stage = self.after_crash(is_made=True)
        stage.wait(8 * HOUR, 60)
        self.assertEqual(stage.reached(), [APP])
        self.assertEqual([one.state for one in stage.entries()], [State.DEFERRED])

    def test_a_warning_that_was_not_made_is_made(self) -> None:
        """The message knew its warning, but that never came to be."""
        stage = self.after_crash(is_made=False)
        stage.wait(8 * HOUR, 60)
        self.assertEqual(stage.reached(), [APP])
