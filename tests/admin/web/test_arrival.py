"""From where a request comes and for whom it is: nothing a client says of itself counts."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress

from m365gw.config.web import Web
from tests.admin.web.browser import PASSWORD, STRANGER, Browser, ConsoleTestCase

PROXY = IPv4Address("TCP", "10.0.0.2", 40000)
HTTPS = {"x_forwarded_proto": "https"}


class HostTests(ConsoleTestCase):
    def test_only_our_own_hosts_are_answered(self) -> None:
        """A page of another site cannot reach the console under a name of its own."""
        for host in ("evil.example", "127.0.0.1.evil.example", "relay.example.com", "10.0.0.1"):
            self.assertEqual(Browser(self.stage, host=host).get("/login").status, 421)
        for host in ("localhost:8025", "127.0.0.1", "[::1]:8025", "LOCALHOST"):
            self.assertEqual(Browser(self.stage, host=host).get("/login").status, 200)

    def test_a_host_that_is_none(self) -> None:
        """Missing, twice, or with what belongs in no name."""
        for host in ("", "a b", "x@localhost", "localhost/", "localhost:99x", "[::1"):
            self.assertEqual(Browser(self.stage, host=host).get("/login").status, 400)
        twice = b"GET /login HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
        self.assertIn(b" 400 ", Browser(self.stage).begin(twice).value())

    def test_methods(self) -> None:
        """Nothing but GET, HEAD and POST gets to a page."""
        for method in (b"PUT", b"DELETE", b"TRACE", b"OPTIONS", b"BREW"):
            octets = method + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            self.assertIn(b" 405 ", Browser(self.stage).begin(octets).value())

    def test_an_address_that_is_no_text(self) -> None:
        """Is refused before anything reads it."""
        for path in (b"/\xff", b"/%ff%fe", b"/queue/%ff"):
            octets = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
            said = Browser(self.stage).begin(octets).value()
            self.assertIn(b" 400 ", said)

    def test_forwarded_headers_of_anybody_count_for_nothing(self) -> None:
        """Without a trusted proxy they change neither the address nor the scheme."""
        browser = Browser(self.stage, headers={"x-forwarded-for": "10.9.9.9", **_lines(HTTPS)})
        browser.sign_in("anna", "wrong")
        browser.sign_in()
        clients = {each["client"] for each in self.stage.events() if "client" in each}
        self.assertEqual(clients, {"127.0.0.1"})
        self.assertNotIn("Secure", browser.set_cookie)
        self.assertNotIn("strict-transport-security", browser.get("/").headers)


class FiguresTests(ConsoleTestCase):
    web = Web(endpoint="tcp:8025", trusted_proxies=("10.0.0.0/24",))

    def test_an_address_in_figures(self) -> None:
        """Is answered over https where no public address is set; another name never is."""
        for host, status in (
            ("192.0.2.7:8025", 200),
            ("[2001:db8::1]", 200),
            ("evil.example", 421),
        ):
            browser = Browser(self.stage, host, PROXY, _lines(HTTPS))
            self.assertEqual(browser.get("/login").status, status)


class ProxyTests(ConsoleTestCase):
    web = Web(
        endpoint="tcp:8025",
        public_url="https://relay.example.com",
        trusted_proxies=("10.0.0.0/24", "unix"),
    )

    def through(self, peer: object = PROXY, **headers: str) -> Browser:
        return Browser(self.stage, "relay.example.com", peer, _lines({**HTTPS, **headers}))

    def test_https_by_a_proxy(self) -> None:
        """The cookie is for https alone and for this host alone, and browsers stay with https."""
        browser = self.through()
        self.assertEqual(browser.sign_in().status, 303)
        self.assertIn("__Host-m365gw=", browser.set_cookie)
        self.assertIn("Secure", browser.set_cookie)
        answer = browser.get("/")
        self.assertEqual(answer.status, 200)
        self.assertIn("max-age=", answer.headers["strict-transport-security"])

    def test_the_origin_is_that_of_the_public_address(self) -> None:
        """Forms come from there, whatever the proxy speaks to us."""
        browser = self.through()
        form = {"token": browser.get("/login").token(), "login": "anna", "password": PASSWORD}
        self.assertEqual(
            browser.post("/login", form, origin="http://relay.example.com").status, 403
        )
        self.assertEqual(
            browser.post("/login", form, origin="https://relay.example.com").status, 303
        )

    def test_the_client_is_whom_the_proxies_name(self) -> None:
        """The last of the list that is no proxy; what a client put before it counts for nothing."""
        for said, client in (
            ("192.0.2.7", "192.0.2.7"),
            ("1.2.3.4, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, 10.0.0.9", "192.0.2.7"),
            ("1.2.3.4, nonsense, 10.0.0.9", "10.0.0.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("", "10.0.0.2"),
        ):
            with self.subTest(said=said):
                self.through(x_forwarded_for=said).sign_in("anna", f"wrong {said}")
                self.assertEqual(self.stage.events()[-1]["client"], client)

    def test_who_comes_past_the_proxy_is_turned_away(self) -> None:
        """In the clear nobody is answered who is neither a proxy nor on this machine."""
        answer = self.through(STRANGER).get("/login")
        self.assertEqual(answer.status, 403)
        self.assertNotIn("set-cookie", answer.headers)

    def test_a_proxy_by_a_unix_socket(self) -> None:
        """Is believed where "unix" is named."""
        browser = self.through(UNIXAddress("/run/web.sock"), x_forwarded_for="192.0.2.8")
        browser.sign_in("anna", "wrong")
        self.assertEqual(self.stage.events()[-1]["client"], "192.0.2.8")


def _lines(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
