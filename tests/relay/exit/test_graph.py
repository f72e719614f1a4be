"""Sessions with Graph: real TLS and the real HTTP client, with a rehearsal on loopback."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from m365gw.config.settings import Mailbox
from m365gw.events import EventLog
from m365gw.microsoft.clouds import custom
from m365gw.microsoft.reactions import Action, Scope
from m365gw.microsoft.replies import Phase
from m365gw.rehearsal.faults import Fault
from m365gw.rehearsal.limits import Limits
from m365gw.rehearsal.rehearsal import Rehearsal
from m365gw.rehearsal.tenant import APP_ID, GRAPH, MAIL_SEND
from m365gw.relay.exit import graph_session
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.graph import PLACES, GraphExit
from m365gw.relay.exit.graph_fit import fitted
from m365gw.relay.exit.graph_session import GraphSession
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.relay.tokens.tokens import Tokens
from m365gw.smtp.verdict import Outcome
from tests.relay.entra import mailbox
from tests.relay.exit.test_graph_fit import mail, transaction

RELAY = "relay@contoso.example"
BOX = mailbox(address=RELAY, exit="graph", cloud="rehearsal")
CONTENT = mail(f"From: {RELAY}\r\nTo: a@x.example\r\nSubject: s")


def by_relay(content: bytes) -> Transaction:
    """A transaction of the mailbox itself."""
    return transaction(content, sender=RELAY)


async def until(is_so: Callable[[], bool]) -> None:
    """Returns when something that happens in this process has happened."""
    while not is_so():
        await deferLater(cast(IReactorTime, reactor), 0)


class GraphCase(TestCase):
    def setUp(self) -> Deferred[None]:
        self.rehearsal = Rehearsal(Path(self.mktemp()), reactor=reactor, limits=Limits.off())
        self.addCleanup(lambda: Deferred.fromCoroutine(self.rehearsal.stop()))
        self.forced = 0
        self.lines = io.StringIO()
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await self.rehearsal.start()
        base = f"https://127.0.0.1:{self.rehearsal.https_port}"
        self.cloud = custom(
            "rehearsal",
            smtp="127.0.0.1:1",
            authority=f"{base}/TENANT",
            scope="s",
            user_scope="u",
            graph=f"{base}/graph/v1.0",
            ca_file=str(self.rehearsal.certificates.authority),
            rehearsal=True,
        )
        log = EventLog(self.lines, hostname="relay", level="debug")
        self.clouds = {"rehearsal": self.cloud}
        self.exit = GraphExit(reactor, cast(Tokens, self), self.clouds, log)

    async def token(self, box: Mailbox, *, force: bool = False) -> str:
        """What stands in for `Tokens`."""
        self.forced += force
        assert box.exit == "graph"
        app = self.rehearsal.tenant.apps[APP_ID]
        return self.rehearsal.tokens.issue("i", app, "", GRAPH, frozenset({MAIL_SEND}))

    async def checkout(self, box: Mailbox = BOX, content: bytes = CONTENT) -> GraphSession:
        return await self.exit.checkout(box, fitted(by_relay(content), RELAY, 10**9))

    async def send(
        self, before_dot: Callable[[], Awaitable[None]] | None = None, content: bytes = CONTENT
    ) -> Answer:
        """One message; the answer to its recipient."""
        session = self.session = await self.checkout(content=content)
        task: Transaction = by_relay(content)
        try:
            [answer] = await session.deliver(
                evolve(task, before_dot=before_dot) if before_dot else task
            )
        finally:
            self.exit.end(session)
        return answer

    def fault(self, **fault: Any) -> None:
        self.rehearsal.faults.order(Fault(phase="graph", **fault))

    @property
    def taken(self) -> int:
        return self.rehearsal.record.count


class SessionTests(GraphCase):
    async def test_accepted(self) -> None:
        """202: all recipients have it, octet for octet; the token stands in no trace."""
        answer = await self.send()
        self.assertIs(answer.outcome, Outcome.DELIVERED)
        [message] = self.rehearsal.record.messages()
        self.assertEqual(message.content, CONTENT)
        trace = self.lines.getvalue()
        self.assertIn("C: POST https://127.0.0.1", trace)
        self.assertIn("S: Microsoft Graph: 202 Accepted [request-id ", trace)
        self.assertNotIn("eyJ", trace)

    async def test_large(self) -> None:
        """Three megabytes go through in pieces."""
        content = CONTENT + b"x" * 3_000_000
        self.assertIs((await self.send(content=content)).outcome, Outcome.DELIVERED)
        [message] = self.rehearsal.record.messages()
        self.assertEqual(message.content, content)

    async def test_refused(self) -> None:
        """Graph's no has its reaction with it, and is no doubt."""
        self.fault(status=403, error="ErrorSendAsDenied")
        answer = await self.send()
        assert answer.reaction is not None
        self.assertIs(answer.outcome, Outcome.PENDING)
        self.assertEqual(
            (answer.reaction.action, answer.reaction.scope), (Action.HOLD, Scope.SENDER)
        )
        self.assertIn("403 ErrorSendAsDenied", answer.reply.text)

    async def test_a_refused_token(self) -> None:
        """It is to be renewed, and counts as before the message."""
        self.rehearsal.tokens.revoke_access()
        session = await self.checkout()
        self.rehearsal.tokens.revoke_access()
        [answer] = await session.deliver(by_relay(CONTENT))
        self.exit.end(session)
        assert answer.reaction is not None
        self.assertEqual((answer.phase, answer.reaction.action), (Phase.AUTH, Action.REFRESH_TOKEN))
        again = await self.exit.checkout(
            BOX, fitted(by_relay(CONTENT), RELAY, 10**9), fresh_token=True
        )
        self.exit.end(again)
        self.assertEqual(self.forced, 1)

    async def test_doubt(self) -> None:
        """Cut after all of it was sent, 502, 504, a 2xx that is not 202: it may have arrived."""
        self.fault(action="drop", record=True)
        for status in (502, 504, 200):
            self.fault(status=status, record=True)
        for number in range(4):
            answer = await self.send()
            self.assertIs(answer.outcome, Outcome.UNCERTAIN)
            self.assertEqual(self.taken, number + 1)

    async def test_silence(self) -> None:
        """No answer in time: it may have arrived; the id we gave the request tells which it was."""
        self.patch(graph_session, "ANSWER_TIMEOUT", 0.3)
        self.fault(action="stall", record=True)
        answer = await self.send()
        self.assertIs(answer.outcome, Outcome.UNCERTAIN)
        self.assertIn("no answer within 0.3 seconds [client-request-id ", answer.reply.text)

    async def test_cut_before_the_end_was_sent(self) -> None:
        """Then it has certainly not arrived, and the mark is waited for."""
        marked: list[str] = []

        async def cut() -> None:
            for connection in self.rehearsal._connections():
                connection.abortConnection()
            await until(lambda: self.session.line.transport is None)
            marked.append("done")

        answer = await self.send(before_dot=cut)
        self.assertIs(answer.outcome, Outcome.PENDING)
        self.assertEqual((marked, self.taken), (["done"], 0))

    async def test_disk_that_fails(self) -> None:
        """What marking raises passes through, and Graph has nothing."""

        async def fail() -> None:
            raise OSError("the disk")

        with self.assertRaises(OSError):
            await self.send(before_dot=fail)
        self.assertEqual(self.taken, 0)

    async def test_cancelled(self) -> None:
        """A delivery that is given up ends at once, and cuts its connection."""
        self.fault(action="stall")
        session = await self.checkout()
        sending = Deferred.fromCoroutine(session.deliver(by_relay(CONTENT)))
        await until(lambda: bool(self.rehearsal.graph.running[RELAY]))
        sending.cancel()
        with self.assertRaises(CancelledError):
            await sending
        self.exit.end(session)

    async def test_a_redirect_is_not_followed(self) -> None:
        """Whoever is named there would get the token; it is an answer we do not know."""
        self.fault(status=302, headers={"Location": "https://127.0.0.1:1/"})
        answer = await self.send()
        assert answer.reaction is not None
        self.assertTrue(answer.reaction.diagnosis.is_unknown)


class OpeningTests(GraphCase):
    async def failed(self, box: Mailbox = BOX) -> AttemptFailed:
        try:
            await self.checkout(box)
        except AttemptFailed as failed:
            return failed
        raise AssertionError("it was opened")

    async def test_nobody_is_there(self) -> None:
        """All mail by Graph waits; as a fallback only the mailbox does."""
        graph = "https://127.0.0.1:1/graph/v1.0"
        self.clouds["rehearsal"] = evolve(self.cloud, graph=graph)
        for box, scope in ((BOX, Scope.HOST), (evolve(BOX, exit="smtp"), Scope.MAILBOX)):
            failed = await self.failed(box)
            assert failed.reaction is not None
            self.assertEqual((failed.phase, failed.reaction.scope), (Phase.CONNECT, scope))
            self.assertIn("Microsoft Graph: not reached: ", failed.reply.text)

    async def test_a_stranger_answers(self) -> None:
        """Without a certificate to trust nothing is sent, and somebody is told."""
        self.clouds["rehearsal"] = evolve(self.cloud, ca_file="")
        failed = await self.failed()
        assert failed.reaction is not None
        self.assertEqual(failed.reaction.diagnosis.key, "graph-certificate-refused")
        self.assertTrue(failed.reaction.alarm)
        self.assertEqual(self.taken, 0)

    async def test_authorities_that_cannot_be_read(self) -> None:
        """It is said, and tried again."""
        self.clouds["rehearsal"] = evolve(self.cloud, ca_file="/nowhere.pem")
        self.assertIn("cannot be read", (await self.failed()).reply.text)

    async def test_four_at_a_time(self) -> None:
        """Who wants one more waits for one that ends; a failure takes no place."""
        sessions = [await self.checkout() for _ in range(PLACES)]
        waiting = Deferred.fromCoroutine(self.checkout())
        self.assertFalse(waiting.called)
        self.exit.end(sessions.pop())
        sessions.append(await waiting)
        for session in sessions:
            self.exit.end(session)

    async def test_whose_send_mail(self) -> None:
        """An app names the mailbox; a person is "me", or names a mailbox that is not their own."""
        for box, owner in (
            (BOX, "users/relay@contoso.example"),
            (evolve(BOX, flow="device"), "me"),
            (evolve(BOX, flow="web"), "me"),
            (evolve(BOX, flow="web", sign_in_as="a@b"), "users/relay@contoso.example"),
            (evolve(BOX, address="a/b?@x.example"), "users/a%2Fb%3F@x.example"),
        ):
            session = await self.checkout(box)
            self.exit.end(session)
            self.assertTrue(session.url.endswith(f"/graph/v1.0/{owner}/sendMail"), session.url)
