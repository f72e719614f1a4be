"""Tests for `m365gw.config.checks.mailboxes` and `m365gw.config.checks.clouds`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.checks.clouds import cloud_faults
from m365gw.config.checks.mailboxes import mailbox_faults
from m365gw.config.clouds import clouds_of
from m365gw.config.mailboxes import CustomCloud, Mailbox
from m365gw.config.settings import Settings
from m365gw.microsoft.clouds import PRESETS


class MailboxCheckTests(SynchronousTestCase):
    """What each flow needs."""

    def said(self, **changes: Any) -> str:
        given = {"address": "a@contoso.com", "flow": "secret", "tenant": "t", "client_id": "c"}
        box = Mailbox(**{**given, **changes})
        return " | ".join(
            f"{path[-1]}: {fault} {remedy}"
            for path, fault, remedy in mailbox_faults(("mailbox", 0), box, list(PRESETS))
        )

    def test_good_ones(self) -> None:
        """Each flow with what it needs and no more."""
        for changes in (
            {"client_secret": "s"},
            {"flow": "certificate", "certificate": "PEM"},
            {"flow": "certificate", "certificate_file": "f"},
            {"flow": "federated", "federated_token_file": "f"},
            {"flow": "managed-identity", "client_id": ""},
            {"flow": "managed-identity"},
            {"flow": "device"},
            {"flow": "device", "tenant": "consumers"},
            {"flow": "web", "sign_in_as": "joe@contoso.com"},
            {"flow": "web", "client_secret": "s"},
            {"flow": "web", "certificate_file": "f"},
        ):
            self.assertEqual(self.said(**changes), "", changes)

    def test_missing(self) -> None:
        """What a flow cannot do without is named."""
        for flow, words in (
            ("secret", "needs a client secret"),
            ("certificate", "needs a certificate"),
            ("federated", "AZURE_FEDERATED_TOKEN_FILE"),
        ):
            self.assertIn(words, self.said(flow=flow))
        self.assertIn("client_id: is missing", self.said(client_id="", client_secret="s"))

    def test_of_no_use(self) -> None:
        """What belongs to another flow is a mistake worth telling, with the flow it belongs to."""
        for flow, changes in (
            ("device", {"client_secret": "s"}),
            ("device", {"certificate": "PEM"}),
            ("device", {"federated_token_file": "f"}),
            ("managed-identity", {"certificate_file": "f"}),
        ):
            (key,) = changes
            said = self.said(flow=flow, **changes)
            self.assertIn(f'{key}: is of no use with flow "{flow}"', said)
            self.assertIn("or set flow =", said)
        self.assertIn("sign_in_as: is of no use", self.said(client_secret="s", sign_in_as="a@b.c"))

    def test_two_proofs(self) -> None:
        """An app proves itself by one thing."""
        said = self.said(flow="web", client_secret="s", certificate_file="f")
        self.assertIn("Keep one of the two", said)

    def test_tenants_that_stand_for_many(self) -> None:
        """Without a user there must be one tenant."""
        for tenant in ("common", "Organizations", "consumers"):
            self.assertIn("stands for many", self.said(tenant=tenant, client_secret="s"))
        self.assertIn("neither", self.said(flow="device", tenant="a b"))

    def test_other_names(self) -> None:
        """A cloud that is not there, an account that is none."""
        self.assertIn("there is no cloud", self.said(client_secret="s", cloud="moon"))
        self.assertIn("sign_in_as", self.said(flow="web", sign_in_as="joe"))


class CloudCheckTests(SynchronousTestCase):
    """Clouds that are based on a preset."""

    def said(self, name: str = "mine", **values: Any) -> str:
        found = cloud_faults(name, CustomCloud(**values))
        return " | ".join(f"{fault} {remedy}" for _, fault, remedy in found)

    def test_single_values_are_overridden(self) -> None:
        """Each value alone; the others are those of the cloud it is based on."""
        for preset in PRESETS.values():
            own = CustomCloud(based_on=preset.name, smtp="relay.example.com:25", proxy="http://p:1")
            cloud = clouds_of(Settings(cloud={"mine": own}))["mine"]
            self.assertEqual(self.said(based_on=preset.name, smtp="relay.example.com:25"), "")
            self.assertEqual((cloud.smtp_host, cloud.smtp_port), ("relay.example.com", 25))
            self.assertEqual(cloud.proxy, "http://p:1")
            for name in ("authority", "scope", "user_scope", "graph", "graph_scope"):
                self.assertEqual(getattr(cloud, name), getattr(preset, name))
        own = CustomCloud(based_on="dod", scope="https://outlook-dod.office365.us/.default")
        cloud = clouds_of(Settings(cloud={"mine": own}))["mine"]
        self.assertEqual(cloud.scope, "https://outlook-dod.office365.us/.default")
        self.assertEqual(cloud.smtp_host, PRESETS["dod"].smtp_host)

    def test_faults(self) -> None:
        """What is missing without a base, what cannot be a base, and addresses that are none."""
        self.assertIn("smtp is missing", self.said())
        self.assertIn("authority is missing", self.said(smtp="smtp.example.com"))
        self.assertIn('no Microsoft cloud "moon"', self.said(based_on="moon"))
        self.assertIn("based_on = ", self.said("worldwide", based_on="worldwide"))
        for proxy in ("proxy:3128", "socks5://p:1", "http://", "http://p:x"):
            self.assertIn("proxy.example.com", self.said(based_on="china", proxy=proxy))
        self.assertIn("not Microsoft", self.said(based_on="china", smtp="127.0.0.1:25"))
