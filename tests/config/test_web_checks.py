"""[web]: nobody's password crosses a network in the clear, whatever somebody configures."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.checks.web import web_faults
from m365gw.config.web import Web

PUBLIC = "https://relay.example.com"


class WebTests(SynchronousTestCase):
    def faults(self, **web: object) -> list[tuple[str, str]]:
        return [(str(key[-1]), fault) for key, fault, _ in web_faults(Web(**web))]

    def test_plain_http_is_for_this_machine(self) -> None:
        """Loopback, or a socket of this machine; nothing else without TLS or a named proxy."""
        for place in ("", "tcp:8025:interface=127.0.0.1", "tcp6:8025:interface=\\:\\:1", "unix:/s"):
            self.assertEqual(self.faults(endpoint=place), [])
        for place in (
            "tcp:8025",
            "tcp:8025:interface=0.0.0.0",
            "tcp6:8025:interface=\\:\\:",
            "tcp:8025:interface=10.0.0.1",
            "systemd:domain=INET:index=0",
        ):
            (fault,) = self.faults(endpoint=place, public_url=PUBLIC)
            self.assertIn("in the clear", fault[1])
            self.assertEqual(self.faults(endpoint=place, public_url=PUBLIC, tls=True), [])
            proxies = ("10.0.0.0/24",)
            web = {"endpoint": place, "public_url": PUBLIC, "trusted_proxies": proxies}
            self.assertEqual(self.faults(**web), [])

    def test_others_need_to_know_what_to_type(self) -> None:
        """Without a public address nobody else would be answered."""
        proxies = ("10.0.0.1",)
        faults = self.faults(endpoint="tcp:443", trusted_proxies=proxies)
        self.assertEqual(faults[0][0], "public_url")
        self.assertEqual(self.faults(endpoint="tcp:443", tls=True), [])

    def test_a_public_address_is_a_site_of_its_own(self) -> None:
        """Https, and nothing behind the host."""
        for good in (PUBLIC, f"{PUBLIC}/", f"{PUBLIC}:8443", "http://localhost:8025"):
            self.assertEqual(self.faults(public_url=good), [])
        for bad in (
            "relay.example.com",
            "https://",
            "https://relay.example.com/console",
            "https://relay.example.com?x",
            "https://a@relay.example.com",
            "https://relay.example.com:x",
            "ftp://relay.example.com",
            "http://relay.example.com",
        ):
            with self.subTest(url=bad):
                self.assertEqual(len(self.faults(public_url=bad)), 1)

    def test_the_rest(self) -> None:
        """Endpoints and networks are read as everywhere; times are more than nothing."""
        bad = {"endpoint": "here", "trusted_proxies": ("10.0.0.5/24", "unix"), "idle_time": 0.0}
        found = [name for name, _ in self.faults(**bad)]
        self.assertEqual(found, ["idle_time", "trusted_proxies", "endpoint"])
