"""Messages delivered and attempted, on the real spool."""

from __future__ import annotations

import os
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Queue
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.graph import GraphAnswer
from m365gw.microsoft.graph_obstacles import NULL_SENDER
from m365gw.microsoft.replies import Phase
from m365gw.relay.delivery.delivery import HELD_UNCERTAIN
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.relay.stops.stops import State as MailboxState
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.names import State
from m365gw.spool.operations import Action, Done, Result, act
from tests.relay.stage import (
    APP,
    BOX,
    GENEROUS,
    TWIN,
    Stage,
    accept,
    lose_after_dot,
    refuse,
    refuse_some,
)

DAY = 86400.0
A, B, C, D = "a@example.net", "b@example.net", "c@example.net", "d@example.net"
REPORTED = "zoe@contoso.com"  # a sender that is told of failures
QUOTA = refuse(
    554,
    "5.2.0",
    "STOREDRV.Submission.Exception:SubmissionQuotaExceededException."
    "MapiExceptionSubmissionQuotaExceeded; Failed to process message",
)
CONCURRENT = refuse(432, "4.3.2", "Concurrent connections limit exceeded")
SEND_AS = refuse(
    550,
    "5.7.60",
    "SMTP; Client does not have permissions to send as this sender",
    Phase.MAIL,
)
UNKNOWN_5YZ = refuse(550, "5.9.9", "Something nobody has ever seen")
LATER = refuse(451, "4.3.2", "try later")
UNAUTHENTICATED = Reply(535, "5.7.3", "Authentication unsuccessful [AM0PR01.prod.outlook.com x]")
NO_USER = Reply(550, "5.1.1", "User unknown")
GREYLISTED = Reply(450, "4.2.0", "greylisted")


class StageCase(SynchronousTestCase):
    """A stage for each test."""

    def stage(self, **more: object) -> Stage:
        stage = Stage(self, **more)  # type: ignore[arg-type]  # passed on as it is
        stage.dispatch.start()
        return stage

    def assert_nothing_returned(self, stage: Stage) -> None:
        self.assertEqual(stage.events("message.report"), [])
        self.assertNotIn("bounced", stage.statuses())


class RecipientTests(StageCase):
    """Each recipient has its own fate."""

    def test_what_arrived_is_never_sent_again_for_a_fault_of_ours(self) -> None:
        """Something fails after the 250, before the log line: it is on disk or remembered."""
        stage = self.stage()
        emit = stage.log.emit

        def fail(event: str, *arguments: Any, **fields: Any) -> None:
            if event == "delivery":
                raise RuntimeError("nobody foresaw this")
            emit(event, *arguments, **fields)

        self.patch(stage.log, "emit", fail)
        stage.pool.script = [refuse_some({B: GREYLISTED})]
        stage.send(A, B)
        stage.send(C)
        self.patch(stage.log, "emit", emit)
        stage.wait(4000, 50)
        self.assertEqual(stage.reached(), [A, C, B])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertEqual(stage.entries(), [])

    def test_each_recipient_keeps_its_outcome(self) -> None:
        """Delivered, refused and put off in one transaction: each is treated as what it is."""
        stage = self.stage()
        stage.pool.script = [refuse_some({B: NO_USER, C: GREYLISTED})]
        stage.send(A, B, C)
        self.assertEqual(sorted(stage.statuses()[:3]), ["bounced", "deferred", "sent"])
        stage.wait(301, 1)
        self.assertEqual(stage.reached().count(A), 1)
        self.assertEqual(stage.reached().count(C), 1)
        self.assertNotIn(B, stage.reached())
        self.assertEqual(stage.entries(), [])

    def test_delivered_recipient_is_never_sent_to_again(self) -> None:
        """Outcomes are on disk: a crash after a partial success repeats nothing."""
        first = Stage(self)
        first.pool.script = [refuse_some({B: GREYLISTED})]
        first.send(A, B)
        self.assertEqual(first.outcomes(), "DT")
        second = first.restarted()
        second.dispatch.start()
        second.wait(301, 10)
        self.assertEqual(second.reached(), [B])

    def test_many_recipients_go_in_several_transactions(self) -> None:
        """More recipients than a transaction may have are split, each is reached once."""
        stage = self.stage()
        addresses = [f"r{number}@example.net" for number in range(250)]
        stage.send(*addresses)
        self.assertEqual([len(one.recipients) for one in stage.pool.delivered], [100, 100, 50])
        self.assertEqual(sorted(stage.reached()), sorted(addresses))

    def test_many_recipients_keep_the_pace(self) -> None:
        """Transactions are messages to Microsoft: the rest waits for its turn, uncounted."""
        stage = self.stage(limits=evolve(GENEROUS, messages_per_minute=30, burst=1))
        addresses = [f"r{number}@example.net" for number in range(350)]
        stage.send(*addresses)
        self.assertEqual(len(stage.pool.delivered), 1)
        (entry,) = stage.entries()
        self.assertEqual(entry.attempts, 0)
        stage.wait(10)
        self.assertEqual(sorted(stage.reached()), sorted(addresses))

    def test_too_many_recipients_sends_the_rest_in_another_transaction(self) -> None:
        """452 at RCPT TO: those taken are sent, the others at once in the next transaction."""
        stage = self.stage()
        full = Reply(452, "4.5.3", "Too many recipients")
        stage.pool.script = [refuse_some({C: full, D: full})]
        stage.send(A, B, C, D)
        self.assertEqual([one.recipients for one in stage.pool.delivered], [(A, B), (C, D)])
        self.assertEqual(stage.governor.uses(BOX).recipients_per_message, 2)

    def test_too_many_recipients_after_the_data_halves_until_it_fits(self) -> None:
        """When the whole message is refused for its number of recipients, it is sent in halves."""
        stage = self.stage()
        too_many = refuse(550, "5.5.3", "RESOLVER.ADR.RecipLimit; too many recipients")
        stage.pool.script = [too_many, too_many]
        stage.send(*(f"r{number}@example.net" for number in range(8)))
        self.assertEqual([len(one.recipients) for one in stage.pool.delivered], [2, 2, 2, 2])
        self.assert_nothing_returned(stage)

    def test_blocked_recipient_spoils_it_for_itself_only(self) -> None:
        """5.7.703 refuses a message for all: it is split until only the blocked one is left."""
        stage = self.stage()
        blocked = Reply(550, "5.7.703", "Your message can't be delivered: blocked by your tenant")

        def check(_pool: object, transaction: object) -> object:
            recipients = [one.address for _, one in transaction.recipients]  # type: ignore[attr-defined]
            step = refuse(blocked.code, blocked.status, blocked.text) if B in recipients else accept
            return step(stage.pool, transaction)  # type: ignore[arg-type]

        stage.pool.script = [check] * 20
        stage.send(A, B, C, D, sender=REPORTED)
        self.assertEqual(sorted(stage.reached()), [A, C, D, REPORTED])
        self.assertEqual(stage.statuses().count("bounced"), 1)


class TemporaryTests(StageCase):
    """What is tried again."""

    def test_temporary_refusal_is_tried_again_later(self) -> None:
        """A 4yz waits minimal_backoff_time and counts an attempt."""
        stage = self.stage()
        stage.pool.script = [LATER]
        stage.send()
        (entry,) = stage.entries(State.DEFERRED)
        self.assertEqual((entry.attempts, entry.due - int(entry.arrived_at)), (1, 300))
        stage.wait(299)
        self.assertEqual(stage.pool.transactions, 1)
        stage.wait(2)
        self.assertEqual(len(stage.pool.delivered), 1)

    def test_unknown_5yz_is_returned_only_when_it_comes_again(self) -> None:
        """The first unknown refusal puts off; the same ten minutes later or more returns."""
        stage = self.stage()
        stage.pool.script = [UNKNOWN_5YZ] * 4
        entry = stage.send()
        self.assertEqual(stage.statuses(), ["deferred"])
        took = stage.until(lambda: "bounced" in stage.statuses())
        self.assertGreaterEqual(took, 600)
        self.assertIsNone(stage.spool.find(entry.queue_id))

    def test_different_5yz_do_not_add_up(self) -> None:
        """Two different unknown refusals are not a repetition."""
        stage = self.stage()
        stage.pool.script = [
            UNKNOWN_5YZ,
            refuse(550, "5.9.8", "Something else"),
            UNKNOWN_5YZ,
            refuse(550, "5.9.8", "Something else"),
            accept,
        ]
        stage.send()
        stage.until(lambda: bool(stage.pool.delivered))
        self.assert_nothing_returned(stage)

    def test_expired_message_is_returned(self) -> None:
        """What fails for maximal_queue_lifetime is returned, after an attempt, not before."""
        stage = self.stage()
        stage.pool.script = [LATER] * 1000
        stage.send()
        took = stage.until(lambda: "bounced" in stage.statuses(), 6 * DAY, 600)
        self.assertTrue(5 * DAY <= took <= 5 * DAY + 4400 + 600, took)
        (line,) = [one for one in stage.events("delivery") if one["status"] == "bounced"]
        self.assertIn("its time in the queue is over", line["note"])

    def test_lifetime_of_zero_allows_one_attempt(self) -> None:
        """maximal_queue_lifetime = 0 returns what fails once."""
        stage = self.stage(queue=Queue(maximal_queue_lifetime=0.0))
        stage.pool.script = [LATER]
        stage.send()
        self.assertEqual(stage.statuses()[0], "bounced")


class MailboxTroubleTests(StageCase):
    """What is never the message's fault."""

    def test_quota_stops_the_mailbox_and_returns_nothing(self) -> None:
        """A spent quota holds all mail of the mailbox for days, then all of it drains."""
        stage = self.stage()
        stage.pool.script = [QUOTA] * 100
        for number in range(5):
            stage.send(f"{number}@example.net")
        stage.send("twin@example.net", mailbox=TWIN, sender="x@contoso.com")
        stage.until(lambda: not stage.pool.script, 15 * DAY, 1800)
        self.assert_nothing_returned(stage)
        self.assertEqual(stage.pool.transactions, 100)
        self.assertTrue(all(entry.attempts == 0 for entry in stage.entries()))
        stage.wait(7200, 60)
        self.assertEqual(len(set(stage.reached())), 6)
        self.assertEqual(stage.entries(), [])
        self.assertEqual(len(stage.events("incident.opened")), 2)  # each mailbox once
        self.assertEqual(len(stage.events("incident.closed")), 2)

    def test_held_time_does_not_age_a_message(self) -> None:
        """After days of being held a message has its lifetime still before it."""
        stage = self.stage()
        banned = refuse(550, "5.1.8", "Access denied, bad outbound sender", Phase.MAIL)
        stage.pool.script = [banned] * 200
        stage.send()
        stage.until(lambda: not stage.pool.script, 20 * DAY, 1800)
        stage.pool.script = [LATER, LATER]
        stage.wait(2 * DAY, 1800)
        self.assert_nothing_returned(stage)
        self.assertEqual(len(stage.pool.delivered), 1)

    def test_sender_without_rights_is_held_and_others_go(self) -> None:
        """Send-as denied holds this sender on this mailbox only, with one incident."""
        stage = self.stage()
        stage.pool.script = [SEND_AS]
        for _ in range(4):
            stage.send(A, sender="boss@contoso.com")
        stage.send(B)
        stage.send(C, sender="boss@contoso.com", mailbox=TWIN)
        self.assertEqual(sorted(stage.reached()), [B, C])
        self.assertEqual(stage.pool.transactions, 3)
        (incident,) = stage.events("incident.opened")
        self.assertNotIn("<mailbox>", incident["fix"])
        self.assertEqual(incident["sender"], f"<boss@contoso.com> on {BOX}")
        stage.wait(3600, 10)
        self.assertEqual(stage.reached().count(A), 4)
        self.assertEqual(len(stage.events("incident.closed")), 1)
        self.assert_nothing_returned(stage)

    def test_send_as_exception_is_retried_twice_then_held(self) -> None:
        """SendAsDenied is seen at random: two retries, then the sender is held, never returned."""
        stage = self.stage()
        denied = refuse(554, "5.2.0", "STOREDRV.Submission.Exception:SendAsDeniedException")
        stage.pool.script = [denied] * 3
        stage.send()
        stage.until(lambda: not stage.pool.script)
        self.assertEqual(stage.statuses(), ["deferred", "deferred", "held"])
        stage.wait(3700, 30)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))

    def test_refused_token_is_renewed_and_the_message_goes(self) -> None:
        """535 once: a new token, a new connection, and nobody notices."""
        stage = self.stage()
        stage.pool.script = [AttemptFailed(Phase.AUTH, UNAUTHENTICATED)]
        stage.send()
        self.assertEqual((stage.pool.fresh, len(stage.pool.delivered)), (1, 1))
        self.assertEqual(stage.statuses(), ["sent"])
        self.assertEqual(stage.events("incident.opened"), [])

    def test_refused_token_twice_holds_the_mailbox(self) -> None:
        """535 again with the new token: held with a diagnosis, nothing counted, probed later."""
        stage = self.stage()
        stage.pool.script = [AttemptFailed(Phase.AUTH, UNAUTHENTICATED)] * 2
        stage.send()
        stage.send()
        self.assertEqual(stage.pool.transactions, 0)
        self.assertIsNot(stage.mailboxes.standing(BOX).state, MailboxState.READY)
        self.assertEqual(len(stage.events("incident.opened")), 1)
        self.assertEqual([entry.attempts for entry in stage.entries()], [0, 0])
        stage.wait(301)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (2, []))

    def test_missing_sign_in_holds_the_mailbox_until_somebody_signs_in(self) -> None:
        """Without a token nothing is connected, nothing counted; it drains after the sign-in."""
        stage = self.stage()
        words = Diagnosis("entra-grant", "Sign-in needed.", "Revoked.", "Sign in.", "mailbox-user")
        stage.pool.script = [TokenUnavailable("login", words)] * 3
        stage.send()
        self.assertIs(stage.mailboxes.standing(BOX).state, MailboxState.NEEDS_SIGNIN)
        stage.wait(3 * 3600, 60)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))
        self.assertEqual(len(stage.events("incident.opened")), 1)
        self.assertEqual(stage.statuses(), ["held"] * 3 + ["sent"])

    def test_token_service_that_is_down_delays_by_seconds(self) -> None:
        """When Entra has a bad minute mail waits a little, and nobody is told."""
        stage = self.stage()
        words = Diagnosis("entra-down", "Entra is down.", "It happens.", "Nothing.", "microsoft")
        stage.pool.script = [TokenUnavailable("retry", words)] * 3
        stage.send()
        took = stage.until(lambda: bool(stage.pool.delivered), step=1)
        self.assertLess(took, 60)
        self.assertEqual(stage.events("incident.opened"), [])

    def test_session_that_lost_its_sign_in_is_renewed(self) -> None:
        """530 at MAIL FROM: the session is thrown away and a new one carries the message."""
        stage = self.stage()
        stage.pool.script = [refuse(530, "5.7.57", "Client not authenticated", Phase.MAIL)]
        stage.send()
        self.assertEqual((stage.pool.fresh, stage.pool.discarded), (1, 1))
        self.assertEqual(len(stage.pool.delivered), 1)

    def test_too_many_connections_uses_fewer_and_tries_again_soon(self) -> None:
        """432 halves the connections and delays the message by seconds, uncounted."""
        stage = self.stage()
        stage.pool.script = [CONCURRENT]
        stage.send()
        self.assertEqual(stage.governor.uses(BOX).connections.limit, 1)
        self.assertEqual([entry.attempts for entry in stage.entries()], [0])
        stage.wait(61)
        self.assertEqual(len(stage.pool.delivered), 1)

    def test_unreachable_host_pauses_all_its_mailboxes_and_drains(self) -> None:
        """A dead network for a week: one connection at a time tries, nothing is returned."""
        stage = self.stage()
        dead = AttemptFailed(Phase.CONNECT, Reply(0, "", "connection refused"))
        stage.pool.script = [dead] * (7 * 24 * 60)
        for box in (BOX, TWIN):
            for _ in range(3):
                stage.send(mailbox=box)
        tries = len(stage.pool.script)
        stage.wait(3600, 20)
        self.assertLessEqual(tries - len(stage.pool.script), 61)
        del stage.pool.script[60:]
        stage.wait(7200, 30)
        self.assert_nothing_returned(stage)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (6, []))
        self.assertEqual(len(stage.events("incident.opened")), 1)
        self.assertEqual(len(stage.events("incident.closed")), 1)

    def test_unstarted_transaction_costs_no_budget(self) -> None:
        """Recipients are charged to the day only when a transaction took place."""
        stage = self.stage(limits=evolve(GENEROUS, recipients_per_day=1))
        stage.pool.script = [AttemptFailed(Phase.CONNECT, Reply(0, "", "connection refused"))]
        stage.send()
        stage.wait(120)
        self.assertEqual(len(stage.pool.delivered), 1)


class UncertainTests(StageCase):
    """Between the final dot and the answer."""

    def test_marked_on_disk_before_the_dot(self) -> None:
        """Whoever looks at the file while the dot is sent finds the recipients uncertain."""
        stage = self.stage()
        seen = []

        async def look(pool: object, transaction: object) -> object:
            await transaction.before_dot()  # type: ignore[attr-defined]
            seen.append(stage.outcomes())
            return await accept(stage.pool, transaction)  # type: ignore[arg-type]

        stage.pool.script = [look]
        stage.send(A, B)
        self.assertEqual(seen, ["UU"])

    def test_lost_answer_is_noted_said_and_sent_again(self) -> None:
        """A lost answer: uncertain on disk, uncertain in the log, later sent once more."""
        stage = self.stage()
        stage.pool.script = [lose_after_dot]
        stage.send()
        self.assertEqual((stage.outcomes(), stage.statuses()), ("U", ["uncertain"]))
        stage.wait(301)
        self.assertEqual(stage.statuses(), ["uncertain", "sent"])
        self.assertEqual(stage.entries(), [])

    def test_lost_answer_is_held_when_told_so(self) -> None:
        """on_uncertain = hold: an operator decides; once released it is sent."""
        stage = self.stage(queue=Queue(on_uncertain="hold"))
        stage.pool.script = [lose_after_dot]
        stage.send()
        (queued,) = stage.queued()
        self.assertIs(queued.entry.state, State.HOLD)
        self.assertIn("message trace", queued.reason)
        stage.wait(2 * DAY, 3600)
        self.assertEqual(stage.pool.transactions, 1)
        stage.dispatch.accepted(act(stage.spool, Action.RELEASE, queued.entry)[1])
        stage.turn()
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))

    def test_message_that_no_exit_can_carry(self) -> None:
        """It rests in hold with words, never ages, and others go on; released, it is tried."""
        stage = self.stage()
        stage.pool.script = [AttemptFailed(Phase.CONNECT, Reply(0, "", "no"), NULL_SENDER)]
        stage.send(A, B)
        stage.send(C)
        self.assertEqual((stage.statuses(), stage.reached()), (["held", "held", "sent"], [C]))
        (queued,) = stage.queued()
        self.assertIs(queued.entry.state, State.HOLD)
        self.assertIn("without a sender", queued.reason)
        self.assertTrue(queued.reason.endswith(f"m365gw queue show {queued.entry.queue_id}"))
        self.assertIn('exit = "smtp"', stage.events("delivery")[0]["note"])
        stage.wait(20 * DAY, 3600)
        self.assert_nothing_returned(stage)
        stage.dispatch.accepted(act(stage.spool, Action.RELEASE, queued.entry)[1])
        stage.turn()
        self.assertEqual((sorted(stage.reached()), stage.entries()), ([A, B, C], []))

    def test_answer_that_is_neither_yes_nor_no(self) -> None:
        """Held as uncertain, with an alarm, whatever on_uncertain says; not sent again."""
        aside = GraphAnswer(200)

        async def answered(_pool: object, transaction: Transaction) -> list[Answer]:
            await transaction.before_dot()
            return [Answer(0, Outcome.UNCERTAIN, aside.reply, Phase.DATA, aside.reaction)]

        stage = self.stage()
        stage.pool.script = [answered]
        stage.send(A)
        (queued,) = stage.queued()
        self.assertIs(queued.entry.state, State.HOLD)
        self.assertEqual((stage.outcomes(), stage.statuses()), ("U", ["uncertain"]))
        self.assertEqual(len(stage.events("alarm")), 1)
        stage.wait(DAY, 3600)
        self.assertEqual(stage.pool.transactions, 1)

    def crashed(self, **more: object) -> Stage:
        """A stage whose spool holds a message that was marked when its process died."""
        first = Stage(self)
        message = first.spool.claim(first.put(A, B))
        first.spool.mark(message, [0, 1])
        return first.restarted(**more)  # type: ignore[arg-type]

    def test_held_uncertain_mail_is_released_as_its_reason_says(self) -> None:
        """The reason is whole in the file, and what it tells the operator to do works."""
        stage = Stage(self, queue=Queue(on_uncertain="hold"))
        stage.dispatch.start()
        stage.pool.script = [lose_after_dot]
        stage.send(A)
        (queued,) = stage.queued()
        qid = queued.entry.queue_id
        self.assertEqual(queued.reason, HELD_UNCERTAIN.replace("<id>", qid))
        self.assertIn(f"m365gw queue release {qid}; else: m365gw queue remove {qid}", queued.reason)
        released = Deferred.fromCoroutine(stage.operations.act(Action.RELEASE, [qid]))
        self.assertEqual(self.successResultOf(released), [Result(qid, Done.DONE)])
        stage.turn()
        self.assertEqual((stage.reached(), stage.entries()), ([A], []))

    def test_crash_after_the_dot_is_said_once_and_sent_again(self) -> None:
        """Recipients found uncertain at a start are logged as such, once, then sent to."""
        stage = self.crashed()
        stage.pool.script = [LATER]
        stage.dispatch.start()
        stage.wait(301, 1)
        self.assertEqual(stage.statuses(), ["uncertain"] * 2 + ["deferred"] * 2 + ["sent"] * 2)

    def test_second_crash_is_said_again(self) -> None:
        """A crash in the second attempt is as uncertain as the one in the first."""
        stage = self.crashed()
        stage.pool.script = [LATER]
        stage.dispatch.start()
        stage.turn()
        (entry,) = stage.entries()
        stage.schedule.remove(entry.id)
        message = stage.spool.claim(entry)
        stage.spool.mark(message, [0])
        message.close()
        stage.dispatch.accepted(entry)
        stage.wait(301, 1)
        self.assertEqual(stage.statuses().count("uncertain"), 3)

    def test_crash_after_the_dot_is_said_when_an_operator_returns_it(self) -> None:
        """It is not sent again, and all the same it may have arrived: log and report say so."""
        stage = self.crashed()
        (entry,) = stage.spool.entries()
        act(stage.spool, Action.BOUNCE, entry)
        stage.dispatch.start()
        stage.wait(10, 1)
        self.assertEqual(stage.statuses()[:4], ["uncertain"] * 2 + ["bounced"] * 2)
        self.assertEqual(stage.reached(), [APP])
        self.assertIn(b"may have been delivered", stage.pool.delivered[0].content)

    def test_crash_after_the_dot_is_held_when_told_so(self) -> None:
        """on_uncertain = hold is true for a crash as well."""
        stage = self.crashed(queue=Queue(on_uncertain="hold"))
        stage.dispatch.start()
        stage.turn()
        self.assertEqual([entry.state for entry in stage.entries()], [State.HOLD])
        self.assertEqual((stage.statuses(), stage.pool.transactions), (["uncertain"] * 2, 0))


class DiskTests(StageCase):
    """When the spool fails."""

    def test_damaged_message_is_set_aside(self) -> None:
        """A file that cannot be read is said, moved to corrupt/, and the next one goes."""
        stage = Stage(self)
        entry = stage.put(A)
        (name,) = os.listdir(os.path.join(stage.path, "incoming", "new"))
        with open(os.path.join(stage.path, "incoming", "new", name), "r+b") as file:
            file.seek(100)
            file.write(b"rubbish")
        stage.dispatch.accepted(entry)
        stage.send(B)
        self.assertEqual(stage.reached(), [B])
        self.assertEqual([found.state for found in stage.entries()], [State.CORRUPT])
        self.assertEqual(len(stage.events("message.corrupt")), 1)

    def test_message_that_is_gone_is_forgotten(self) -> None:
        """A message an operator removed is no trouble."""
        stage = self.stage()
        entry = stage.put()
        message = stage.spool.claim(entry)
        stage.spool.remove(message)
        stage.dispatch.accepted(entry)
        stage.turn()
        self.assertEqual((stage.pool.transactions, stage.dispatch.in_flight), (0, 0))

    def test_delivered_message_the_disk_kept_is_not_sent_again(self) -> None:
        """Delivered, but it could not be removed: memory knows, and it is not sent twice."""
        stage = self.stage()
        failing = [OSError(5, "Input/output error")]
        unlink = stage.spool._files.unlink

        def fail(*arguments: object) -> None:
            if failing and stage.pool.delivered:
                raise failing.pop()
            unlink(*arguments)  # type: ignore[arg-type]

        self.patch(stage.spool._files, "unlink", fail)
        stage.send()
        self.assertEqual(len(stage.pool.delivered), 1)
        self.assertEqual(len(stage.entries()), 1)
        self.assertEqual(len(stage.events("delivery.postponed")), 1)
        stage.wait(300)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))

    def test_outcomes_the_disk_did_not_take_are_not_forgotten(self) -> None:
        """One of two delivered, but not noted: it is noted later and not sent to again."""
        stage = self.stage()
        failing = [OSError(5, "Input/output error")]
        write_all = stage.spool._files.write_all

        def fail(*arguments: object) -> None:
            if failing and stage.pool.delivered:
                raise failing.pop()
            write_all(*arguments)  # type: ignore[arg-type]

        self.patch(stage.spool._files, "write_all", fail)
        stage.pool.script = [refuse_some({B: GREYLISTED})]
        stage.send(A, B)
        self.assertEqual(failing, [])
        stage.wait(1000, 10)
        self.assertEqual((stage.reached(), stage.entries()), ([A, B], []))


class LogTests(StageCase):
    """What the log says of a delivery."""

    def test_delivery_line(self) -> None:
        """The line has Postfix's fields, the mailbox, and the reply as it came."""
        stage = self.stage()
        stage.pool.script = [LATER]
        entry = stage.send(A)
        stage.wait(301)
        deferred, sent = stage.events("delivery")
        self.assertEqual(deferred["qid"], entry.queue_id)
        self.assertEqual((deferred["mailbox"], deferred["to"]), (BOX, A))
        self.assertEqual((deferred["dsn"], deferred["status"]), ("4.3.2", "deferred"))
        self.assertTrue(deferred["note"].startswith("451 4.3.2 try later; "))
        self.assertEqual((sent["dsn"], sent["status"]), ("2.0.0", "sent"))
        self.assertEqual(sent["relay"], "smtp.office365.com[192.0.2.1]:587")
        self.assertEqual((sent["delay"], sent["delays"]), ("300", "300/0/0/0"))
        self.assertIn("250 2.0.0 OK", sent["note"])

    def test_held_mail_says_why(self) -> None:
        """Mail that waits for its sender's rights says so, once for each message."""
        stage = self.stage()
        stage.pool.script = [SEND_AS] * 5
        stage.send(A, sender=APP)
        stage.send(B, sender=APP)
        stage.wait(1200, 10)
        told = [line for line in stage.events("delivery") if line["to"] == B]
        self.assertEqual([line["status"] for line in told][:1], ["held"])
        self.assertIn("To do", told[0]["note"])
