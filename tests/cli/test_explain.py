"""`m365gw explain` as an administrator sees it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main
from tests.config.test_load import GOOD

CONFIGURATION = (
    GOOD
    + """
[[listener]]
name = "printers"
endpoint = "tcp:25"
auth = "off"
networks = ["10.1.0.0/16"]

[[network]]
cidr = "10.1.0.0/16"
senders = ["scan@contoso.com"]
mailbox = "relay@contoso.com"
foreign_from = "rewrite"

[[local]]
user = "nobody"
senders = ["shop@contoso.com"]
mailbox = "relay@contoso.com"
"""
)
TO = ("--to", "you@example.com")


class ExplainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.config = Path(self.mktemp()).absolute()
        self.config.write_text(CONFIGURATION)

    def explain(self, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["--config", str(self.config), "explain", *words])
        return done.exit_code, done.output

    def test_accepted(self) -> None:
        """One of the listeners is enough; each says what it would do."""
        status, said = self.explain("--from", "scan@contoso.com", *TO, "--login", "printer3")
        self.assertEqual(status, 0)
        self.assertIn('submission: accepted by the rule of login "printer3"\n', said)
        self.assertIn("leaves by mailbox relay@contoso.com, sender <scan@contoso.com>\n", said)
        self.assertIn("printers: refused\n  at AUTH: 502 5.5.1 AUTH is not offered here\n", said)

    def test_refused(self) -> None:
        """By the reply the client would get, which says what to change."""
        status, said = self.explain("--from", "boss@contoso.com", *TO, "--ip", "10.1.2.3")
        self.assertEqual(status, 1)
        self.assertIn("at MAIL FROM: 553 5.7.1 network 10.1.0.0/16 may not send as", said)
        self.assertIn("adds it to senders of network 10.1.0.0/16 (see m365gw network list)", said)

    def test_listeners_that_say_the_same_are_told_together(self) -> None:
        """Under all their names; each stands alone in the JSON."""
        words = ("--from", "boss@contoso.com", *TO, "--login", "printer3")
        again = '[[listener]]\nname = "again"\nendpoint = "tcp:588"\n'
        self.config.write_text(CONFIGURATION + again)
        _, said = self.explain(*words)
        self.assertIn("submission, again: refused by the rule", said)
        self.assertEqual(said.count("553 5.7.1"), 1)
        _, said = self.explain(*words, "--json")
        self.assertEqual(len(json.loads(said)["listeners"]), 3)

    def test_a_reply_that_names_its_listener(self) -> None:
        """Is the same reply all the same."""
        again = '[[listener]]\nname = "again"\nendpoint = "tcp:588"\n'
        self.config.write_text(CONFIGURATION + again)
        _, said = self.explain("--from", "scan@contoso.com", *TO, "--ip", "192.0.2.1")
        self.assertIn("submission, again: refused\n", said)
        self.assertIn("is in no trusted network of the listener\n", said)

    def test_as_json(self) -> None:
        """All of it, for programs."""
        words = ("--from", "scan@contoso.com", *TO, "--ip", "10.1.2.3", "--listener", "printers")
        status, said = self.explain(*words, "--header-from", "Boss <boss@b.example>", "--json")
        answer = json.loads(said)
        self.assertEqual((status, answer["allowed"], len(answer["listeners"])), (0, True, 1))
        (one,) = answer["listeners"]
        self.assertEqual(
            (one["rule"], one["mailbox"], one["sender"], one["header_from"], one["changes"]),
            (
                "network 10.1.0.0/16",
                "relay@contoso.com",
                "scan@contoso.com",
                "Boss <relay@contoso.com>",
                ["foreign-from"],
            ),
        )

    def test_a_local_user(self) -> None:
        """The rule of `sendmail`, and that there is none."""
        status, said = self.explain("--from", "shop@contoso.com", *TO, "--user", "nobody")
        self.assertEqual((status, said.splitlines()[0]),
                         (0, "sendmail: accepted by the rule of local user nobody"))  # fmt: skip
        status, said = self.explain("--from", "shop@contoso.com", *TO, "--user", "0")
        self.assertEqual(status, 1)
        self.assertIn("adds [[local]] with user =", said)

    def test_what_does_not_exist(self) -> None:
        """A listener, an address, a user: usage errors that name what there is."""
        for words, expected in (
            (("--listener", "x"), "Known: submission, printers."),
            (("--ip", "10.1.2.300"), "is not an address"),
            (("--user", "no such user"), "there is no user"),
        ):
            status, said = self.explain("--from", "a@b.c", *TO, *words)
            self.assertEqual(status, 2)
            self.assertIn(expected, said)
