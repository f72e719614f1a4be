"""Tests of a whole rehearsal: addresses, settings, submission with smtplib over real TLS."""

from __future__ import annotations

import smtplib
import socket
import tomllib
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import TestCase

from m365gw.rehearsal.rehearsal import Ports, Rehearsal
from m365gw.rehearsal.tenant import APP_ID, IDENTITY_ID
from tests.rehearsal.dialogue import MESSAGE, RELAY
from tests.rehearsal.running import DEFAULT, RehearsalCase, in_thread


class AddressTests(TestCase):
    """Where it listens, and where it does not."""

    def test_only_loopback(self) -> None:
        """Other addresses are refused before anything is made."""
        for interface in ("0.0.0.0", "::", "192.0.2.1"):
            folder = Path(self.mktemp())
            with self.assertRaises(ValueError):
                Rehearsal(folder, reactor=reactor, interface=interface)
            self.assertFalse(folder.exists())

    async def test_taken_port(self) -> None:
        """When one port is taken, none stays open."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            rehearsal = Rehearsal(Path(self.mktemp()), reactor=reactor, ports=Ports(control=port))
            with self.assertRaises(CannotListenError):
                await rehearsal.start()
        self.assertEqual(rehearsal.ports(), {"smtp": 0, "https": 0, "control": 0, "mx": 0})


class SettingsTests(RehearsalCase):
    """The text for a gateway's configuration."""

    def test_settings(self) -> None:
        """A TOML table marked as a rehearsal, with the TENANT left to be filled in."""
        cloud = tomllib.loads(self.rehearsal.settings_toml())["cloud"]["rehearsal"]
        self.assertTrue(cloud["rehearsal"])
        self.assertEqual(cloud["smtp"], f"127.0.0.1:{self.rehearsal.smtp_port}")
        self.assertEqual(
            cloud["authority"], f"https://127.0.0.1:{self.rehearsal.https_port}/TENANT"
        )
        self.assertTrue(Path(cloud["ca_file"]).is_file())

    def test_mailboxes(self) -> None:
        """The mailboxes below it, uncommented, are mailboxes of this rehearsal."""
        text = self.rehearsal.settings_toml()
        shown = text[text.index("#[[mailbox]]") :].splitlines()
        values = "\n".join(line[1:] for line in shown if not line.startswith("# "))
        rows = tomllib.loads(values)["mailbox"]
        tenant = self.rehearsal.tenant
        for row in rows:
            self.assertEqual(row["cloud"], "rehearsal")
            if row.get("exit") == "connector":
                self.assertTrue(Path(row["certificate_file"]).exists())
                continue
            self.assertIsNotNone(tenant.mailbox(row["address"]))
        named = {row["client_id"] for row in rows if "client_id" in row}
        self.assertEqual(named, set(tenant.apps) - {IDENTITY_ID})  # a host's needs no name


class SubmissionTests(RehearsalCase):
    """Submission over real TLS."""

    async def test_large_message(self) -> None:
        """25 MiB arrive whole."""
        message = MESSAGE + (b"." + b"x" * 75 + b"\r\n") * (25 * 2**20 // 78)
        token = self.token()

        def client() -> None:
            with self.smtp(token) as smtp:
                smtp.sendmail(RELAY, ["b@x.example"], message)

        await in_thread(client)
        [kept] = self.rehearsal.record.messages()
        self.assertEqual(kept.size, len(message))
        self.assertTrue(kept.content == message)

    def token(self) -> str:
        """An access token, without the way through HTTPS."""
        tenant = self.rehearsal.tenant
        scope, roles = DEFAULT[0].removesuffix("/.default"), tenant.apps[APP_ID].roles
        return self.rehearsal.tokens.issue("test", tenant.apps[APP_ID], "", scope, roles)

    async def test_drop_at_the_dot(self) -> None:
        """The client sees a cut connection; the message is there all the same."""
        self.rehearsal.faults.order_from({"phase": "dot", "action": "drop", "record": True})
        token = self.token()

        def client() -> None:
            smtp = self.smtp(token)
            with self.assertRaises(smtplib.SMTPServerDisconnected):
                smtp.sendmail(RELAY, ["b@x.example"], MESSAGE)
            smtp.close()

        await in_thread(client)
        self.assertEqual(self.rehearsal.record.messages()[0].fate, "no answer")

    async def test_stop_ends_sessions(self) -> None:
        """Nobody is left connected."""
        client = await in_thread(self.smtp, self.token())
        await self.rehearsal.stop()
        with self.assertRaises((OSError, smtplib.SMTPServerDisconnected)):
            await in_thread(client.docmd, "NOOP")
        client.close()
