"""What each shell is told when somebody presses Tab, by the protocol it speaks."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr
from pathlib import Path
from unittest import mock

from click.shell_completion import get_completion_class
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli import completion as module
from m365gw.cli.main import main
from tests.config.test_load import GOOD
from tests.spool.mail import new_spool, put

BOX = "relay@contoso.com"


class Service:
    """In place of a control socket: a service with two incidents."""

    def __init__(self, path: str, patience: float) -> None:
        """It is there, wherever that is."""

    def post(self, path: str, body: object) -> object:
        return {"incidents": [{"id": "7f3a09bc"}, {"id": "00aa11bb"}]}


class CompletionTests(SynchronousTestCase):
    """No service runs: names are those of the configuration."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "m365gw.toml"
        places = f'state_dir = "{self.folder}/state"\nspool_dir = "{self.folder}/spool"\n'
        self.config.write_text(places + GOOD)

    def told(self, shell: str, *words: str) -> str:
        """What the shell reads when Tab is pressed at the end of the last of these words."""
        typed = ["m365gw", "--config", str(self.config), *words]
        # fish gives the word that is typed by itself, the others its number.
        place = typed[-1] if shell == "fish" else str(len(typed) - 1)
        environment = {"COMP_WORDS": " ".join(typed), "COMP_CWORD": place}
        kind = get_completion_class(shell)
        assert kind is not None
        with mock.patch.dict(os.environ, environment):
            return kind(main, {}, "m365gw", "_M365GW_COMPLETE").complete()

    def offered(self, *words: str) -> list[str]:
        """What bash would offer."""
        return [line.partition(",")[2] for line in self.told("bash", *words).splitlines()]

    def test_bash(self) -> None:
        """A line for each, behind what kind of thing it is."""
        self.assertEqual(self.told("bash", "mailbox", "show", "rel"), f"plain,{BOX}")
        self.assertEqual(self.told("bash", "mailbox", "paus"), "plain,pause")

    def test_zsh(self) -> None:
        """Three lines for each: its kind, itself, and what it is for."""
        self.assertEqual(self.told("zsh", "mailbox", "show", "rel"), f"plain\n{BOX}\n_")
        kind, word, words = self.told("zsh", "mailbox", "paus").splitlines()
        self.assertEqual((kind, word), ("plain", "pause"))
        self.assertIn("Send nothing", words)

    def test_fish(self) -> None:
        """Its kind, itself, and what it is for."""
        self.assertIn(BOX, self.told("fish", "mailbox", "show", "rel"))
        said = self.told("fish", "mailbox", "paus")
        self.assertTrue(said.startswith("plain"))
        self.assertIn("Send nothing", said)

    def test_the_script_of_each_shell(self) -> None:
        """It calls the command back in the way that shell speaks."""
        for shell in ("bash", "zsh", "fish"):
            done = CliRunner().invoke(main, ["completion", shell])
            self.assertEqual(done.exit_code, 0)
            self.assertIn(f"_M365GW_COMPLETE={shell}_complete", done.output)
            is_whole = "COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}" in done.output
            self.assertEqual(is_whole, shell == "bash")  # an address is one word in the others

    def test_names_wherever_one_is_asked_for(self) -> None:
        """Mailboxes, logins and listeners, as arguments and behind options."""
        for words in (
            ("mailbox", "pause"),
            ("doctor",),
            ("send-test", "--mailbox"),
            ("queue", "list", "--mailbox"),
            ("client", "add", "x", "--mailbox"),
            ("script", "entra", "--mailbox"),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.offered(*words, "re"), [BOX])
        self.assertEqual(self.offered("explain", "--login", "p"), ["printer3"])
        self.assertEqual(self.offered("client", "show", "p"), ["printer3"])
        self.assertEqual(self.offered("explain", "--listener", "s"), ["submission"])
        self.assertEqual(self.offered("mailbox", "show", "nobody"), [])

    def test_keys_of_settings(self) -> None:
        """Those that may be set, without asking anybody."""
        keys = self.offered("settings", "set", "queue.delay")
        self.assertEqual(keys, ["queue.delay_warning_time"])
        self.assertEqual(self.offered("settings", "set", "state_d"), [])

    def test_queue_ids(self) -> None:
        """Of what lies in the spool, in any letter case."""
        spool = new_spool(f"{self.folder}/spool")
        entry = put(spool)
        spool.close()
        beginning = entry.queue_id[:4].lower()
        self.assertEqual(self.offered("queue", "show", beginning), [entry.queue_id])

    def test_incidents(self) -> None:
        """Of a service that runs; without one there are none to offer, and no words about it."""
        self.assertEqual(self.offered("incident", "show", "7f"), [])
        self.patch(module, "Control", Service)
        self.assertEqual(self.offered("incident", "show", "7f"), ["7f3a09bc"])

    def test_behind_a_mistyped_command(self) -> None:
        """Who types on is offered no mailbox, and is shown no error before the command is given."""
        self.assertNotIn(BOX, self.offered("mailbx", "show", "re"))

    def test_what_is_wrong_is_not_said_in_the_line(self) -> None:
        """Whoever types reads it when the command is given."""
        self.config.write_text("rubbish")
        said = io.StringIO()
        with redirect_stderr(said):
            self.assertEqual(self.offered("mailbox", "show", "re"), [])
            self.assertEqual(self.offered("queue", "show", "4"), [])
            self.assertEqual(self.offered("settings", "unset", "hostn"), ["hostname"])
        self.assertEqual(said.getvalue(), "")
