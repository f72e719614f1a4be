"""/livez, /readyz and /metrics: to whom, what, and how."""

from __future__ import annotations

from twisted.internet.address import IPv4Address

from m365gw.admin.web.bearers import MOST_WRONG, Bearers
from m365gw.admin.web.exposition import Snapshot
from m365gw.admin.web.watch import Probe, Scrape
from m365gw.config.web import Web
from m365gw.directory.api_tokens import ApiTokens
from tests.admin.web.browser import PUBLIC, STRANGER, Answer, AtOnce, Browser, ConsoleTestCase

PROMETHEUS = IPv4Address("TCP", "10.9.0.5", 40000)


class WatchTestCase(ConsoleTestCase):
    web = Web(
        endpoint="tcp:8025",
        public_url=f"https://{PUBLIC}",
        trusted_proxies=("10.0.0.1/32",),
        metrics_from=("127.0.0.0/8", "10.9.0.0/16"),
    )

    def setUp(self) -> None:
        super().setUp()
        stage = self.stage
        self.faults: list[str] = []
        self.tokens = ApiTokens(stage.sessions._database)
        bearers = Bearers(self.tokens, AtOnce(), stage.clock, stage.log)  # type: ignore[arg-type]
        self.scrape = Scrape(self.read, bearers, stage.console.arrivals)
        self.scrape.configure(self.web.metrics_from)
        stage.console.beside("metrics", self.scrape)
        stage.console.beside("livez", Probe("It lives."))
        stage.console.beside("readyz", Probe("It takes mail.", lambda: self.faults))

    async def read(self, accept: str) -> tuple[bytes, str]:
        metrics = self.stage.metrics
        gauges = [("m365gw_account_up", ('odd"\\\n@x.example',), 1.0)]
        return Snapshot.of(metrics.totals, gauges, metrics.histograms).encoded(accept)

    def ask(self, peer: IPv4Address, host: str, path: str = "/metrics", **headers: str) -> Answer:
        return Browser(self.stage, host=host, peer=peer).get(path, **headers)


class ProbeTests(WatchTestCase):
    def test_whoever_reaches_the_port_may_ask(self) -> None:
        """In the clear and by any name of the host, as orchestrators do; nothing is logged."""
        for path, words in (("/livez", "It lives.\n"), ("/readyz", "It takes mail.\n")):
            said = self.ask(STRANGER, "10.244.1.7:8025", path)
            self.assertEqual((said.status, said.body), (200, words))
        self.assertEqual(self.stage.events(), [])

    def test_what_is_wrong_is_said(self) -> None:
        """503 with the reasons; it lives all the same."""
        self.faults = ["It drains.", "The disk failed."]
        said = self.ask(STRANGER, "x.example", "/readyz")
        self.assertEqual((said.status, said.body), (503, "It drains.\nThe disk failed.\n"))
        self.assertEqual(self.ask(STRANGER, "x.example", "/livez").status, 200)

    def test_nothing_can_be_sent_there(self) -> None:
        """They are for reading."""
        self.assertEqual(Browser(self.stage).post("/readyz", {}).status, 405)


class ScrapeTests(WatchTestCase):
    def test_stated_networks_read_it_without_a_token(self) -> None:
        """By the address of the gateway, its name in a container network, or the public name."""
        for host in ("10.9.0.2:8025", "gateway:8025", "[2001:db8::1]:8025", PUBLIC):
            said = self.ask(PROMETHEUS, host)
            self.assertEqual(said.status, 200, host)
            self.assertIn("m365gw_smtpd_rejects_total", said.body)

    def test_a_name_of_another_site_is_refused(self) -> None:
        """A page there could make a browser in this network ask (DNS rebinding)."""
        self.assertEqual(self.ask(PROMETHEUS, "evil.example").status, 421)

    def test_others_are_refused(self) -> None:
        """Also behind the proxy, whose word for their address is taken."""
        self.assertEqual(self.ask(STRANGER, "10.9.0.2").status, 403)
        proxy = IPv4Address("TCP", "10.0.0.1", 40000)
        said = self.ask(proxy, PUBLIC, x_forwarded_for="192.0.2.66", x_forwarded_proto="https")
        self.assertEqual(said.status, 403)
        self.assertIn("192.0.2.66", said.body)

    def test_a_token_is_good_from_everywhere_but_in_the_clear(self) -> None:
        """It would be anybody's then."""
        bearer = f"Bearer {self.tokens.add('prometheus', 'viewer', 'test')}"
        proxy = IPv4Address("TCP", "10.0.0.1", 40000)
        way = {"x_forwarded_for": "192.0.2.66", "x_forwarded_proto": "https"}
        self.assertEqual(self.ask(proxy, PUBLIC, authorization=bearer, **way).status, 200)
        self.assertEqual(self.ask(STRANGER, PUBLIC, authorization=bearer).status, 403)
        wrong = self.ask(proxy, PUBLIC, authorization="Bearer x", **way)
        self.assertEqual((wrong.status, wrong.headers["www-authenticate"]), (401, "Bearer"))

    def test_a_token_that_ended_or_was_removed(self) -> None:
        """Is good for nothing: at once, or within seconds."""
        now = self.stage.clock.seconds()
        ended = self.tokens.add("old", "viewer", "test", now + 5)
        removed = self.tokens.add("gone", "viewer", "test")
        said = [
            self.ask(PROMETHEUS, "gateway", authorization=f"Bearer {each}").status
            for each in (ended, removed)
        ]
        self.assertEqual(said, [403, 403], "in the clear")
        browser = Browser(self.stage)
        for each in (ended, removed):
            self.assertEqual(browser.get("/metrics", authorization=f"Bearer {each}").status, 200)
        self.tokens.remove("gone", "test")
        self.stage.clock.advance(20)
        for each in (ended, removed):
            self.assertEqual(browser.get("/metrics", authorization=f"Bearer {each}").status, 401)

    def test_many_wrong_tokens_wait(self) -> None:
        """The right one that is in use does not, and the log tells of a few."""
        right = f"Bearer {self.tokens.add('prometheus', 'viewer', 'test')}"
        browser = Browser(self.stage)
        self.assertEqual(browser.get("/metrics", authorization=right).status, 200)
        wrong = [f"Bearer m365gw_{number:043d}" for number in range(MOST_WRONG + 5)]
        said = [browser.get("/metrics", authorization=each).status for each in wrong]
        self.assertEqual((said[0], said[-1]), (401, 429))
        self.assertEqual(browser.get("/metrics", authorization=right).status, 200)
        told = [each for each in self.stage.events() if each["event"] == "web.token_refused"]
        self.assertLessEqual(len(told), MOST_WRONG)
        self.assertNotIn("m365gw_000", str(told))

    def test_the_format_is_what_the_scraper_takes(self) -> None:
        """Prometheus' text, or OpenMetrics; odd names of mailboxes are escaped."""
        said = self.ask(PROMETHEUS, "gateway")
        self.assertIn("text/plain", said.headers["content-type"])
        self.assertIn(r'm365gw_account_up{account="odd\"\\\n@x.example"} 1.0', said.body)
        kind = "application/openmetrics-text"
        said = self.ask(PROMETHEUS, "gateway", accept=f"{kind}; version=1.0.0")
        self.assertIn(kind, said.headers["content-type"])
        self.assertTrue(said.body.endswith("# EOF\n"))
