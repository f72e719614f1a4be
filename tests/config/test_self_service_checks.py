"""Tests for `m365gw.config.checks.self_service`: the page is closed until all it needs is there."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.checks.self_service import self_service_faults
from m365gw.config.mailboxes import Mailbox
from m365gw.config.self_service import SelfService, SignIn, mailbox_by, with_app
from m365gw.config.settings import Settings
from m365gw.config.web import Web

CLOUDS = ("worldwide",)
APP = SignIn(name="Contoso", tenant="contoso.com", client_id="x")
OPEN = Settings(
    web=Web(endpoint="tcp:8025:interface=127.0.0.1", public_url="https://relay.example.com"),
    self_service=SelfService(enabled=True, allow=("*@contoso.com",)),
    sign_in=(APP,),
)


class SelfServiceChecksTests(SynchronousTestCase):
    def places(self, settings: Settings) -> list[str]:
        """The keys with a fault; each has words for it."""
        found = list(self_service_faults(settings, CLOUDS))
        self.assertTrue(all(fault for _, fault, _ in found))
        return [".".join(map(str, path)) for path, _, _ in found]

    def rules(self, **changes: Any) -> Settings:
        return attrs.evolve(OPEN, self_service=attrs.evolve(OPEN.self_service, **changes))

    def app(self, **changes: Any) -> Settings:
        return attrs.evolve(OPEN, sign_in=(attrs.evolve(APP, **changes),))

    def test_closed_by_default(self) -> None:
        """Nothing is needed then; what it needs is said when it is opened, all at once."""
        self.assertFalse(Settings().self_service.enabled)
        self.assertEqual(self.places(Settings()), [])
        self.assertEqual(self.places(OPEN), [])
        bare = Settings(self_service=SelfService(enabled=True))
        enabled = "self_service.enabled"
        self.assertEqual(self.places(bare), [enabled, enabled, enabled, "self_service.allow"])

    def test_rules(self) -> None:
        """Patterns, numbers and servers that make no sense."""
        for changes, key in (
            ({"allow": ("j*e@contoso.com",)}, "allow"),
            ({"deny": ("<>",)}, "deny"),
            ({"passwords": 0}, "passwords"),
            ({"passwords": 8}, "passwords"),
            ({"password_lifetime": 60.0}, "password_lifetime"),
            ({"servers": ("smtp.example.com",)}, "servers"),
            ({"servers": ("smtp.example.com:99999",)}, "servers"),
        ):
            self.assertEqual(self.places(self.rules(**changes)), [f"self_service.{key}"])

    def test_apps(self) -> None:
        """Each fault of a [[sign_in]], at its key."""
        for changes, key in (
            ({"name": " "}, "name"),
            ({"client_id": ""}, "client_id"),
            ({"tenant": "common"}, "tenant"),
            ({"tenant": "a b"}, "tenant"),
            ({"tenant": "consumers"}, "tenant"),
            ({"cloud": "nine"}, "cloud"),
            ({"client_secret": "x", "certificate_file": "y"}, "certificate_file"),
        ):
            self.assertEqual(self.places(self.app(**changes)), [f"sign_in.0.{key}"])
        twice = attrs.evolve(OPEN, sign_in=(APP, APP))
        self.assertEqual(self.places(twice), ["sign_in.1.name"])

    def test_a_mailbox_by_an_app(self) -> None:
        """It has what the app has, now and later; other mailboxes keep what they have."""
        made = mailbox_by(APP, "joe@contoso.com")
        self.assertEqual((made.sign_in, made.flow, made.client_id), ("Contoso", "web", "x"))
        newer = attrs.evolve(APP, client_secret="s", exit="graph")
        self.assertEqual((with_app(made, [newer]).client_secret, made.client_secret), ("s", ""))
        self.assertEqual(with_app(made, [newer]).exit, "graph")
        other = Mailbox(address="a@contoso.com", flow="web", tenant="t", client_id="y")
        self.assertIs(with_app(other, [newer]), other)

    def test_sign_in_of_operators(self) -> None:
        """One that is there, to one tenant, and a place to come back to."""
        for tenant, name, faults in (
            ("contoso.com", "Contoso", []),
            ("contoso.com", "other", ["web.sign_in"]),
            ("organizations", "Contoso", ["web.sign_in"]),
        ):
            web = attrs.evolve(OPEN.web, sign_in=name)
            settings = attrs.evolve(self.app(tenant=tenant), web=web)
            self.assertEqual(self.places(settings), faults)
