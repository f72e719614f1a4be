"""Checking logins."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client
from m365gw.directory import passwords
from m365gw.edge import authentication
from m365gw.edge.authentication import BUSY, MOST_CHECKS, REMEMBERED_SECONDS, WRONG, Authenticator
from m365gw.edge.failures import LONGEST_WAIT, MOST_WAITING
from m365gw.smtp.replies import Refused
from tests.edge.conversation import Thread

PASSWORD, HASH = passwords.generate()
CHOSEN = "correct horse battery"
CHOSEN_HASH = passwords.hash_chosen(CHOSEN)


def client(login: str, password_hash: str) -> Client:
    return Client(login=login, password_hash=password_hash, senders=(), mailbox="")


class AuthenticatorTests(SynchronousTestCase):
    """Is this password that login's?"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.thread = Thread()

    def authenticator(self, *clients: Client) -> Authenticator:
        return Authenticator(clients, self.clock, self.thread)

    def assert_wrong(self, checked: str | Deferred[str], wait: float = 1.0) -> None:
        assert isinstance(checked, Deferred)
        self.clock.advance(wait - 0.1)
        self.assertNoResult(checked)
        self.clock.advance(0.1)
        self.assertEqual(self.failureResultOf(checked, Refused).value.reply, WRONG)

    def assert_busy(self, authenticator: Authenticator, login: str, password: str) -> None:
        refused = self.assertRaises(Refused, authenticator.check, login, password, None)
        self.assertEqual(refused.reply, BUSY)

    def test_generated_password_is_checked_at_once(self) -> None:
        """A fast hash needs no thread and no Deferred: devices log in for every message."""
        self.thread.is_stalled = True
        checked = self.authenticator(client("fax", HASH)).check("fax", PASSWORD, None)
        self.assertEqual(checked, "fax")

    def test_wrong_password_is_refused_after_a_wait(self) -> None:
        """Guessing is slow: the answer to a wrong password comes late, and later each time."""
        authenticator = self.authenticator(client("fax", HASH))
        self.assert_wrong(authenticator.check("fax", "one", None), 1.0)
        self.assert_wrong(authenticator.check("fax", "two", None), 2.0)
        self.assert_wrong(authenticator.check("fax", "two", None), 2.0)

    def test_right_password_does_not_wait_for_others(self) -> None:
        """Failures behind the same address never lock out who knows a generated password."""
        authenticator = self.authenticator(client("fax", HASH))
        for number in range(MOST_WAITING):
            authenticator.check("fax", f"guess {number}", None)
        for number in range(50):
            self.assert_busy(authenticator, "fax", f"more {number}")
        self.assertEqual(len(self.clock.getDelayedCalls()), MOST_WAITING)
        self.assertEqual(authenticator.check("fax", PASSWORD, None), "fax")

    def test_chosen_passwords_are_not_guessed_faster_by_leaving(self) -> None:
        """While its refusals wait an address learns nothing, not even of a remembered login."""
        authenticator = self.authenticator(client("app", CHOSEN_HASH))
        self.assertEqual(self.successResultOf(authenticator.check("app", CHOSEN, None)), "app")
        self.patch(authentication, "verify", lambda stored, password: False)
        wrong = [
            authenticator.check("app", f"guess {number}", None) for number in range(MOST_WAITING)
        ]
        self.assert_busy(authenticator, "app", "another guess")
        self.assert_busy(authenticator, "app", CHOSEN)
        self.assertEqual(authenticator.check("app", CHOSEN, ip_address("192.0.2.9")), "app")
        self.clock.advance(LONGEST_WAIT)
        for checked in wrong:
            assert isinstance(checked, Deferred)
            self.failureResultOf(checked, Refused)
        self.assertEqual(authenticator.check("app", CHOSEN, None), "app")

    def test_chosen_password_is_checked_in_a_thread(self) -> None:
        """A slow hash never stops the reactor."""
        self.thread.is_stalled = True
        checked = self.authenticator(client("app", CHOSEN_HASH)).check("app", CHOSEN, None)
        assert isinstance(checked, Deferred)
        self.assertNoResult(checked)
        self.thread.run()
        self.assertEqual(self.successResultOf(checked), "app")

    def test_good_slow_login_is_remembered_for_a_while(self) -> None:
        """A device that connects for each message pays for its slow hash once in five minutes."""
        authenticator = self.authenticator(client("app", CHOSEN_HASH))
        authenticator.check("app", CHOSEN, None)
        self.thread.is_stalled = True
        self.assertEqual(authenticator.check("app", CHOSEN, None), "app")
        self.assertIsInstance(authenticator.check("app", "other", None), Deferred)
        self.clock.advance(REMEMBERED_SECONDS)
        self.assertIsInstance(authenticator.check("app", CHOSEN, None), Deferred)

    def test_full_queue_is_a_passing_fault(self) -> None:
        """When too many checks wait the login is told to come back, and later may."""
        checks: list[Deferred[bool]] = []

        def in_thread(function: object, *arguments: str) -> Deferred[bool]:
            checks.append(Deferred())
            return checks[-1]

        authenticator = Authenticator([client("app", CHOSEN_HASH)], self.clock, in_thread)
        for _ in range(MOST_CHECKS):
            authenticator.check("app", "guess", None)
        refused = self.assertRaises(Refused, authenticator.check, "app", CHOSEN, None)
        self.assertEqual(refused.reply, BUSY)
        checks[0].callback(False)
        checked = authenticator.check("app", CHOSEN, None)
        assert isinstance(checked, Deferred)
        checks[-1].callback(True)
        self.assertEqual(self.successResultOf(checked), "app")

    def test_unknown_login_costs_what_a_known_one_costs(self) -> None:
        """Whether a login exists cannot be told by time: the same hash is made for both."""
        self.thread.is_stalled = True
        checked = self.authenticator(client("app", CHOSEN_HASH)).check("nobody", "x", None)
        self.assertEqual(self.thread.waiting, 1)
        self.thread.run()
        self.assert_wrong(checked)

    def test_unknown_login_with_anothers_password_is_refused(self) -> None:
        """The hash an unknown login is checked against lets nobody in."""
        authenticator = self.authenticator(client("app", CHOSEN_HASH))
        for _ in range(2):
            self.assert_wrong(authenticator.check("nobody", CHOSEN, None))

    def test_without_clients_nobody_logs_in(self) -> None:
        """No client is configured: every login is wrong, the empty one too."""
        self.assert_wrong(self.authenticator().check("", "", None))

    def test_failure_of_the_check_itself_is_passed_on(self) -> None:
        """A check that breaks is not a wrong password: it fails as what it is."""
        broken: Deferred[bool] = Deferred()
        authenticator = Authenticator(
            [client("app", CHOSEN_HASH)], self.clock, lambda function, *arguments: broken
        )
        checked = authenticator.check("app", CHOSEN, None)
        assert isinstance(checked, Deferred)
        broken.errback(MemoryError())
        self.failureResultOf(checked, MemoryError)
