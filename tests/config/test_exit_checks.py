"""Exits of mailboxes, and the Graph address of a cloud: what makes no sense is said."""

from __future__ import annotations

from m365gw.config.clouds import cloud_of, clouds_of
from tests.config.test_load import GOOD, LoadingTestCase

CLOUD = """
[cloud.mine]
smtp = "127.0.0.1:2587"
authority = "https://127.0.0.1:8443/TENANT"
rehearsal = true
"""


class ExitTests(LoadingTestCase):
    """One line more in the mailbox, or in the cloud, of a good configuration."""

    def mailbox(self, *lines: str) -> str:
        return GOOD.replace('flow = "device"', 'flow = "device"\n' + "\n".join(lines))

    def test_graph_and_its_fallback(self) -> None:
        """Either exit, with the other one behind it or without."""
        [box] = self.load(self.mailbox('exit = "graph"', 'fallback = "smtp"')).settings.mailbox
        self.assertEqual((box.exit, box.fallback), ("graph", "smtp"))
        [box] = self.load(self.mailbox('fallback = "graph"')).settings.mailbox
        self.assertEqual((box.exit, box.fallback), ("smtp", "graph"))

    def test_a_fallback_is_another_exit(self) -> None:
        """The same exit twice is a misunderstanding."""
        said = self.problems(self.mailbox('fallback = "smtp"'))
        self.assertIn("mailbox[0].fallback", said)
        self.assertIn("Name the other exit", said)

    def test_a_cloud_without_graph(self) -> None:
        """Who leaves by Graph needs its address."""
        lines = ('cloud = "mine"', 'exit = "graph"')
        self.assertIn("[cloud.mine] has no", self.problems(self.mailbox(*lines) + CLOUD))
        self.load(self.mailbox(*lines) + CLOUD + 'graph = "https://127.0.0.1:8443/graph/v1.0"\n')

    def connector(self, *lines: str, tenant: str = "contoso.com") -> str:
        """A mailbox of exit connector alone."""
        box = ['address = "relay@contoso.com"', f'tenant = "{tenant}"', 'exit = "connector"']
        return "\n".join(["[[mailbox]]", *box, *(lines or ('flow = "address"',))]) + "\n"

    def test_a_connector_needs_no_app(self) -> None:
        """By address or by certificate; its host is that of the tenant, or the one given."""
        loaded = self.load(self.connector())
        [box] = loaded.settings.mailbox
        host = cloud_of(box, clouds_of(loaded.settings)).host_of(box.exit)
        self.assertEqual(host, "contoso-com.mail.protection.outlook.com:25")
        lines = ('flow = "certificate"', 'certificate = "PEM"', 'mx = "mx.contoso:26"')
        loaded = self.load(self.connector(*lines))
        [box] = loaded.settings.mailbox
        self.assertEqual(cloud_of(box, clouds_of(loaded.settings)).smtp_port, 26)

    def test_what_a_connector_has_no_use_for(self) -> None:
        """All of it is said at once: another flow, an app, a fallback, a missing certificate."""
        said = self.problems(
            self.connector('flow = "device"', 'client_id = "c"', 'fallback = "graph"')
        )
        for key in ("flow", "client_id", "fallback"):
            self.assertIn(f"mailbox[0].{key}", said)
        self.assertIn("needs a certificate", self.problems(self.connector('flow = "certificate"')))
        for line in ('mx = "mx.contoso.com"', 'flow = "address"'):
            with self.subTest(line=line):
                text = self.mailbox(line) if "mx" in line else GOOD.replace('flow = "device"', line)
                self.assertIn('is of no use with exit "smtp"', self.problems(text))

    def test_a_tenant_that_does_not_tell_its_host(self) -> None:
        """Neither an id nor a domain with hyphens does; and no cloud without a pattern."""
        flow = 'flow = "address"'
        for tenant in ("00000000-0000-4000-8000-0000000000ca", "my-contoso.com", "consumers"):
            with self.subTest(tenant=tenant):
                said = self.problems(self.connector(flow, tenant=tenant))
                self.assertIn("mailbox[0].mx: is missing", said.replace("  ", ": "))
                self.load(self.connector(flow, 'mx = "mx.contoso.com"', tenant=tenant))
        said = self.problems(self.connector(flow, 'mx = "mx:x"'))
        self.assertIn('"mx:x" is no host', said)

    def test_a_rehearsal_of_a_connector(self) -> None:
        """It is on this machine, and only then."""
        lines = ('flow = "address"', 'cloud = "mine"')
        self.load(self.connector(*lines) + CLOUD + 'mx = "127.0.0.1:2525"\n')
        for text in (
            self.connector(*lines, 'mx = "mx.contoso.com"') + CLOUD,
            self.connector('flow = "address"', 'mx = "127.0.0.1:2525"'),
        ):
            self.assertIn("must be on this machine for a rehearsal", self.problems(text))

    def test_addresses_of_graph(self) -> None:
        """It is an https address, of a rehearsal where that is one, and only there."""
        said = self.problems(GOOD + CLOUD + 'graph = "http://127.0.0.1/graph"\n')
        self.assertIn("is not the base address of Graph", said)
        said = self.problems(GOOD + CLOUD + 'graph = "https://graph.microsoft.com/v1.0"\n')
        self.assertIn("cloud.mine.graph", said)
        self.assertIn("only for one", said)
