"""Tests of `m365gw script`."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main
from m365gw.rehearsal.certificates import app_certificate

CLIENT_ID = "11111111-2222-4333-8444-555555555555"


LISTENER = '[[listener]]\nname = "in"\nendpoint = "tcp:587"\n'


class ScriptCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def run_with(self, configuration: str, *words: str) -> Result:
        file = self.folder / "m365gw.toml"
        file.write_text(configuration + LISTENER)
        file.chmod(0o600)
        return CliRunner().invoke(main, ["--config", str(file), "script", "entra", *words])

    def mailbox(self, address: str, **more: str) -> str:
        """A [[mailbox]] table."""
        values = {
            "address": address,
            "flow": "secret",
            "tenant": "contoso.com",
            "client_id": CLIENT_ID,
            **more,
        }
        return "[[mailbox]]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())


class EntraTests(ScriptCase):
    """`m365gw script entra`."""

    def test_the_configuration_fills_it_in(self) -> None:
        """All mailboxes of one app, and their flow as the mode."""
        secret = {"client_secret": "s3cret"}
        done = self.run_with(self.mailbox("a@contoso.com", **secret))
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn("$Mode = 'secret'", done.stdout)
        self.assertIn(f"$ClientId = '{CLIENT_ID}'", done.stdout)
        self.assertIn("$Mailboxes = @('a@contoso.com')", done.stdout)
        self.assertNotIn("s3cret", done.stdout)

    def test_a_mailbox_of_the_directory_fills_it_in(self) -> None:
        """One that was made by a command, with its certificate and nothing of its key."""
        state = f'state_dir = "{self.folder.absolute()}/state"\n'
        file = self.folder / "m365gw.toml"
        file.write_text(state + 'control_socket = ""\n' + LISTENER)
        file.chmod(0o600)
        made = ("--flow", "certificate", "--generate", "--tenant", "contoso.com")
        adding = ["--config", str(file), "mailbox", "add", "fax@contoso.com", *made]
        added = CliRunner().invoke(main, [*adding, "--client-id", CLIENT_ID])
        self.assertEqual(added.exit_code, 0, added.output)
        done = CliRunner().invoke(main, ["--config", str(file), "script", "entra"])
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn("$Mode = 'certificate'", done.stdout)
        self.assertIn("$Mailboxes = @('fax@contoso.com')", done.stdout)
        self.assertIn("MII", done.stdout)
        self.assertNotIn("PRIVATE KEY", done.stdout)

    def test_only_the_public_certificate_is_in_it(self) -> None:
        """The file holds the private key as well, and nothing of that is printed."""
        key, certificate = app_certificate("gateway")
        pem = self.folder / "gateway.pem"
        pem.write_bytes(key + certificate)
        pem.chmod(0o600)
        table = self.mailbox("a@contoso.com", flow="certificate", certificate_file=pem.name)
        done = self.run_with(table)
        self.assertEqual(done.exit_code, 0, done.output)
        body = certificate.decode().splitlines()[1:-1]
        self.assertIn(f"$CertificateBase64 = '{''.join(body)}'", done.stdout)
        for line in key.decode().splitlines()[1:-1]:
            self.assertNotIn(line, done.stdout)

    def test_mailboxes_of_several_apps_must_be_named(self) -> None:
        """One script is for one app."""
        one = self.mailbox("a@contoso.com", client_secret="x")
        other = self.mailbox("b@contoso.com", client_secret="x", tenant="fabrikam.com")
        self.assertEqual(self.run_with(one + other).exit_code, 1)
        done = self.run_with(one + other, "--mailbox", "b@contoso.com", "--undo")
        self.assertIn("$TenantId = 'fabrikam.com'", done.stdout)
        self.assertIn("Takes back", done.stdout)

    def test_no_configuration_is_needed(self) -> None:
        """From nothing: the address is enough, its domain is the tenant."""
        done = self.run_with("this is no TOML", "--mailbox", "a@contoso.com", "--what-if")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn("$TenantId = 'contoso.com'", done.stdout)
        self.assertIn("$ShowFirst = $true", done.stdout)
        self.assertEqual(self.run_with("this is no TOML").exit_code, 1)


class ConnectorTests(ScriptCase):
    """`m365gw script connector`."""

    def write(self, configuration: str, *words: str) -> Result:
        file = self.folder / "m365gw.toml"
        file.write_text(configuration + LISTENER)
        file.chmod(0o600)
        return CliRunner().invoke(main, ["--config", str(file), "script", "connector", *words])

    def connector(self, address: str = "relay@contoso.com", **more: str) -> str:
        values = {"address": address, "tenant": "contoso.com", "exit": "connector", **more}
        return "[[mailbox]]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())

    def test_by_certificate(self) -> None:
        """The name is that of the certificate, the domain that of the mailbox; and its undo."""
        pem = self.folder / "gateway.pem"
        pem.write_bytes(b"".join(app_certificate("relay.contoso.com")))
        pem.chmod(0o600)
        table = self.connector(flow="certificate", certificate_file=pem.name)
        done = self.write(table)
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn("$CertificateName = 'relay.contoso.com'", done.stdout)
        self.assertIn("$Domains = @('contoso.com')", done.stdout)
        self.assertIn("New-InboundConnector", done.stdout)
        undo = self.write(table, "--undo")
        self.assertIn("$ConnectorName = 'm365gw relay.contoso.com'", undo.stdout)
        self.assertIn("Remove-InboundConnector", undo.stdout)
        pem.write_bytes(b"nothing")
        self.assertNotEqual(self.write(table).exit_code, 0)

    def test_by_address(self) -> None:
        """The public address is nothing the gateway knows: it is asked for."""
        table = self.connector(flow="address")
        done = self.write(table, "--address", "192.0.2.1")
        self.assertIn("$Addresses = @('192.0.2.1')", done.stdout)
        self.assertIn("--address IP", self.write(table).output)

    def test_which_mailbox(self) -> None:
        """One of several is named; the script for an app is not for them."""
        both = self.connector(flow="address") + self.connector("b@contoso.com", flow="address")
        self.assertIn("name one with --mailbox", self.write(both).output)
        done = self.write(both, "--mailbox", "b@contoso.com", "--address", "192.0.2.1")
        self.assertEqual(done.exit_code, 0, done.output)
        app = self.mailbox("a@contoso.com", client_secret="x")
        self.assertIn("no such mailbox", self.write(app).output)
        done = self.run_with(both, "--mailbox", "b@contoso.com")
        self.assertIn("m365gw script connector", done.output)
