"""Which client a device means, and which of its passwords are good now."""

from __future__ import annotations

from datetime import UTC, date, datetime
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.logins import Password
from m365gw.config.settings import Client
from m365gw.edge.login.logins import Known, Logins


def client(login: str, **more: object) -> Client:
    return Client(login=login, senders=(), mailbox="", **{"password_hash": "$x$", **more})  # type: ignore[arg-type]


class RealmTests(SynchronousTestCase):
    """What devices put around a login."""

    def found(self, logins: Logins, said: str) -> str | None:
        known = logins.find(said)
        return known.login if known else None

    def test_realm_is_taken_where_the_client_says_so(self) -> None:
        """Konica Minolta and Windows add a domain of their own; letter case does not count."""
        logins = Logins([client("printer3", realms=("contoso.com", "CONTOSO"))])
        for said in ("printer3", "printer3@Contoso.com", "contoso\\printer3"):
            self.assertEqual(self.found(logins, said), "printer3")
        for said in ("printer3@evil.example", "OTHER\\printer3", "Printer3", "@contoso.com", "\\"):
            self.assertIsNone(self.found(logins, said))

    def test_any_realm(self) -> None:
        """For a device that nobody can tell what it adds."""
        logins = Logins([client("fax", realms=("*",)), client("app@contoso.com", realms=("*",))])
        self.assertEqual(self.found(logins, "fax@whatever"), "fax")
        self.assertEqual(self.found(logins, "X\\fax"), "fax")
        self.assertEqual(self.found(logins, "app@contoso.com@relay.local"), "app@contoso.com")

    def test_exact_login_comes_first(self) -> None:
        """No client can be reached by the name of another one."""
        logins = Logins([client("fax", realms=("*",)), client("fax@contoso.com")])
        self.assertEqual(self.found(logins, "fax@contoso.com"), "fax@contoso.com")

    def test_hint_names_the_setting(self) -> None:
        """Who reads the log learns what to change."""
        logins = Logins([client("fax")])
        self.assertIn(
            'add "contoso.com" to realms of login "fax" (see m365gw client show fax)',
            logins.hint("fax@contoso.com"),
        )
        self.assertEqual(logins.hint("nobody"), "the login is unknown")

    def test_stand_in_is_always_the_same(self) -> None:
        """An unknown login takes as long each time."""
        logins = Logins([client(f"c{number}") for number in range(50)])
        self.assertEqual(len({logins.stand_in("nobody") for _ in range(5)}), 1)
        self.assertGreater(len({logins.stand_in(f"n{number}") for number in range(50)}), 5)
        self.assertIsNone(Logins([]).stand_in("nobody"))


class ObstacleTests(SynchronousTestCase):
    """A right password that does not let in."""

    NOON = datetime(2027, 3, 31, 12, tzinfo=UTC).timestamp()

    def obstacle(self, known: Known | None, address: str = "10.1.0.7", now: float = NOON) -> str:
        assert known is not None
        return known.obstacle(known.fast[-1], ip_address(address) if address else None, now)

    def test_last_day(self) -> None:
        """It is good to the end of its last day, by UTC."""
        password = Password(hash="$y$", label="old", expires=date(2027, 3, 31))
        known = Logins([client("fax", password=(password,))]).find("fax")
        self.assertEqual(self.obstacle(known), "")
        words = self.obstacle(known, now=self.NOON + 12 * 3600)
        self.assertEqual(words, 'password "old" is right, but expired after 2027-03-31')

    def test_networks_of_the_client_and_of_the_password(self) -> None:
        """Both must hold; a Unix socket is in no network."""
        password = Password(hash="$y$", networks=("10.1.0.0/24", "2001:db8::/32"))
        known = Logins([client("fax", password=(password,), networks=("10.0.0.0/8",))]).find("fax")
        self.assertEqual(self.obstacle(known), "")
        self.assertIn("networks of this password", self.obstacle(known, "10.2.0.1"))
        for address in ("192.0.2.1", "2001:db8::1", ""):
            self.assertIn("networks of the login", self.obstacle(known, address))

    def test_no_hash_is_shown(self) -> None:
        """Not in a representation either."""
        self.assertNotIn("$x$", repr(Logins([client("fax")]).find("fax")))
