"""Tests for `m365gw.relay.tokens.tokens`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.interactive import InteractiveSignIns
from m365gw.relay.tokens.tokens import Tokens, by_either_exit
from tests.relay.entra import BROKEN, CLOUD, OFFLINE, Answer, Entra, Store, mailbox, refusal
from tests.relay.peer import Outcomes

BOX = mailbox()


class Calls:
    """Runs blocking calls when the test says so."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] = []
        self.is_holding = False
        self.count = 0

    async def call(self, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        self.count += 1
        if self.is_holding:
            gate: Deferred[None] = Deferred()
            self.held.append(lambda: gate.callback(None))
            await gate
        return function(*args, **keywords)

    def go(self) -> None:
        """Let the calls that are held run."""
        held, self.held = self.held, []
        for each in held:
            each()


class TokensTests(SynchronousTestCase):
    """Tokens of mailboxes."""

    def setUp(self) -> None:
        self.entra = Entra()
        self.calls = Calls()
        self.now = 1000.0
        self.stream = io.StringIO()
        clouds, store = {"worldwide": CLOUD}, Store()
        self.sign_ins = InteractiveSignIns(
            clouds, store, self.calls, open_session=self.entra.session
        )
        self.tokens = Tokens(
            clouds,
            store,
            EventLog(self.stream, hostname="relay", level="debug"),
            self.calls,
            open_session=self.entra.session,
            monotonic=lambda: self.now,
        )

    def ask(self, **keywords: Any) -> Outcomes:
        return Outcomes(self.tokens.token(BOX, **keywords))

    def test_first_token(self) -> None:
        """The first question asks Entra, the next ones do not."""
        self.assertEqual(self.ask().value, "AT1")
        self.assertEqual(self.ask().value, "AT1")
        self.assertEqual(self.calls.count, 1)

    def test_single_flight(self) -> None:
        """Trap of MSAL: many who ask at once make one request and get one answer."""
        self.calls.is_holding = True
        asked = [self.ask() for _ in range(8)]
        self.calls.go()
        self.assertEqual([each.value for each in asked], ["AT1"] * 8)
        self.assertEqual(len(self.entra.posts), 1)

    def test_one_of_many_may_give_up(self) -> None:
        """Who is cancelled while waiting takes nothing from the others."""
        self.calls.is_holding = True
        first, second = self.ask(), self.ask()
        first.deferred.cancel()
        self.calls.go()
        self.assertIsInstance(first.problem, CancelledError)
        self.assertEqual(second.value, "AT1")

    def test_mailboxes_do_not_wait_for_each_other(self) -> None:
        """Each mailbox has a request and a token of its own."""
        self.ask()
        other = Outcomes(self.tokens.token(mailbox(address="alarm@contoso.com")))
        self.assertEqual(other.value, "AT2")
        self.assertEqual(self.ask().value, "AT1")

    def test_renewed_ahead_without_delay(self) -> None:
        """Ten minutes before the end a new token is fetched while the old one is given out."""
        self.ask()
        self.now += 3600 - 599
        self.calls.is_holding = True
        self.assertEqual(self.ask().value, "AT1")
        self.assertEqual(self.ask().value, "AT1")
        self.calls.go()
        self.assertEqual(self.ask().value, "AT2")
        self.assertEqual(self.calls.count, 2)

    def test_valid_token_outlives_failures(self) -> None:
        """While renewing fails the old token serves, and Entra is asked once a minute."""
        self.ask()
        self.now += 3600 - 599
        self.entra.script = [OFFLINE]
        for _ in range(5):
            self.assertEqual(self.ask().value, "AT1")
        self.assertEqual(self.calls.count, 2)
        self.now += 61
        self.ask()
        self.assertEqual(self.ask().value, "AT2")

    def test_token_at_its_end_is_not_given_out(self) -> None:
        """With less life than asked for, a new one is waited for, or its failure is told."""
        self.ask()
        self.now += 3600 - 200
        self.entra.script = [BROKEN]
        problem = self.ask().problem
        assert isinstance(problem, TokenUnavailable)
        self.assertEqual((problem.reaction, problem.retry_after), ("retry", 120.0))
        self.assertEqual(self.ask().value, "AT2")

    def test_longer_life_can_be_asked_for(self) -> None:
        """Hosts that want more than ten minutes of life left get it."""
        self.ask()
        self.now += 3600 - 800
        self.assertEqual(self.ask(min_life=900.0).value, "AT2")

    def test_short_lived_tokens(self) -> None:
        """A tenant whose tokens live for less than we like is served all the same."""
        self.entra.life = 240
        self.assertEqual(self.ask().value, "AT1")
        self.assertEqual(self.ask().value, "AT1")
        self.now += 121
        self.assertEqual(self.ask().value, "AT2")

    def test_refused_token_is_dropped(self) -> None:
        """After a 535 the old token is never given out again, not even when Entra is down."""
        self.ask()
        self.entra.script = [OFFLINE]
        self.assertIsInstance(self.ask(force=True).problem, TokenUnavailable)
        self.assertEqual(self.ask().value, "AT2")

    def test_forced_token_is_new(self) -> None:
        """A forced refresh asks Entra although a token is at hand."""
        self.ask()
        self.assertEqual(self.ask(force=True).value, "AT2")

    def test_failure_reaches_all_who_wait(self) -> None:
        """One failed request is told to everybody who waited for it, with its reaction."""
        self.calls.is_holding = True
        asked = [self.ask() for _ in range(3)]
        self.entra.script = [Answer(401, refusal("invalid_client", 7000222))]
        self.calls.go()
        problems = [each.problem for each in asked]
        self.assertTrue(all(isinstance(each, TokenUnavailable) for each in problems))

    def test_one_unclear_refusal_is_not_believed(self) -> None:
        """An invalid_grant without a known code holds a mailbox only when it stays."""
        box = mailbox(flow="device", client_secret="")
        sign_in = Outcomes(self.sign_ins.begin_device(box)).value
        Outcomes(self.sign_ins.poll_device(sign_in))
        reactions = []
        for _ in range(6):
            self.entra.script = [Answer(400, refusal("invalid_grant"))]
            problem = Outcomes(self.tokens.token(box, force=True)).problem
            assert isinstance(problem, TokenUnavailable)
            reactions.append(problem.reaction)
            self.now += 300
        self.assertEqual(reactions[0], "retry")
        self.assertEqual(reactions[-1], "login")

    def test_unforeseen_failure_is_temporary(self) -> None:
        """What nobody foresaw is a reason to retry, shown by its name only."""

        async def fail(*_: Any, **__: Any) -> Any:
            raise LookupError("with AT1 in it")

        self.calls.call = fail  # type: ignore[method-assign]  # the failure under test
        problem = self.ask().problem
        assert isinstance(problem, TokenUnavailable)
        self.assertEqual(problem.reaction, "retry")
        self.assertIn("LookupError", str(problem))
        self.assertNotIn("AT1", str(problem))

    def test_no_token_in_log_or_repr(self) -> None:
        """Neither log nor repr shows a token or a secret, at the most talkative level."""
        self.ask()
        self.ask(force=True)
        self.entra.script = [OFFLINE]
        self.ask(force=True)
        shown = self.stream.getvalue() + repr(vars(self.tokens)) + repr(BOX)
        for secret in ("AT1", "AT2", "s3cret-value"):
            self.assertNotIn(secret, shown)
        self.assertIn("relay@contoso.com", shown)

    def test_device_sign_in(self) -> None:
        """An operator starts a sign-in and asks until it is done; then there are tokens."""
        box = mailbox(flow="device", client_secret="")
        sign_in = Outcomes(self.sign_ins.begin_device(box)).value
        self.assertEqual(sign_in.user_code, "ABCD-EFGH")
        self.assertIs(Outcomes(self.sign_ins.poll_device(sign_in)).value, True)
        self.assertEqual(Outcomes(self.tokens.token(box)).value, "AT1")

    def test_new_settings(self) -> None:
        """A mailbox in a cloud that changed asks for a new token; others keep theirs."""
        self.assertTrue(self.ask().value)
        self.tokens.configure({"worldwide": CLOUD}, [BOX])
        self.assertTrue(self.ask().value)
        self.assertEqual(self.calls.count, 1)
        self.tokens.configure({"worldwide": evolve(CLOUD, scope="other")}, [BOX])
        self.assertTrue(self.ask().value)
        self.assertEqual(self.calls.count, 2)

    def test_each_exit_has_a_token_of_its_own(self) -> None:
        """SMTP and Graph are two resources; both tokens outlive a reload."""
        by_smtp, by_graph = by_either_exit(BOX)
        for box, token in ((by_smtp, "AT1"), (by_graph, "AT2"), (by_smtp, "AT1")):
            self.assertEqual(Outcomes(self.tokens.token(box)).value, token)
        scopes = [post["scope"] for post in self.entra.posts]
        self.assertEqual(scopes, [CLOUD.scope, CLOUD.graph_scope])
        self.tokens.configure({"worldwide": CLOUD}, [BOX])
        for box, token in ((by_smtp, "AT1"), (by_graph, "AT2")):
            self.assertEqual(Outcomes(self.tokens.token(box)).value, token)

    def test_the_exits_of_a_mailbox_ask_one_after_the_other(self) -> None:
        """They have one sign-in, which each stores anew; other mailboxes do not wait for that."""
        self.calls.is_holding = True
        asked = [Outcomes(self.tokens.token(each)) for each in by_either_exit(BOX)]
        other = Outcomes(self.tokens.token(mailbox(address="alarm@contoso.com")))
        self.assertEqual(len(self.calls.held), 2)
        self.calls.go()
        self.assertEqual(len(self.calls.held), 1)
        self.calls.go()
        self.assertEqual({each.value for each in (*asked, other)}, {"AT1", "AT2", "AT3"})

    def test_renewals_of_many_mailboxes_are_spread(self) -> None:
        """Tokens that 200 mailboxes got in one moment are not all renewed in one."""
        boxes = [mailbox(address=f"relay{number}@contoso.com") for number in range(200)]
        counts = []
        for _ in range(60):
            before = self.calls.count
            for box in boxes:
                Outcomes(self.tokens.token(box))
            counts.append(self.calls.count - before)
            self.now += 60
        self.assertEqual((counts[0], sum(counts[1:])), (200, 200))
        self.assertLess(max(counts[1:]), 60)
