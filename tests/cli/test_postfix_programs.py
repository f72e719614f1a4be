"""The Postfix-compatible commands as they are called, and getopt as they have it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import POSTFIX, Invocation, main
from m365gw.cli.postfix.options import BadOption, Options
from m365gw.cli.postfix.programs import PROGRAMS
from m365gw.config.places import Places
from m365gw.config.problems import ConfigError
from tests.cli.postfix_call import call
from tests.spool.mail import new_spool, put

BIN = Path(sys.executable).parent


class CalledTests(SynchronousTestCase):
    def test_as_sub_commands(self) -> None:
        """`m365gw postqueue -z`: all behind the name is the program's, also -h and --."""
        self.assertEqual(set(PROGRAMS), set(POSTFIX))
        result = CliRunner().invoke(main, ["postqueue", "-h", "--"], obj=Invocation())
        self.assertEqual(result.exit_code, 69)
        self.assertIn("postqueue: invalid option -- 'h'\n", result.stderr)

    def test_by_a_link_with_its_name(self) -> None:
        """`/usr/local/libexec/m365gw/qshape` is qshape."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        spool = new_spool(str(folder / "spool"))
        put(spool, "a@d.example")
        spool.close()
        (folder / "qshape").symlink_to(BIN / "m365gw")
        places = {
            "M365GW_SPOOL_DIR": str(folder / "spool"),
            "M365GW_CONTROL_SOCKET": str(folder / "none"),
        }
        done = subprocess.run(
            [folder / "qshape", "-b", "1", "--", "incoming"],
            env={**os.environ, **places},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertIn("d.example  1  1\n", done.stdout)

    def test_a_damaged_message(self) -> None:
        """No command passes over it in silence; it can be deleted by none but its id."""
        path = self.mktemp()
        spool = new_spool(path)
        entry = put(spool)
        spool.close()
        (found,) = Path(path).rglob(f"*Q{entry.queue_id}.*")
        found.write_bytes(b"rubbish\r\n")
        self.assertIn("cannot be read", call("qshape", spool=path).stderr)
        shown = call("postcat", "-q", entry.queue_id, spool=path)
        self.assertEqual(shown.code, 1)
        self.assertIn(f"postcat: fatal: open queue file {entry.queue_id}: ", shown.stderr)
        removed = call("postsuper", "-d", entry.queue_id, spool=path)
        self.assertEqual(
            removed.stderr,
            f"postsuper: {entry.queue_id}: removed\npostsuper: Deleted: 1 message\n",
        )

    def test_a_hostile_message_on_a_terminal(self) -> None:
        """It moves no cursor there; elsewhere it is shown octet for octet."""
        path = self.mktemp()
        spool = new_spool(path)
        entry = put(spool, content=b"Subject: \x1b[2J\xc2\x9b1m\r\n\r\na\tb\r\xff\r\n")
        spool.close()
        shown = call("postcat", "-qb", "-h", entry.queue_id, spool=path, is_terminal=True)
        self.assertEqual(shown.stdout, "Subject: ?[2J?1m\n\na\tb?\ufffd\n")
        with self.assertRaises(UnicodeDecodeError):
            call("postcat", "-qb", "-h", entry.queue_id, spool=path)

    def test_short_and_odd_ids(self) -> None:
        """An id is looked at as a whole before anything is done by it."""
        path = self.mktemp()
        spool = new_spool(path)
        entry = put(spool)
        spool.close()
        for odd in ("A", "", "../x", "*", entry.queue_id[:-1], entry.queue_id + "0", "ALL\n"):
            self.assertIn("Deleted: 0 messages", call("postsuper", "-d", odd, spool=path).stderr)
            self.assertEqual(call("postcat", "-q", odd, spool=path).code, 1)
        self.assertIn(entry.queue_id, call("mailq", spool=path).stdout)


class OptionsTests(SynchronousTestCase):
    def test_clusters_values_and_the_end(self) -> None:
        """-ab, -cvalue, -c value, --; and the first word that is no option."""
        options = Options(["-abcx", "-c", "-y", "-q", "--", "-a"], "abc:q:", whole=("-q",))
        self.assertEqual(list(options), [("a", ""), ("b", ""), ("c", "x"), ("c", "-y"), ("-q", "")])
        self.assertEqual(options.rest, ["-a"])
        options = Options(["-a", "-", "-b"], "ab")
        self.assertEqual((list(options), options.rest), ([("a", "")], ["-", "-b"]))

    def test_what_is_wrong(self) -> None:
        """In the words of the C library."""
        for words, said in ((["-x"], "invalid option -- 'x'"), (["-:"], "invalid option -- ':'")):
            with self.assertRaisesRegex(BadOption, said):
                list(Options(words, "ac:"))
        with self.assertRaisesRegex(BadOption, "option requires an argument -- 'c'"):
            list(Options(["-ac"], "ac:"))


class PlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "m365gw.toml"

    def test_from_the_file(self) -> None:
        """Relative to the file; nothing else in it is looked at."""
        self.file.write_text('spool_dir = "spool"\nlistener = 5\n')
        self.assertEqual(Places(str(self.file)).of("spool_dir"), str(self.folder / "spool"))
        self.assertEqual(Places(str(self.file)).of("maildrop_dir"), "/var/spool/m365gw-maildrop")

    def test_what_is_wrong(self) -> None:
        """A file that is not there, is no TOML, or names no text."""
        with self.assertRaises(ConfigError):
            Places(str(self.folder / "none.toml"))
        self.file.write_text("spool_dir")
        with self.assertRaises(ConfigError):
            Places(str(self.file))
        self.file.write_text("spool_dir = 5")
        with self.assertRaises(ConfigError):
            Places(str(self.file)).of("spool_dir")

    def test_a_folder_may_be_named_instead(self) -> None:
        """As Postfix's -c does."""
        self.file.write_text('spool_dir = "nowhere"\n')
        done = call("postqueue", "-c", str(self.folder), "-z")
        self.assertEqual(done.code, 69)
