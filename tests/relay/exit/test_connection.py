"""Tests for `m365gw.relay.exit.connection`."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.connection import AttemptFailed, Connection, State
from m365gw.relay.exit.proof import Bearer
from m365gw.relay.exit.transaction import Transaction
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.verdict import Outcome
from tests.relay.peer import Outcomes, Peer

TOKEN = "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA" * 40
USER = "relay@contoso.com"
OPTIONS: Any = object()
BEFORE = ("250-host hello", "250-SIZE 157286400", "250-PIPELINING", "250 STARTTLS")
AFTER = ("250-host hello", "250-SIZE 157286400", "250-PIPELINING", "250 AUTH LOGIN XOAUTH2")


class Case:
    """A session that is being opened to a peer."""

    def __init__(self, limits: Limits | None = None, token: str = TOKEN) -> None:
        self.peer = Peer()
        self.connection = Connection(
            self.peer.wire, "smtp.office365.com", "relay.contoso.com", limits or Limits()
        )
        self.opening = Outcomes(self.connection.open(OPTIONS, Bearer(USER, token)))

    def say(self, *lines: str) -> bytes:
        """The peer says this; what is sent in answer."""
        self.peer.say(*lines)
        return self.peer.heard()

    def to_auth(self) -> None:
        """The dialogue up to AUTH XOAUTH2."""
        self.say("220 ready")
        self.say(*BEFORE)
        self.say("220 2.0.0 SMTP server ready")
        self.say(*AFTER)

    def opened(self) -> Case:
        """The dialogue up to a session that is signed in."""
        self.to_auth()
        self.say("334 ")
        self.say("235 2.7.0 Authentication successful")
        assert self.opening.value, self.opening.problem
        return self

    @property
    def failure(self) -> AttemptFailed:
        assert isinstance(self.opening.problem, AttemptFailed), self.opening.problem
        return self.opening.problem

    def deliver(self) -> Outcomes:
        """Begin a transaction with one recipient."""

        async def before_dot() -> None:
            pass

        content = b"Subject: x\r\n\r\nx\r\n"
        return Outcomes(
            self.connection.deliver(
                Transaction(
                    "a@contoso.com",
                    [(0, Recipient("b@x.example"))],
                    len(content),
                    lambda offset, length: content[offset : offset + length],
                    before_dot,
                )
            )
        )

    def delivered(self) -> None:
        """One whole message."""
        run = self.deliver()
        self.say("250 ok", "250 ok", "354 go")
        self.say("250 2.0.0 OK")
        assert run.value[0].outcome is Outcome.DELIVERED


class OpeningTests(SynchronousTestCase):
    """From the greeting to a session that is signed in."""

    def test_dialogue(self) -> None:
        """The whole of it, as on Exchange Online: two-step XOAUTH2 under TLS."""
        case = Case()
        self.assertEqual(case.peer.heard(), b"")
        self.assertEqual(case.say("220 ready"), b"EHLO relay.contoso.com\r\n")
        self.assertEqual(case.say(*BEFORE), b"STARTTLS\r\n")
        self.assertEqual(case.say("220 2.0.0 SMTP server ready"), b"EHLO relay.contoso.com\r\n")
        self.assertIs(case.peer.transport.tls_options, OPTIONS)
        self.assertEqual(case.say(*AFTER), b"AUTH XOAUTH2\r\n")
        response = case.say("334 ")
        self.assertEqual(
            base64.b64decode(response, validate=False),
            f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01".encode(),
        )
        self.assertEqual(response.count(b"\r\n"), 1)
        self.assertEqual(case.say("235 2.7.0 Authentication successful"), b"")
        self.assertIs(case.connection.state, State.IDLE)
        self.assertEqual(case.connection.relay, "smtp.office365.com[192.168.1.1]:54321")

    def test_starttls_response_injection(self) -> None:
        """Fault of stock clients: what comes in clear behind the 220 is not read under TLS."""
        for injected in (
            ("250-injected", "250 AUTH XOAUTH2"),
            ("250-half",),
        ):
            case = Case()
            case.say("220 ready")
            case.say(*BEFORE)
            self.assertEqual(case.say("220 go", *injected), b"")
            self.assertIs(case.failure.phase, Phase.TLS)
            self.assertIn("before the TLS handshake", str(case.failure))
            self.assertIsNone(case.peer.transport.tls_options)
            self.assertEqual(case.peer.transport.ending, "aborted")

    def test_half_a_line_behind_the_220_is_injection_too(self) -> None:
        """The same when the injected line has no end yet."""
        case = Case()
        case.say("220 ready")
        case.say(*BEFORE)
        case.peer.wire.dataReceived(b"220 go\r\n250")
        self.assertIs(case.failure.phase, Phase.TLS)
        self.assertIsNone(case.peer.transport.tls_options)

    def test_capabilities_before_tls_are_forgotten(self) -> None:
        """AUTH offered in clear counts for nothing after STARTTLS."""
        case = Case()
        case.say("220 ready")
        case.say("250-host", "250-AUTH XOAUTH2", "250 STARTTLS")
        case.say("220 go")
        self.assertNotIn(b"AUTH", case.say("250 host"))
        self.assertIs(case.failure.phase, Phase.AUTH)
        self.assertEqual(case.failure.reply.text, "AUTH XOAUTH2 is not offered")

    def test_no_starttls_no_mail(self) -> None:
        """A server without STARTTLS gets neither token nor mail, only QUIT."""
        case = Case()
        case.say("220 ready")
        self.assertEqual(case.say("250-host", "250 AUTH XOAUTH2"), b"QUIT\r\n")
        self.assertIs(case.failure.phase, Phase.TLS)
        self.assertEqual(case.failure.reply.text, "STARTTLS is not offered")

    def test_refusals_by_phase(self) -> None:
        """A refusal is reported with the phase it came in, whole, and the session ends."""
        greeting = Case()
        greeting.say("554 5.3.2 no service")
        self.assertIs(greeting.failure.phase, Phase.CONNECT)
        ehlo = Case()
        ehlo.say("220 ready")
        ehlo.say("501 5.7.506 Access Denied, Bad HELO")
        self.assertIs(ehlo.failure.phase, Phase.EHLO)
        self.assertEqual(ehlo.failure.reply.status, "5.7.506")
        starttls = Case()
        starttls.say("220 ready")
        starttls.say(*BEFORE)
        starttls.say("454 4.7.0 TLS not available")
        self.assertIs(starttls.failure.phase, Phase.TLS)
        for case in (greeting, ehlo, starttls):
            self.assertIs(case.connection.state, State.CLOSED)
            self.assertEqual(case.peer.transport.ending, "closed")

    def test_refused_sign_in(self) -> None:
        """535 is reported as the answer to AUTH, for a new token and one more try elsewhere."""
        case = Case()
        case.to_auth()
        case.say("334 ")
        self.assertEqual(case.say("535 5.7.3 Authentication unsuccessful"), b"QUIT\r\n")
        self.assertIs(case.failure.phase, Phase.AUTH)
        self.assertEqual(case.failure.reply.code, 535)

    def test_error_as_a_challenge(self) -> None:
        """Google's way: 334 with an error, an empty line from us, then the 535."""
        case = Case()
        case.to_auth()
        case.say("334 ")
        self.assertEqual(case.say("334 eyJzdGF0dXMiOiI0MDEifQ=="), b"\r\n")
        case.say("535 5.7.3 no")
        self.assertEqual(case.failure.reply.code, 535)

    def test_auth_refused_at_once_sends_no_token(self) -> None:
        """When AUTH itself is refused the token stays here."""
        case = Case()
        case.to_auth()
        self.assertEqual(case.say("504 5.7.4 Unrecognized authentication type"), b"QUIT\r\n")

    def test_lost_by_phase(self) -> None:
        """A connection that ends is reported with the phase, code 0 and words."""
        steps = [
            (Phase.CONNECT, ()),
            (Phase.EHLO, ("220 ready",)),
            (Phase.TLS, BEFORE),
            (Phase.EHLO, ("220 go",)),
            (Phase.AUTH, AFTER),
        ]
        for last in range(len(steps)):
            case = Case()
            for _, lines in steps[: last + 1]:
                case.say(*lines)
            case.peer.hang_up()
            self.assertIs(case.failure.phase, steps[last][0])
            self.assertEqual(case.failure.reply.code, 0)
            self.assertIn("the other side closed", case.failure.reply.text)

    def test_greeting_has_five_minutes(self) -> None:
        """A slow greeting is waited for (RFC 5321 4.5.3.2.1), silence is not."""
        case = Case()
        case.peer.clock.advance(299)
        self.assertFalse(case.opening.is_done)
        case.peer.clock.advance(2)
        self.assertIs(case.failure.phase, Phase.CONNECT)

    def test_handshake_that_hangs(self) -> None:
        """A TLS handshake that never ends is given up as trouble with TLS."""
        case = Case()
        case.peer.transport.startTLS = lambda options: None  # type: ignore[method-assign]  # hangs
        case.say("220 ready")
        case.say(*BEFORE)
        case.say("220 go")
        case.peer.clock.advance(61)
        self.assertIs(case.failure.phase, Phase.TLS)

    def test_cancelled_opening_closes(self) -> None:
        """Who gives up waiting leaves no connection behind."""
        case = Case()
        case.opening.deferred.cancel()
        self.assertEqual(case.peer.transport.ending, "aborted")


class SecrecyTests(SynchronousTestCase):
    """Where the token must not show."""

    def test_token_is_nowhere(self) -> None:
        """Fault of stock clients: the token is in no trace, error or repr, even when echoed."""
        case = Case()
        case.to_auth()
        response = case.say("334 ").decode().strip()
        case.say(f"535 5.7.3 no: {response} {TOKEN}")
        texts = (
            *case.peer.trace,
            str(case.failure),
            repr(case.failure),
            repr(vars(case.connection)),
        )
        for text in texts:
            self.assertNotIn(TOKEN[:16], text)
            self.assertNotIn(response[40:56], text)
        self.assertIn("C: [XOAUTH2 response]", case.peer.trace)

    def test_token_with_control_octets_is_not_sent(self) -> None:
        """A token that could end its line is refused here."""
        case = Case(token="abc\r\nMAIL FROM:<x>")
        case.to_auth()
        self.assertIs(case.failure.phase, Phase.AUTH)
        self.assertNotIn(b"MAIL", case.peer.heard())

    def test_nothing_is_kept_after_sign_in(self) -> None:
        """A session that is signed in holds its token no longer."""
        case = Case().opened()
        for held in (vars(case.connection), vars(case.peer.wire)):
            self.assertNotIn(TOKEN[:16], repr(held))


class ReuseTests(SynchronousTestCase):
    """Many messages over one session."""

    def test_messages_one_after_the_other(self) -> None:
        """Fault of stock clients: a session waits for work; no RSET after an accepted message."""
        case = Case().opened()
        case.delivered()
        case.peer.clock.advance(20)
        self.assertTrue(case.connection.is_reusable)
        case.deliver()
        self.assertTrue(case.peer.heard().startswith(b"MAIL FROM"))

    def test_rset_after_a_failed_transaction(self) -> None:
        """The next envelope begins with RSET, in the same write."""
        case = Case().opened()
        run = case.deliver()
        case.say("250 ok", "550 5.1.1 no", "554 5.5.1 no")
        self.assertIs(run.value[0].outcome, Outcome.FAILED)
        self.assertTrue(case.connection.is_reusable)
        case.deliver()
        self.assertTrue(case.peer.heard().startswith(b"RSET\r\nMAIL FROM"))

    def test_limit_of_messages(self) -> None:
        """After so many messages a session is not used again."""
        case = Case(Limits(messages_per_connection=2)).opened()
        case.delivered()
        self.assertTrue(case.connection.is_reusable)
        case.delivered()
        self.assertFalse(case.connection.is_reusable)

    def test_limit_of_age(self) -> None:
        """A session of four minutes is not used again, however busy it was."""
        case = Case().opened()
        for _ in range(10):
            case.peer.clock.advance(24)
            case.delivered()
        self.assertFalse(case.connection.is_reusable)

    def test_idle_session_quits(self) -> None:
        """After 30 idle seconds the session ends in good order."""
        case = Case().opened()
        case.delivered()
        case.peer.clock.advance(29)
        self.assertEqual(case.peer.heard(), b"")
        case.peer.clock.advance(2)
        self.assertEqual(case.peer.heard(), b"QUIT\r\n")
        self.assertFalse(case.connection.is_reusable)
        case.say("221 bye")
        self.assertEqual(case.peer.transport.ending, "closed")

    def test_idle_limit_never_ends_a_transaction(self) -> None:
        """While a message is under way the idle limit does not count, even when we are slow."""
        case = Case().opened()
        gate: Deferred[None] = Deferred()

        async def before_dot() -> None:
            await gate

        transaction = Transaction(
            "a@contoso.com", [(0, Recipient("b@x"))], 1, lambda offset, length: b"x", before_dot
        )
        case.peer.clock.advance(29)
        run = Outcomes(case.connection.deliver(transaction))
        case.say("250 ok", "250 ok", "354 go")
        case.peer.clock.advance(60)
        gate.callback(None)
        self.assertEqual(case.peer.heard(), b"x\r\n.\r\n")
        case.say("250 taken")
        self.assertIs(run.value[0].outcome, Outcome.DELIVERED)

    def test_session_the_server_closed_is_not_reused(self) -> None:
        """A 421 or an end while idle makes a session useless, and that is known at once."""
        case = Case().opened()
        case.say("421 4.4.1 Connection timed out")
        self.assertFalse(case.connection.is_reusable)
        other = Case().opened()
        ended: list[bool] = []
        other.connection.on_closed(lambda: ended.append(True))
        other.peer.hang_up()
        self.assertFalse(other.connection.is_reusable)
        self.assertEqual(ended, [True])

    def test_lost_session_is_not_reused(self) -> None:
        """A transaction that lost its connection gives verdicts, and the session is over."""
        case = Case().opened()
        run = case.deliver()
        case.peer.hang_up()
        self.assertIs(run.value[0].outcome, Outcome.PENDING)
        self.assertIs(case.connection.state, State.CLOSED)

    def test_cancelled_transaction_aborts(self) -> None:
        """A delivery that is cancelled leaves no half message on a session somebody else gets."""
        case = Case().opened()
        run = case.deliver()
        run.deferred.cancel()
        self.assertEqual(case.peer.transport.ending, "aborted")
        self.assertFalse(case.connection.is_reusable)

    def test_quit_that_is_not_answered(self) -> None:
        """QUIT waits ten seconds for its answer and no longer."""
        case = Case().opened()
        leaving = Outcomes(case.connection.quit())
        case.peer.clock.advance(11)
        self.assertTrue(leaving.value)
        self.assertNotEqual(case.peer.transport.ending, "")
        self.assertEqual(case.peer.clock.getDelayedCalls(), [])

    def test_busy_session_takes_no_second_transaction(self) -> None:
        """Two deliveries never share a session."""
        case = Case().opened()
        case.deliver()
        self.assertIsInstance(case.deliver().problem, RuntimeError)
