"""Checking logins."""

from __future__ import annotations

from datetime import date
from ipaddress import ip_address

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.logins import Logins, Password
from m365gw.config.settings import Client
from m365gw.directory import passwords
from m365gw.directory.last_use import Use
from m365gw.edge.admission.admission import IpAddress
from m365gw.edge.login import slow_checks
from m365gw.edge.login.authentication import (
    BUSY,
    REMEMBERED_SECONDS,
    WRONG,
    Authenticator,
    TurnedAway,
    WrongLogin,
)
from m365gw.smtp.replies import Refused
from tests.edge.conversation import Thread

PASSWORD, HASH = passwords.generate()
CHOSEN = "correct horse battery"
CHOSEN_HASH = passwords.hash_chosen(CHOSEN)
LIMITS = Logins()
HERE = ip_address("192.0.2.1")
THERE = ip_address("192.0.2.9")


def client(login: str, password_hash: str, *more: Password) -> Client:
    return Client(login=login, password_hash=password_hash, password=more, senders=(), mailbox="")


class AuthenticatorTestCase(SynchronousTestCase):
    """A clock and a thread in hand."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.thread = Thread()
        self.used: list[tuple[str, str, str]] = []

    def authenticator(self, *clients: Client, uses: tuple[Use, ...] = ()) -> Authenticator:
        return Authenticator(
            clients, LIMITS, self.clock, self.thread, lambda *use: self.used.append(use), uses
        )

    def assert_wrong(self, checked: str | Deferred[str], wait: float = 1.0) -> None:
        assert isinstance(checked, Deferred)
        self.clock.advance(wait - 0.1)
        self.assertNoResult(checked)
        self.clock.advance(0.1)
        self.assertEqual(self.failureResultOf(checked, Refused).value.reply, WRONG)

    def assert_busy(
        self,
        authenticator: Authenticator,
        login: str,
        password: str,
        address: IpAddress | None = None,
    ) -> None:
        refused = self.assertRaises(TurnedAway, authenticator.check, login, password, address)
        self.assertEqual(refused.reply, BUSY)

    def wrong(self, checked: str | Deferred[str]) -> WrongLogin:
        """The refusal that a check comes to, however long it waits."""
        assert isinstance(checked, Deferred)
        self.clock.advance(LIMITS.longest_wait)
        failure: WrongLogin = self.failureResultOf(checked, WrongLogin).value
        return failure


class AuthenticatorTests(AuthenticatorTestCase):
    """Is this password that login's?"""

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
        for number in range(LIMITS.address_wait_limit):
            authenticator.check("fax", f"guess {number}", None)
        for number in range(50):
            self.assert_busy(authenticator, "fax", f"more {number}")
        self.assertEqual(len(self.clock.getDelayedCalls()), LIMITS.address_wait_limit)
        self.assertEqual(authenticator.check("fax", PASSWORD, None), "fax")

    def test_chosen_passwords_are_not_guessed_faster_by_leaving(self) -> None:
        """While its refusals wait an address learns nothing, not even of a remembered login."""
        authenticator = self.authenticator(client("app", CHOSEN_HASH))
        self.assertEqual(self.successResultOf(authenticator.check("app", CHOSEN, None)), "app")
        self.patch(slow_checks, "matching", lambda hashes, password: None)
        wrong = [
            authenticator.check("app", f"guess {number}", None)
            for number in range(LIMITS.address_wait_limit)
        ]
        self.assert_busy(authenticator, "app", "another guess")
        self.assert_busy(authenticator, "app", CHOSEN)
        self.assertEqual(authenticator.check("app", CHOSEN, THERE), "app")
        self.clock.advance(LIMITS.longest_wait)
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
        self.thread.is_stalled = True
        authenticator = self.authenticator(client("app", CHOSEN_HASH))
        room = LIMITS.check_threads + LIMITS.check_limit
        checks = [authenticator.check("app", CHOSEN, HERE) for _ in range(room + 1)]
        assert isinstance(checks[-1], Deferred)
        self.assertEqual(self.failureResultOf(checks[-1], TurnedAway).value.reply, BUSY)
        self.thread.run()
        self.assertEqual(authenticator.check("app", CHOSEN, HERE), "app")

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
            [client("app", CHOSEN_HASH)],
            LIMITS,
            self.clock,
            lambda function, *arguments: broken,
            lambda *use: None,
        )
        checked = authenticator.check("app", CHOSEN, None)
        assert isinstance(checked, Deferred)
        broken.errback(MemoryError())
        self.failureResultOf(checked, MemoryError)

    def test_repeated_wrong_password_costs_no_check(self) -> None:
        """A device with an old password that connects all day is told from memory."""
        authenticator = self.authenticator(client("app", CHOSEN_HASH))
        first = self.wrong(authenticator.check("app", "old", HERE))
        self.thread.is_stalled = True
        again = self.wrong(authenticator.check("app", "old", HERE))
        self.assertEqual(self.thread.waiting, 0)
        self.assertEqual((first.is_repeated, again.is_repeated), (False, True))

    def test_new_password_of_the_configuration_is_not_taken_for_the_old_wrong_one(self) -> None:
        """What was wrong yesterday may be right after a reload, and the other way round."""
        authenticator = self.authenticator(client("app", passwords.hash_chosen("other")))
        self.wrong(authenticator.check("app", CHOSEN, HERE))
        authenticator.replace([client("app", CHOSEN_HASH)])
        checked = authenticator.check("app", CHOSEN, HERE)
        assert isinstance(checked, Deferred)
        self.assertEqual(self.successResultOf(checked), "app")
        authenticator.replace([])
        self.wrong(authenticator.check("app", CHOSEN, HERE))

    def test_new_limits_hold_at_once(self) -> None:
        """A reload changes how long the next answer waits and how many may."""
        authenticator = self.authenticator(client("fax", HASH))
        strict = Logins(shortest_wait=5.0, address_wait_limit=1, wrong_limit=2)
        authenticator.configure(strict)
        checked = authenticator.check("fax", "x", HERE)
        self.assert_busy(authenticator, "fax", "y", HERE)
        self.assert_wrong(checked, 5.0)
        self.assertEqual(authenticator.wrong_limit, 2)

    def test_no_memory_is_not_a_wrong_password(self) -> None:
        """The check could not be made: it fails as what it is, and the client may try again."""
        stored = "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
        checked = self.authenticator(client("app", stored)).check("app", CHOSEN, None)
        assert isinstance(checked, Deferred)
        self.failureResultOf(checked, MemoryError)


class RotationTests(AuthenticatorTestCase):
    """Several passwords of one client."""

    def test_every_password_is_good_and_its_use_is_told(self) -> None:
        """Old and new, made and chosen; what is told names the one that was used."""
        authenticator = self.authenticator(
            client("app", HASH, Password(hash=CHOSEN_HASH), Password(hash="$none$"))
        )
        self.assertEqual(authenticator.check("app", PASSWORD, HERE), "app")
        checked = authenticator.check("app", CHOSEN, HERE)
        assert isinstance(checked, Deferred)
        self.assertEqual(self.successResultOf(checked), "app")
        self.assertEqual(authenticator.check("app", CHOSEN, None), "app")
        self.assertEqual(
            self.used,
            [
                ("app", HASH, "192.0.2.1"),
                ("app", CHOSEN_HASH, "192.0.2.1"),
                ("app", CHOSEN_HASH, ""),
            ],
        )

    def test_expired_password_is_refused_as_any_other(self) -> None:
        """The client learns nothing; the log learns why."""
        old = Password(hash=CHOSEN_HASH, label="old", expires=date(1969, 12, 31))
        authenticator = self.authenticator(client("app", HASH, old))
        for is_repeated in (False, True):
            wrong = self.wrong(authenticator.check("app", CHOSEN, HERE))
            self.assertEqual(wrong.reply, WRONG)
            self.assertEqual(wrong.reason, 'password "old" is right, but expired after 1969-12-31')
            self.assertEqual(wrong.is_repeated, is_repeated)
        self.assertEqual(self.used, [])

    def test_password_of_another_network(self) -> None:
        """A password that leaves its network opens nothing."""
        bound = Password(hash=HASH, networks=("10.0.0.0/8",))
        authenticator = self.authenticator(client("app", "", bound))
        wrong = self.wrong(authenticator.check("app", PASSWORD, HERE))
        self.assertIn("none of networks of this password", wrong.reason)
        self.assertEqual(authenticator.check("app", PASSWORD, ip_address("10.1.2.3")), "app")

    def test_reasons_for_the_log(self) -> None:
        """Whether the login or the password is wrong is told to the log only."""
        authenticator = self.authenticator(client("fax", HASH))
        said = {
            name: self.wrong(authenticator.check(name, "x", HERE))
            for name in ("fax", "nobody", "fax@contoso.com")
        }
        self.assertEqual({str(wrong) for wrong in said.values()}, {str(WRONG)})
        self.assertEqual(said["fax"].reason, "the password is wrong")
        self.assertEqual(said["nobody"].reason, "the login is unknown")
        self.assertIn('add "contoso.com" to realms', said["fax@contoso.com"].reason)


class StormTests(AuthenticatorTestCase):
    """A thousand wrong logins a second from fifty addresses, in a time of its own."""

    CHECK = 0.04  # seconds of one slow check

    def storm(self, *clients: Client, seconds: int, uses: tuple[Use, ...] = ()) -> Authenticator:
        """The wrong logins, with the checks of two threads between them."""
        self.thread.is_stalled = True
        self.patch(slow_checks, "matching", lambda hashes, password: {CHOSEN: 0}.get(password))
        authenticator = self.authenticator(*clients, uses=uses)
        self.refused = self.news = 0
        for number in range(1000 * seconds):
            address = ip_address(f"127.0.1.{number % 50}")
            try:
                checked = authenticator.check("app", f"guess {number}", address)
            except TurnedAway:
                self.count(Failure())  # type: ignore[no-untyped-call]
            else:
                assert isinstance(checked, Deferred)
                checked.addErrback(self.count)
            self.clock.advance(0.001)
            if number % 40 == 0:
                self.thread.run()
        return authenticator

    def count(self, failure: Failure) -> None:
        """One of the storm was refused, sooner or later."""
        if isinstance(failure.value, TurnedAway):
            self.refused += 1
            self.news += failure.value.is_news

    def time_of(self, checked: str | Deferred[str]) -> float:
        """Seconds until a login has succeeded."""
        if checked == "app":
            return 0.0
        assert isinstance(checked, Deferred)
        said: list[str] = []
        checked.addCallback(said.append)
        begun = self.clock.seconds()
        while not said:
            self.clock.advance(self.CHECK)
            self.thread.run()
        return self.clock.seconds() - begun

    def test_generated_password_waits_for_nothing(self) -> None:
        """Also from an address in the middle of the storm."""
        authenticator = self.storm(client("app", CHOSEN_HASH, Password(hash=HASH)), seconds=3)
        self.assertEqual(authenticator.check("app", PASSWORD, ip_address("127.0.1.1")), "app")

    def test_chosen_password_comes_before_the_storm(self) -> None:
        """At an address that did nothing wrong, when another login is stormed: within a second."""
        use = Use("app", "", 0.0, str(HERE))
        authenticator = self.storm(client("app", CHOSEN_HASH), seconds=3, uses=(use,))
        self.assertGreater(self.refused, 2000)
        self.assertLess(self.time_of(authenticator.check("app", CHOSEN, HERE)), 1.0)

    def test_the_log_is_told_of_the_storm_now_and_then(self) -> None:
        """Who is turned away is told to the log once a minute for each address."""
        self.storm(client("app", CHOSEN_HASH), seconds=2)
        self.assertEqual(self.news, 50)

    def test_memory_is_bounded(self) -> None:
        """What is kept of the storm is what may wait, not what came."""
        authenticator = self.storm(client("app", CHOSEN_HASH), seconds=3)
        self.assertLessEqual(self.thread.waiting, LIMITS.check_threads)
        self.assertLessEqual(len(authenticator._slow._waiting), LIMITS.check_limit)
        waiting = len(self.clock.getDelayedCalls())
        self.assertLessEqual(waiting, 50 * LIMITS.address_wait_limit)
