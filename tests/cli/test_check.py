"""`m365gw check` and the command itself: what an administrator sees."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import COMMANDS, main
from tests.config.test_load import GOOD


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.config = Path(self.mktemp()).absolute()

    def run_check(self, text: str, *words: str) -> tuple[int, str]:
        self.config.write_text(text)
        done = CliRunner().invoke(main, ["--config", str(self.config), "check", *words])
        return done.exit_code, done.output

    def test_good(self) -> None:
        """A good configuration is said to be good, with what is in it."""
        status, said = self.run_check(GOOD)
        self.assertEqual(status, 0)
        self.assertIn("1 [[listener]], 1 [[mailbox]], 1 [[client]], 0 [[network]]", said)

    def test_schema(self) -> None:
        """It is printed for editors, whatever is wrong with the file."""
        status, said = self.run_check("[", "--schema")
        self.assertEqual((status, json.loads(said)["title"]), (0, "m365gw.toml"))

    def test_nobody_may_send(self) -> None:
        """Closed by default is right, and worth a word: where else somebody may be let in."""
        status, said = self.run_check(GOOD[: GOOD.index("[[client]]")])
        self.assertEqual(status, 0)
        self.assertIn("It lets nobody send.", said)

    def test_bad(self) -> None:
        """A bad one ends with EX_CONFIG, each error with its line."""
        status, said = self.run_check(GOOD + "[queue]\nqueue_run_dely = 5\n")
        self.assertEqual(status, 78)
        self.assertIn(f"{self.config}:19  queue.queue_run_dely  unknown setting", said)
        self.assertIn('Did you mean "queue_run_delay"?', said)

    def test_missing(self) -> None:
        """A file that is not there is one error, not a list of what it would hold."""
        done = CliRunner().invoke(main, ["--config", "/nonexistent/m365gw.toml", "check"])
        self.assertEqual(done.exit_code, 78)
        self.assertIn("1 error;", done.output)

    def test_effective_shows_origin_and_no_secret(self) -> None:
        """Each value with where it came from; secrets as stars."""
        status, said = self.run_check(
            GOOD.replace('"device"', '"secret"\nclient_secret = "s3cret"'), "--effective"
        )
        self.assertEqual(status, 0)
        self.assertRegex(said, r'hostname +"relay.example.com"  \[.*:1\]')
        self.assertRegex(said, r"queue\.maximal_queue_lifetime +432000\.0  \[default\]")
        self.assertNotIn("s3cret", said)
        self.assertNotIn("hmac-sha256", said)

    def test_json(self) -> None:
        """The same, a line of JSON for each value."""
        more = (
            '[[client.password]]\nhash = "$hmac-sha256$AAAAAAAAAAAAAAAAAAAAAA==$'
            + "A" * 43
            + '="\n'
        )
        _, said = self.run_check(f"{GOOD}{more}expires = 2027-03-31\n", "--json")
        rows = {row["key"]: row for row in map(json.loads, said.splitlines())}
        self.assertEqual(rows["client[0].senders"]["value"][0], "scan@contoso.com")
        self.assertEqual(rows["client[0].password_hash"]["value"], "***")
        self.assertEqual(rows["client[0].password[0].hash"]["value"], "***")
        self.assertEqual(rows["client[0].password[0].expires"]["value"], "2027-03-31")


class CommandTests(SynchronousTestCase):
    def test_every_command_is_there(self) -> None:
        """What the help lists can be called, and says what it is for."""
        for name in COMMANDS:
            with self.subTest(command=name):
                done = CliRunner().invoke(main, [name, "--help"])
                self.assertEqual((done.exit_code, done.exception), (0, None))
                self.assertIn(f"Usage: main {name}", done.output)

    def test_a_mistyped_command(self) -> None:
        """What was probably meant is named, at the top and below; what is like nothing is not."""
        for typed, meant in (
            (["quue"], " Did you mean 'queue'?"),
            (["mailbx"], " Did you mean 'mailbox'?"),
            (["queue", "lst"], " Did you mean 'list'?"),
            (["frobnicate"], ""),
        ):
            done = CliRunner().invoke(main, typed)
            self.assertEqual(done.exit_code, 2)
            self.assertTrue(done.output.endswith(f"No such command '{typed[-1]}'.{meant}\n"))
