"""Which exit a message takes, and what becomes of it where one is closed."""

from __future__ import annotations

import io
import json
from typing import Any, cast

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.config.settings import Mailbox
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.graph import GraphAnswer
from m365gw.microsoft.reactions import Action, Reaction, Scope
from m365gw.microsoft.replies import Phase, react
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.exits import ASK_AGAIN, SHUT, Exits
from m365gw.relay.exit.graph import GraphExit
from m365gw.relay.exit.graph_session import GraphSession
from m365gw.relay.exit.instead import GraphThenSmtp, SmtpInstead
from m365gw.relay.exit.pool import Pool
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.relay.tokens.failures import misconfigured
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from tests.relay.entra import mailbox
from tests.relay.exit.test_graph_fit import BOX, mail, transaction
from tests.relay.peer import Outcomes

TO_A = transaction(mail("To: a@x.example"))
LIST = transaction(mail("To: list@x.example"))
DISABLED = Reply(535, "5.7.139", "SmtpClientAuthentication is disabled for the Tenant.")
REFUSED = Reply(535, "5.7.3", "Authentication unsuccessful")


@define(eq=False)
class Line:
    """A connection, or a session of either exit: it answers as it is told."""

    reply: Reply = Reply(250, "2.0.0", "OK")
    phase: Phase = Phase.DATA
    relay: str = "smtp.office365.com[192.0.2.1]:587"
    offers_dsn: bool = True

    async def deliver(self, task: Transaction) -> list[Answer]:
        outcome = Outcome.DELIVERED if self.reply.is_positive else Outcome.PENDING
        return [Answer(place, outcome, self.reply, self.phase) for place, _ in task.recipients]


class GraphLine(GraphSession):
    """A session by Graph that answers as it is told."""

    def __init__(self, said: GraphAnswer) -> None:
        self.said = said
        self.relay = "graph.microsoft.com[192.0.2.2]:443"
        self.offers_dsn = self.smtp_may = False

    async def deliver(self, transaction: Transaction) -> list[Answer]:
        self.smtp_may = self.said.row.smtp_may
        outcome = Outcome.DELIVERED if self.said.is_ok else Outcome.PENDING
        reply, reaction = self.said.reply, self.said.reaction
        return [
            Answer(place, outcome, reply, Phase.DATA, reaction)
            for place, _ in transaction.recipients
        ]


@define
class Door:
    """One exit: gives out sessions, or fails; notes what it was asked."""

    session: Any = None
    failure: Exception | None = None
    asked: int = 0
    ended: list[object] = field(factory=list)

    async def checkout(
        self, box: Mailbox, carriage: Any = None, *, fresh_token: bool = False
    ) -> Any:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.session

    def checkin(self, box: Mailbox, session: object) -> None:
        self.ended.append(session)

    def discard(self, session: object) -> None:
        self.ended.append(session)

    end = discard


class ExitsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lines = io.StringIO()
        self.smtp = Door(Line())
        self.graph = Door(GraphLine(GraphAnswer(202)))
        log = EventLog(self.lines, hostname="relay", format="json")
        self.incidents = Incidents(log, self.clock.seconds)
        self.exits = Exits(
            cast(Pool, self.smtp),
            cast(GraphExit, self.graph),
            Limits(),
            self.clock,
            log,
            self.incidents,
        )

    def box(self, exit: str, fallback: str = "") -> Mailbox:
        return mailbox(address=BOX, exit=exit, fallback=fallback)

    def opened(self, box: Mailbox, task: Transaction = TO_A) -> Any:
        outcome = Outcomes(self.exits.checkout(box, task))
        assert outcome.value is not None, outcome.problem
        return outcome.value

    def failed(self, box: Mailbox, task: Transaction = TO_A) -> AttemptFailed:
        problem = Outcomes(self.exits.checkout(box, task)).problem
        assert isinstance(problem, AttemptFailed), problem
        return problem

    def reaction(self, box: Mailbox, task: Transaction = TO_A) -> Reaction:
        """What a checkout that fails asks for."""
        failed = self.failed(box, task)
        return failed.reaction or react(failed.phase, failed.reply)

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.lines.getvalue().splitlines())
        return [line for line in lines if line["event"] == event]


class ChoiceTests(ExitsCase):
    def test_one_exit(self) -> None:
        """Without a fallback each mailbox has its own exit, and no word is said of it."""
        self.assertIs(self.opened(self.box("smtp"), LIST), self.smtp.session)
        self.assertIs(self.opened(self.box("graph")), self.graph.session)
        self.assertEqual(self.logged("exit.fallback"), [])
        self.assertIsNone(self.exits.shown(self.box("graph"))["fallback_use"])

    def test_no_exit_for_a_message(self) -> None:
        """What Graph cannot carry is held, and stops nobody else; Graph is not asked."""
        reaction = self.reaction(self.box("graph"), LIST)
        self.assertEqual((reaction.action, reaction.scope), (Action.HOLD, Scope.MESSAGE))
        self.assertEqual((self.graph.asked, self.smtp.asked), (0, 0))

    def test_sessions_go_back_where_they_came_from(self) -> None:
        """Each exit gets its own back, behind whatever they were wrapped in."""
        for box, task, door in (
            (self.box("smtp"), TO_A, self.smtp),
            (self.box("graph"), TO_A, self.graph),
            (self.box("graph", "smtp"), TO_A, self.graph),
            (self.box("graph", "smtp"), LIST, self.smtp),
            (self.box("smtp", "graph"), TO_A, self.smtp),
        ):
            for end in (
                lambda session, box=box: self.exits.checkin(box, session),
                self.exits.discard,
            ):
                with self.subTest(exit=box.exit, fallback=box.fallback):
                    end(self.opened(box, task))
                    self.assertIs(door.ended.pop(), door.session)
        self.assertEqual((self.smtp.ended, self.graph.ended), ([], []))


class SmtpForbiddenTests(ExitsCase):
    """Exit SMTP, fallback Graph."""

    def setUp(self) -> None:
        super().setUp()
        self.mailbox = self.box("smtp", "graph")
        self.smtp.failure = AttemptFailed(Phase.AUTH, DISABLED)

    def test_graph_takes_over(self) -> None:
        """SMTP is asked once an hour; each message by Graph is said, and shown."""
        for _ in range(3):
            self.assertIs(self.opened(self.mailbox), self.graph.session)
        self.assertEqual((self.smtp.asked, self.graph.asked), (1, 3))
        said = self.logged("exit.fallback")
        self.assertEqual([line["exit"] for line in said], ["graph"] * 3)
        self.assertIn("a message leaves by Graph instead: SMTP AUTH", said[0]["note"])
        use = self.exits.shown(self.mailbox)["fallback_use"]
        self.assertEqual((use["exit"], use["messages"]), ("graph", 3))

    def test_smtp_is_allowed_again(self) -> None:
        """After an hour one message finds out; then all is as before."""
        self.opened(self.mailbox)
        self.smtp.failure = None
        self.clock.advance(ASK_AGAIN - 1)
        self.assertIs(self.opened(self.mailbox), self.graph.session)
        self.clock.advance(1)
        self.assertIs(self.opened(self.mailbox), self.smtp.session)
        self.assertEqual(len(self.logged("exit.restored")), 1)
        self.assertIsNone(self.exits.shown(self.mailbox)["fallback_use"])

    def test_somebody_is_told(self) -> None:
        """Once, who mends it and how, until a message has found SMTP open again."""
        for _ in range(2):
            self.opened(self.mailbox)
        [line] = self.logged("incident.opened")
        self.assertEqual((line["key"], line["mailbox"], line["level"]), (SHUT, BOX, "warn"))
        self.assertEqual(line["who"], "exchange-admin")
        self.assertIn("SMTP is shut for relay@contoso.com", line["what"])
        self.assertIn("Set-CASMailbox relay@contoso.com -SmtpClientAuth", line["fix"])
        self.clock.advance(ASK_AGAIN)
        self.opened(self.mailbox)
        self.assertEqual(self.logged("incident.closed"), [])
        self.smtp.failure = None
        self.exits.ask_again(BOX)
        self.assertIs(self.opened(self.mailbox), self.smtp.session)
        self.assertEqual(len(self.logged("incident.closed")), 1)

    def test_it_was_shut_when_the_last_process_ended(self) -> None:
        """The first message that leaves by SMTP closes the incident."""
        self.opened(self.mailbox)
        [told] = self.incidents
        self.exits.configure(Limits(), [BOX])
        self.assertEqual(len(self.logged("incident.closed")), 1)
        self.incidents.recall([told])
        self.smtp.failure = None
        self.opened(self.mailbox)
        self.assertEqual(len(self.logged("incident.closed")), 2)

    def test_smtp_is_silent_when_it_is_asked_again(self) -> None:
        """A host that cannot be reached then does not stop what leaves by Graph."""
        self.opened(self.mailbox)
        self.clock.advance(ASK_AGAIN)
        self.smtp.failure = AttemptFailed(Phase.CONNECT, Reply(0, "", "refused"))
        self.assertIs(self.opened(self.mailbox), self.graph.session)
        self.assertEqual(self.smtp.asked, 2)
        self.assertIs(self.opened(self.mailbox), self.graph.session)
        self.assertEqual(self.smtp.asked, 2)

    def test_other_trouble_is_no_reason_for_graph(self) -> None:
        """A refused token, a host that is down: that is not what the fallback is for."""
        for phase, reply in ((Phase.AUTH, REFUSED), (Phase.CONNECT, Reply(0, "", "refused"))):
            self.smtp.failure = AttemptFailed(phase, reply)
            self.assertEqual(self.failed(self.mailbox).reply, reply)
        self.assertEqual(self.graph.asked, 0)

    def test_neither_exit(self) -> None:
        """SMTP is forbidden and Graph cannot carry it: this message is held, the mailbox is not."""
        reaction = self.reaction(self.mailbox, LIST)
        self.assertEqual((reaction.action, reaction.scope), (Action.HOLD, Scope.MESSAGE))
        self.assertIs(self.opened(self.mailbox), self.graph.session)

    def test_a_mailbox_that_is_set_up_anew(self) -> None:
        """What was known of it is forgotten."""
        self.opened(self.mailbox)
        self.exits.configure(Limits(), [BOX])
        self.opened(self.mailbox)
        self.assertEqual(self.smtp.asked, 2)


class SmtpInsteadTests(ExitsCase):
    """Exit Graph, fallback SMTP."""

    def setUp(self) -> None:
        super().setUp()
        self.mailbox = self.box("graph", "smtp")

    def delivered(self, session: Any, task: Transaction = TO_A) -> list[Answer]:
        answers: list[Answer] = self.successResultOf(Deferred.fromCoroutine(session.deliver(task)))
        return answers

    def test_what_graph_cannot_carry(self) -> None:
        """It goes by SMTP at once, and that is said and shown."""
        session = self.opened(self.mailbox, LIST)
        self.assertIsInstance(session, SmtpInstead)
        self.assertEqual((session.relay, session.offers_dsn), (Line().relay, True))
        [answer] = self.delivered(session, LIST)
        self.assertIs(answer.outcome, Outcome.DELIVERED)
        [said] = self.logged("exit.fallback")
        self.assertEqual(list(self.incidents), [])  # it is about this message, not the mailbox
        self.assertIn("leaves by SMTP instead: Microsoft Graph would also send", said["note"])
        self.assertEqual(self.exits.shown(self.mailbox)["fallback_use"]["exit"], "smtp")

    def test_what_graph_refuses_as_it_stands(self) -> None:
        """Size and recipients: SMTP takes it, or says which recipient it is."""
        for status, name in ((413, ""), (400, "ErrorInvalidRecipients")):
            self.graph.session = GraphLine(GraphAnswer(status, (name,) if name else ()))
            session = self.opened(self.mailbox)
            self.assertIsInstance(session, GraphThenSmtp)
            self.assertFalse(session.offers_dsn)
            [answer] = self.delivered(session)
            self.assertIs(answer.outcome, Outcome.DELIVERED)
            self.assertEqual(session.relay, Line().relay)
            self.exits.checkin(self.mailbox, session)
            self.assertIs(self.smtp.ended.pop(), self.smtp.session)
            self.assertIs(self.graph.ended.pop(), self.graph.session)

    def test_what_smtp_would_not_help(self) -> None:
        """A missing permission, a quota, doubt: SMTP is not asked."""
        for status in (403, 429, 504, 202):
            self.graph.session = GraphLine(GraphAnswer(status))
            session = self.opened(self.mailbox)
            self.delivered(session)
            self.assertEqual(self.smtp.asked, 0)

    def test_smtp_is_closed_too(self) -> None:
        """Then this message waits or is held; the mailbox, the tenant and the host are not."""
        wanted = (
            (AttemptFailed(Phase.AUTH, DISABLED), Action.HOLD),
            (AttemptFailed(Phase.CONNECT, Reply(0, "", "refused")), Action.RETRY),
            (misconfigured("k", "what", "why", "fix"), Action.HOLD),
        )
        for failure, action in wanted:
            self.smtp.failure = failure
            reaction = self.reaction(self.mailbox, LIST)
            self.assertEqual((reaction.action, reaction.scope), (action, Scope.MESSAGE))
            self.assertIs(self.failed(self.mailbox, LIST).phase, Phase.CONNECT)
            self.graph.session = GraphLine(GraphAnswer(413))
            [answer] = self.delivered(self.opened(self.mailbox))
            assert answer.reaction is not None
            self.assertEqual(answer.outcome, Outcome.PENDING)
            self.assertEqual(
                (answer.reaction.action, answer.reaction.scope), (action, Scope.MESSAGE)
            )

    def test_a_token_that_smtp_refuses_is_renewed_once(self) -> None:
        """As for any mailbox; only what follows concerns the message alone."""
        self.smtp.failure = AttemptFailed(Phase.AUTH, REFUSED)
        reaction = self.reaction(self.mailbox, LIST)
        self.assertIs(reaction.action, Action.REFRESH_TOKEN)
        assert reaction.then is not None
        self.assertEqual((reaction.then.action, reaction.then.scope), (Action.HOLD, Scope.MESSAGE))

    def test_a_busy_host_stops_no_mail_by_graph(self) -> None:
        """What SMTP's host says concerns this message; a quota is the mailbox's by either exit."""
        for reply, scope in (
            (Reply(451, "4.7.500", "Server busy. Please try again later"), Scope.MESSAGE),
            (Reply(550, "5.1.90", "you have reached your daily limit"), Scope.MAILBOX),
        ):
            self.smtp.session = Line(reply)
            [answer] = self.delivered(self.opened(self.mailbox, LIST), LIST)
            assert answer.reaction is not None
            self.assertIs(answer.reaction.scope, scope)


class ConnectorTests(ExitsCase):
    """An inbound connector of the tenant."""

    REFUSED = Reply(550, "5.7.64", "TenantAttribution; Relay Access Denied")

    def answer(self, reply: Reply, sender: str) -> Answer:
        """What comes of a refusal at RCPT TO of mail from this sender."""
        self.smtp.session = Line(reply, Phase.RCPT)
        box = mailbox(exit="connector", flow="address", address=BOX, client_id="")
        task = evolve(TO_A, sender=sender)
        session = Outcomes(self.exits.checkout(box, task)).value
        [answer] = Outcomes(session.deliver(task)).value
        self.exits.checkin(box, session)
        self.assertEqual(self.smtp.ended.pop(), self.smtp.session)
        assert isinstance(answer, Answer)
        return answer

    def test_the_connector_is_at_fault(self) -> None:
        """Where senders of the mailbox's own domain are refused: then the mailbox waits."""
        answer = self.answer(self.REFUSED, f"scan@{BOX.rpartition('@')[2].upper()}")
        self.assertIsNone(answer.reaction)
        self.assertIs(react(answer.phase, answer.reply).scope, Scope.MAILBOX)

    def test_a_foreign_sender_stops_nobody_else(self) -> None:
        """It may be refused for its own sake, so it waits alone; and it is never bounced."""
        reaction = self.answer(self.REFUSED, "me@fabrikam.example").reaction
        assert reaction is not None
        self.assertEqual((reaction.action, reaction.scope), (Action.HOLD, Scope.SENDER))
        self.assertEqual(reaction.diagnosis.key, "connector-foreign-sender")

    def test_what_is_none_of_it(self) -> None:
        """Other answers, and mail that is taken, are left as they are."""
        for reply in (Reply(250, "2.1.5", "OK"), Reply(550, "5.4.1", "Access denied")):
            self.assertIsNone(self.answer(reply, "me@fabrikam.example").reaction)
