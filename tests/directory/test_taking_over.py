"""Entries of another program: all in one change, and never in the place of what is there."""

from __future__ import annotations

from typing import Any

from m365gw.directory import passwords
from m365gw.directory.audit import Audit
from m365gw.directory.taking_over import Handover
from tests.directory.databases import OnPostgresql
from tests.directory.test_registry import CLIENT, NETWORK, RegistryTestCase

MAILBOX = {"address": "Relay@contoso.com", "flow": "device", "tenant": "t", "client_id": "app"}
SIGN_INS = {"Relay@contoso.com": "1.refresh-token"}
NAMES = ("Relay@contoso.com", "fax", "10.1.0.7/32", "Relay@contoso.com")


class TakingOverTests(RegistryTestCase):
    def take_over(
        self,
        mailbox: dict[str, Any] = MAILBOX,
        client: dict[str, Any] = CLIENT,
        network: dict[str, Any] = NETWORK,
        sign_ins: dict[str, str] = SIGN_INS,
    ) -> list[tuple[str, str]]:
        """What became of each: its name and what was done."""
        entries = {"mailbox": [mailbox], "client": [client], "network": [network]}
        found = Handover("another-program", entries, sign_ins)
        return [(each.name, each.done) for each in self.registry.take_over(found, "anna")]

    def sign_in(self) -> bytes | None:
        return self.vault.load("sign-in relay@contoso.com")

    def test_all_is_made(self) -> None:
        """Entries as by the commands, and the sign-in sealed where the service looks for it."""
        self.assertEqual(self.take_over(), [(name, "made") for name in NAMES])
        made = self.entries.read()
        self.assertEqual(made.clients[0].senders, ("*@contoso.com",))
        self.assertTrue(passwords.verify(made.clients[0].password[0].hash, "one"))
        self.assertEqual(
            self.sign_in(), b'{"RefreshToken": {"imported": {"secret": "1.refresh-token"}}}'
        )

    def test_the_same_again_changes_nothing(self) -> None:
        """Nothing is made twice, no password set back, and no line is added to the audit."""
        self.take_over()
        self.vault.store("sign-in relay@contoso.com", b"renewed since")
        before, said = self.entries.read(), Audit(self.database).changes()
        again = {**CLIENT, "password": [{"hash": passwords.generate()[1]}]}
        self.assertEqual(self.take_over(client=again), [(name, "there") for name in NAMES])
        self.assertEqual(self.entries.read().clients, before.clients)
        self.assertEqual(Audit(self.database).changes(), said)
        self.assertEqual(self.sign_in(), b"renewed since")

    def test_what_is_there_otherwise_stays(self) -> None:
        """And it is said to be another one than that of the other program."""
        self.take_over()
        other = {**CLIENT, "senders": ["*"]}
        self.assertIn(("fax", "there-otherwise"), self.take_over(client=other))
        self.assertEqual(self.entries.read().clients[0].senders, ("*@contoso.com",))

    def test_sign_in_is_that_of_the_app(self) -> None:
        """A mailbox of another app could do nothing with its refresh token."""
        mine = {**MAILBOX, "client_id": "my-own"}
        self.registry.add_mailbox(mine, "anna")
        self.assertEqual(self.take_over()[-1], ("Relay@contoso.com", "there-otherwise"))
        self.assertIsNone(self.sign_in())

    def test_mailbox_of_the_file_gets_its_sign_in(self) -> None:
        """A mailbox that the configuration declares is left, and can send at once all the same."""
        of_file = {**MAILBOX, "address": "file@contoso.com", "client_id": "x"}
        sign_ins = {"file@contoso.com": "1.refresh-token"}
        rule = {**CLIENT, "mailbox": "file@contoso.com"}
        network = {**NETWORK, "mailbox": "file@contoso.com"}
        done = self.take_over(of_file, rule, network, sign_ins)
        self.assertEqual(done[0], ("file@contoso.com", "in-file"))
        self.assertEqual(done[-1], ("file@contoso.com", "made"))
        self.assertIsNotNone(self.vault.load("sign-in file@contoso.com"))

    def test_all_or_nothing(self) -> None:
        """One entry that makes no sense: nothing is made, and every reason is said."""
        wrong = {**NETWORK, "cidr": "10.1.0.7/8"}
        (problem,) = self.rejected(self.take_over, MAILBOX, CLIENT, wrong)
        self.assertIn("10.1.0.7/8", problem.place + problem.fault)
        senseless = {"login": "x", "sendrs": []}
        self.assertEqual(len(self.rejected(self.take_over, MAILBOX, senseless, wrong)), 3)
        self.assertIsNone(self.sign_in())

    def test_audit(self) -> None:
        """A line for each, with where it came from, and no secret."""
        self.take_over()
        lines = [(each.action, each.detail["from"]) for each in Audit(self.database).changes()]
        actions = ("mailbox.sign-in-imported", "network.imported", "client.imported")
        expected = [(action, "another-program") for action in (*actions, "mailbox.imported")]
        self.assertEqual(lines, expected)
        self.assertNotIn("refresh-token", str(Audit(self.database).changes()))


class TakingOverOnPostgresqlTests(OnPostgresql, TakingOverTests):
    """The same on PostgreSQL."""
