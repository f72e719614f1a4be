"""Tests for `m365gw.relay.reports.bounces`, on the real spool."""

from __future__ import annotations

from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Queue
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Reply
from m365gw.spool.names import State
from tests.relay.stage import APP, BOX, TWIN, Pool, Stage, accept, refuse, refuse_some

A, B = "a@example.net", "b@example.net"
NO_USER = refuse(550, "5.1.1", "User unknown", Phase.RCPT)
POSTMASTER = "postmaster@contoso.com"


class BouncesTests(SynchronousTestCase):
    """What becomes of mail that cannot be delivered."""

    def stage(self, postmaster: str = "") -> Stage:
        stage = Stage(self, queue=Queue(postmaster=postmaster))
        stage.dispatch.start()
        return stage

    def report(self, stage: Stage) -> Message:
        """The one report that was sent."""
        (delivered,) = stage.pool.delivered
        return message_from_bytes(delivered.content)

    def assert_held(self, stage: Stage, words: str) -> None:
        """Nothing was sent; the message waits for the operator, with a reason."""
        self.assertEqual(stage.pool.delivered, [])
        (queued,) = stage.queued()
        self.assertIs(queued.entry.state, State.HOLD)
        self.assertIn(words, queued.reason)
        remedy = f"Read it, then: m365gw queue remove {queued.entry.queue_id}."
        self.assertIn(remedy, queued.reason)  # all of it fits

    def test_report_goes_to_the_sender_from_the_mailbox(self) -> None:
        """The sender is told by the mailbox, as Microsoft takes no null sender."""
        stage = self.stage()
        stage.pool.script = [NO_USER]
        stage.send(A)
        (delivered,) = stage.pool.delivered
        self.assertEqual((delivered.sender, delivered.recipients), (BOX, (APP,)))
        self.assertEqual(stage.entries(), [])

    def test_report_to_an_address_outside_ascii_is_sent_as_such(self) -> None:
        """A sender outside ASCII gets the report with SMTPUTF8, without which it cannot leave."""
        stage = self.stage()
        stage.pool.script = [NO_USER]
        asked: list[bool] = []

        async def note(pool: Pool, transaction: Transaction) -> list[Answer]:
            asked.append(transaction.smtputf8)
            return await accept(pool, transaction)

        stage.pool.script.append(note)
        stage.send(A, sender="jörg@contoso.com")
        self.assertEqual(stage.reached(), ["jörg@contoso.com"])
        self.assertEqual(asked, [True])

    def test_report_is_of_the_form_of_rfc_3464(self) -> None:
        """Words for people, fields for programs, the header of the message; and not answerable."""
        stage = self.stage()
        stage.pool.script = [NO_USER]
        entry = stage.send(
            A, content=b"Subject: invoice 7\r\nFrom: app@contoso.com\r\n\r\nBody.\r\n"
        )
        report = self.report(stage)
        self.assertEqual(report.get_content_type(), "multipart/report")
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        self.assertIn(BOX, report["From"])
        self.assertIn(APP, report["To"])
        words, status, header = report.get_payload()
        self.assertIn(A, words.as_string())
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        fields = status.as_string()
        for field in ("Action: failed", "Status: 5.1.1", f"Final-Recipient: rfc822; {A}"):
            self.assertIn(field.lower().replace("; ", ";"), fields.lower().replace("; ", ";"))
        self.assertIn("550 5.1.1 User unknown", fields)
        self.assertIn("invoice 7", header.as_string())
        self.assertNotIn("Body.", report.as_string())
        self.assertIn(entry.queue_id, report.as_string())

    def test_only_those_who_failed_are_named(self) -> None:
        """A report names the recipients that failed and no others."""
        stage = self.stage()
        stage.pool.script = [refuse_some({B: Reply(550, "5.1.1", "User unknown")})]
        stage.send(A, B)
        report = message_from_bytes(stage.pool.delivered[1].content).as_string()
        self.assertIn(B, report)
        self.assertNotIn(A, report)

    def test_report_is_durable_before_the_message_goes(self) -> None:
        """When the report cannot be written, the message and its recipients stay as they were."""
        stage = self.stage()
        stage.pool.script = [NO_USER, NO_USER]
        entry = stage.put(A)
        sync_all = stage.spool._files.sync_all
        failing = [OSError(28, "No space left on device")]

        def fail(fds: Sequence[int]) -> list[OSError | None]:
            return [failing.pop(), *(None for _ in fds[1:])] if failing else sync_all(fds)

        self.patch(stage.spool._files, "sync_all", fail)
        stage.dispatch.accepted(entry)
        stage.turn()
        self.assertEqual((stage.outcomes(), stage.pool.delivered), ("T", []))
        stage.wait(61)
        self.assertEqual((stage.reached(), stage.entries()), ([APP], []))

    def test_no_report_to_the_null_sender(self) -> None:
        """Mail without a sender is never answered; it is held for the operator."""
        stage = self.stage()
        stage.pool.script = [NO_USER]
        stage.send(A, sender="")
        self.assert_held(stage, "no sender")

    def test_no_report_about_a_report(self) -> None:
        """A report that fails is not reported on: it is held."""
        stage = self.stage()
        stage.pool.script = [NO_USER, NO_USER]
        stage.send(A)
        self.assertEqual(len(stage.events("message.report")), 1)
        self.assert_held(stage, "report")

    def test_no_report_about_an_automatic_answer(self) -> None:
        """What answers by itself is not answered (RFC 3834), nor is a report made elsewhere."""
        for header in (
            b"Auto-Submitted: auto-replied\r\n",
            b"Auto-Submitted: Auto-Replied; owner-email=x@example.com\r\n",
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n",
        ):
            stage = self.stage()
            stage.pool.script = [NO_USER]
            stage.send(A, content=header + b"\r\n")
            self.assertEqual(stage.pool.delivered, [])
            self.assertEqual([entry.state for entry in stage.entries()], [State.HOLD])

    def test_generated_mail_is_reported(self) -> None:
        """A scanner's mail is generated, no answer: its sender is told."""
        stage = self.stage()
        stage.pool.script = [NO_USER]
        stage.send(A, content=b"Auto-Submitted: auto-generated\r\n\r\n")
        self.assertEqual(stage.reached(), [APP])

    def test_notify_never_is_honoured(self) -> None:
        """Who asked for no report gets none, and nothing is held for it."""
        stage = self.stage()
        stage.pool.script = [NO_USER]
        stage.send(Recipient(A, frozenset({"NEVER"})), Recipient(B, frozenset({"SUCCESS"})))
        self.assertEqual((stage.pool.delivered, stage.entries()), ([], []))
        self.assertEqual(stage.statuses(), ["bounced", "bounced"])

    def test_postmaster_is_told_when_nobody_else_can_be(self) -> None:
        """With [queue] postmaster, mail without a sender is reported there."""
        stage = self.stage(POSTMASTER)
        stage.pool.script = [NO_USER]
        stage.send(A, sender="")
        self.assertEqual((stage.reached(), stage.entries()), ([POSTMASTER], []))

    def test_reports_to_the_postmaster_do_not_loop(self) -> None:
        """When the postmaster cannot be reached either, it ends there, held."""
        stage = self.stage(POSTMASTER)
        stage.pool.script = [NO_USER] * 10
        stage.send(A)
        stage.wait(60)
        self.assertEqual(len(stage.events("message.report")), 2)
        self.assert_held(stage, "report")

    def test_report_leaves_by_a_mailbox_that_may_send(self) -> None:
        """When the message's mailbox is stopped another one sends the report."""
        stage = self.stage()

        async def stopped_meanwhile(pool: object, transaction: object) -> object:
            quota = refuse(550, "5.1.90", "daily limit")
            stage.pool.script.insert(0, quota)
            stage.dispatch.accepted(stage.put(B, login="other"))
            stage.turn()
            return await NO_USER(pool, transaction)

        stage.pool.script = [stopped_meanwhile]
        stage.send(A)
        stage.turn()
        self.assertIn(
            (TWIN, (APP,)), [(one.sender, one.recipients) for one in stage.pool.delivered]
        )

    def test_held_message_can_be_released(self) -> None:
        """What was held because nobody could be told is removed when it is released and done."""
        stage = self.stage()
        stage.pool.script = [refuse_some({A: Reply(550, "5.1.1", "User unknown")}), accept]
        stage.send(A, B, sender="")
        self.assertEqual(stage.outcomes(), "BD")
