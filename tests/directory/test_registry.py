"""Entries made beside the configuration: checked as those in it, written with who did it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from m365gw.config.problems import Problem
from m365gw.config.settings import Client, Listener, Mailbox, Network, Settings
from m365gw.directory import passwords
from m365gw.directory.audit import Audit
from m365gw.directory.entries import Entries
from m365gw.directory.last_use import fingerprint
from m365gw.directory.merge import merged, origin
from m365gw.directory.registry import Registry, Rejected
from tests.directory.databases import DatabaseTestCase, OnPostgresql

HASH = passwords.hash_chosen("one")
OTHER = passwords.generate()[1]
MAILBOX = {
    "address": "Relay@contoso.com",
    "flow": "secret",
    "tenant": "contoso.com",
    "client_id": "x",
    "client_secret": "s3cret",
}
CLIENT = {
    "login": "fax",
    "senders": ["*@contoso.com"],
    "mailbox": "relay@contoso.com",
    "password": [{"hash": HASH, "label": "first"}],
}
NETWORK = {"cidr": "10.1.0.7/32", "senders": ["*"], "mailbox": "relay@contoso.com"}
CONFIGURED = Settings(
    hostname="gw",
    listener=(Listener(name="submission", endpoint="tcp:587"),),
    mailbox=(
        Mailbox(address="file@contoso.com", flow="device", tenant="contoso.com", client_id="x"),
    ),
    client=(Client(login="erp", password_hash=HASH, senders=("*",), mailbox="file@contoso.com"),),
    network=(Network(cidr="192.0.2.0/24", senders=("*",), mailbox="file@contoso.com"),),
)


class RegistryTestCase(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.configured = CONFIGURED
        self.entries = Entries(self.database, self.vault)
        self.registry = Registry(self.database, self.vault, lambda: self.configured)

    def add_all(self) -> None:
        self.registry.add_mailbox(MAILBOX, "anna")
        self.registry.add_client(CLIENT, "anna")
        self.registry.add_network(NETWORK, "anna")

    def rejected(self, change: Any, *arguments: Any) -> tuple[Problem, ...]:
        """Why a change is not made; nothing has changed then."""
        before, said = self.entries.read(), Audit(self.database).changes()
        problems: tuple[Problem, ...] = self.assertRaises(Rejected, change, *arguments).problems
        self.assertEqual((self.entries.read(), Audit(self.database).changes()), (before, said))
        return problems


class RegistryTests(RegistryTestCase):
    def test_what_was_added_is_read_as_if_it_stood_in_the_file(self) -> None:
        """The same classes, whole: secrets and passwords too."""
        self.add_all()
        made = self.entries.read()
        self.assertEqual(
            made.mailboxes,
            (
                Mailbox(
                    address="Relay@contoso.com",
                    flow="secret",
                    tenant="contoso.com",
                    client_id="x",
                    client_secret="s3cret",
                ),
            ),
        )
        [client] = made.clients
        self.assertEqual((client.login, client.senders), ("fax", ("*@contoso.com",)))
        self.assertEqual([(p.hash, p.label) for p in client.password], [(HASH, "first")])
        self.assertEqual([network.cidr for network in made.networks], ["10.1.0.7/32"])
        self.assertEqual((made.problems, made.revision), ((), 3))
        self.assertEqual(made.makers["client", "fax"].made_by, "anna")

    def test_secrets_are_sealed(self) -> None:
        """They are in the vault and in no document; a change without them leaves them there."""
        self.add_all()
        self.registry.change_mailbox("relay@CONTOSO.com", {"tenant": "contoso.net"}, "bert")
        [mailbox] = self.entries.read().mailboxes
        self.assertEqual((mailbox.tenant, mailbox.client_secret), ("contoso.net", "s3cret"))
        self.assertEqual(self.vault.load("client-secret relay@contoso.com"), b"s3cret")
        if not self.url:
            files = b"".join(file.read_bytes() for file in Path(self.state_dir).glob("state.db*"))
            self.assertIn(b"contoso.net", files)
            self.assertNotIn(b"s3cret", files)

    def test_a_removed_mailbox_leaves_no_secret(self) -> None:
        """Neither its client secret nor its sign-in."""
        self.registry.add_mailbox(MAILBOX, "anna")
        self.vault.store("sign-in relay@contoso.com", b"refresh token")
        self.registry.remove_mailbox("relay@contoso.com", "anna")
        self.assertEqual((self.entries.read().mailboxes, self.vault.names()), ((), []))

    def test_every_problem_is_said_at_once(self) -> None:
        """With its place and the remedy; nothing is written."""
        wrong = {"senders": ["no pattern"], "messages_per_hour": -1, "networks": ["nowhere"]}
        problems = self.rejected(self.registry.add_client, {**CLIENT, **wrong}, "anna")
        self.assertEqual(
            {problem.place for problem in problems},
            {f"directory, client fax  {key}" for key in (*wrong, "mailbox")},
        )
        problems = self.rejected(
            self.registry.add_client, {"login": "x", "sender": [], "senders": "*"}, "anna"
        )
        self.assertEqual(
            {(problem.place, problem.fault) for problem in problems},
            {
                ("x  sender", "unknown setting"),
                ("x  senders", 'must be a list in brackets, as ["one", "two"]'),
                ("x  mailbox", "is missing"),
            },
        )

    def test_entries_of_the_file_are_locked(self) -> None:
        """In whatever way they are written; who may change them is said."""
        for change, arguments in (
            (self.registry.add_mailbox, ({**MAILBOX, "address": "FILE@contoso.com"}, "a")),
            (self.registry.change_client, ("erp", {}, "a")),
            (self.registry.remove_network, ("192.0.2.0/24", "a")),
            (self.registry.remove_password, ("erp", "x", "a")),
        ):
            [problem] = self.rejected(change, *arguments)
            self.assertIn("is set in the configuration file", problem.fault)
            self.assertIn("m365gw reload", problem.remedy)

    def test_what_is_there_and_what_is_not(self) -> None:
        """Nothing is added twice, and nothing changed that is not there."""
        self.add_all()
        [twice] = self.rejected(
            self.registry.add_mailbox, {**MAILBOX, "address": "RELAY@contoso.com"}, "anna"
        )
        self.assertEqual(twice.fault, "is there already")
        [none] = self.rejected(self.registry.remove_client, "door", "anna")
        self.assertEqual((none.fault, none.remedy), ("there is no such client", "Known: fax."))

    def test_a_name_stays(self) -> None:
        """Under another name it would be another one, without its history."""
        self.add_all()
        [problem] = self.rejected(self.registry.change_client, "fax", {"login": "telefax"}, "anna")
        self.assertEqual(problem.place, "directory, client fax  login")

    def test_a_mailbox_that_is_used_stays(self) -> None:
        """All who use it are named."""
        self.add_all()
        problems = self.rejected(self.registry.remove_mailbox, "relay@contoso.com", "anna")
        self.assertEqual(
            [problem.place for problem in problems],
            ["directory, client fax  mailbox", "directory, network 10.1.0.7/32  mailbox"],
        )

    def test_an_old_problem_hinders_no_other_change(self) -> None:
        """Entries whose mailbox has left the configuration are mended one by one."""
        self.registry.add_client({**CLIENT, "mailbox": "file@contoso.com"}, "anna")
        self.registry.add_network({**NETWORK, "mailbox": "file@contoso.com"}, "anna")
        self.configured = Settings(listener=CONFIGURED.listener)
        self.registry.add_mailbox(MAILBOX, "anna")
        self.registry.change_client("fax", {"mailbox": "relay@contoso.com"}, "anna")
        [problem] = merged(self.configured, self.entries.read())[1]
        self.assertEqual(problem.place, "directory, network 10.1.0.7/32  mailbox")

    def test_files_of_secrets_are_for_the_configuration(self) -> None:
        """What is made here is kept here."""
        values = {**MAILBOX, "client_secret": None, "client_secret_file": "/etc/secret"}
        [problem] = self.rejected(
            self.registry.add_mailbox, {k: v for k, v in values.items() if v}, "anna"
        )
        self.assertIn("kept sealed", problem.remedy)

    def test_a_certificate_that_is_none(self) -> None:
        """It is refused at once, as one in a file is, and nothing of it is shown."""
        text = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"
        values = {"flow": "certificate", "certificate": text}
        added = {k: v for k, v in MAILBOX.items() if k != "client_secret"} | values
        [problem] = self.rejected(self.registry.add_mailbox, added, "anna")
        self.assertEqual(problem.fault, "holds no certificate with its key")
        self.assertNotIn("secret", str(problem))
        self.registry.add_mailbox(MAILBOX, "anna")
        changed = values | {"client_secret": None}
        self.rejected(self.registry.change_mailbox, "relay@contoso.com", changed, "anna")

    def test_a_default_is_taken_back_by_none(self) -> None:
        """What is not named stays as it is."""
        self.add_all()
        self.registry.change_network("10.1.0.7", {"messages_per_hour": 7}, "anna")
        self.assertEqual(self.entries.read().networks[0].messages_per_hour, 7)
        self.registry.change_network("10.1.0.7", {"messages_per_hour": None}, "anna")
        self.assertEqual(self.entries.read().networks[0].messages_per_hour, 0)


class PasswordTests(RegistryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.add_all()

    def hashes(self) -> list[str]:
        return [password.hash for password in self.entries.read().clients[0].password]

    def test_one_more_and_one_less(self) -> None:
        """Both are good meanwhile; the old one keeps its age."""
        made = self.entries.read()
        self.registry.set_password("fax", {"hash": OTHER, "expires": "2030-06-30"}, "bert")
        self.assertEqual(self.hashes(), [HASH, OTHER])
        self.registry.remove_password("fax", fingerprint(HASH), "bert")
        self.assertEqual(self.hashes(), [OTHER])
        self.assertEqual(self.entries.read().makers["client", "fax"], made.makers["client", "fax"])
        told = [(each.by, each.action) for each in Audit(self.database).changes()[:2]]
        self.assertEqual(
            told, [("bert", "client.password-removed"), ("bert", "client.password-added")]
        )

    def test_by_label(self) -> None:
        """Where only one password has it."""
        self.registry.set_password("fax", {"hash": OTHER, "label": "new"}, "bert")
        self.registry.remove_password("fax", "new", "bert")
        self.assertEqual(self.hashes(), [HASH])
        [problem] = self.rejected(self.registry.remove_password, "fax", "new", "bert")
        self.assertEqual(problem.fault, "has no such password")

    def test_the_last_one_stays(self) -> None:
        """A client without a password could only be locked out; it is removed instead."""
        [problem] = self.rejected(self.registry.remove_password, "fax", "first", "bert")
        self.assertEqual(problem.fault, "has no password")

    def test_a_password_hash_is_a_password_like_others(self) -> None:
        """As the first password of a client in the file, it has no label."""
        values = {**CLIENT, "login": "door", "password": [], "password_hash": OTHER}
        self.registry.add_client(values, "anna")
        [door] = [each for each in self.entries.read().clients if each.login == "door"]
        self.assertEqual((door.password_hash, [p.hash for p in door.password]), ("", [OTHER]))


class MergeTests(RegistryTestCase):
    def test_both_stand_side_by_side(self) -> None:
        """The configured ones first; each can be told where it stands."""
        self.add_all()
        settings, problems = merged(self.configured, self.entries.read())
        self.assertEqual(
            [m.address for m in settings.mailbox], ["file@contoso.com", "Relay@contoso.com"]
        )
        self.assertEqual([c.login for c in settings.client], ["erp", "fax"])
        self.assertEqual(problems, ())
        told = [origin(self.configured, "client", login) for login in ("erp", "fax")]
        self.assertEqual(told, ["file", "directory"])

    def test_what_comes_into_the_file_counts(self) -> None:
        """An entry of the same name made before does not, however it is written."""
        self.add_all()
        mine = Network(cidr="10.1.0.7", senders=("*",), mailbox="file@contoso.com")
        configured = Settings(
            listener=CONFIGURED.listener, mailbox=CONFIGURED.mailbox, network=(mine,)
        )
        settings, _ = merged(configured, self.entries.read())
        self.assertEqual(settings.network, (mine,))

    def test_what_does_not_fit_any_more(self) -> None:
        """Only one without its mailbox stays, so that its mail is kept."""
        self.add_all()
        made = self.entries.read()
        self.configured = Settings(listener=CONFIGURED.listener)
        settings, problems = merged(
            self.configured, type(made)(clients=made.clients, networks=made.networks)
        )
        self.assertEqual([client.login for client in settings.client], ["fax"])
        self.assertEqual(len(problems), 2)
        bad = type(made)(networks=(Network(cidr="x", senders=("*",), mailbox="m@contoso.com"),))
        settings, problems = merged(self.configured, bad)
        self.assertEqual((settings.network, len(problems)), ((), 2))


class RegistryOnPostgresqlTests(OnPostgresql, RegistryTests):
    """The same on PostgreSQL."""


class PasswordOnPostgresqlTests(OnPostgresql, PasswordTests):
    """The same on PostgreSQL."""
