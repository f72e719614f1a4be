"""`m365gw backup`, `restore` and `keys` as somebody types them."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from shutil import rmtree

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli import backup
from m365gw.cli.main import main
from m365gw.config import load
from m365gw.directory.database import Database
from m365gw.directory.vault import Vault

PHRASE = "several words are good"


class BackupCommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "m365gw.toml"
        self.config.write_text(
            'state_dir = "state"\ncontrol_socket = ""\n'
            '[[listener]]\nname = "submission"\nendpoint = "tcp:587"\n'
        )
        self.file = self.folder / "backup"
        self.vault().store("sign-in relay@contoso.com", b"refresh token")

    def vault(self) -> Vault:
        state_dir = str(self.folder / "state")
        return Vault(Database("", state_dir), state_dir)

    def run_command(self, *words: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *words], input=typed)

    def backup(self) -> Result:
        return self.run_command("backup", str(self.file), typed=f"{PHRASE}\n{PHRASE}\n")

    def test_asked_twice_and_never_shown(self) -> None:
        """What is typed is nowhere to be seen, and the file is its owner's only."""
        done = self.backup()
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertNotIn(PHRASE, done.output)
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertNotIn(b"refresh", self.file.read_bytes())

    def test_mistyped_too_short_and_already_there(self) -> None:
        """There is no backup then, or still the old one."""
        typed = f"{PHRASE}\nother\n"
        self.assertNotEqual(self.run_command("backup", str(self.file), typed=typed).exit_code, 0)
        short = self.run_command("backup", str(self.file), typed="short\nshort\n")
        self.assertIn("too short", short.output)
        self.assertFalse(self.file.exists())
        self.file.write_text("the old one")
        self.assertIn("--replace", self.backup().output)
        self.assertEqual(self.file.read_text(), "the old one")

    def test_a_passphrase_everybody_can_read(self) -> None:
        """It seals nothing: refused as other secrets in files are, and opens what it sealed."""
        phrase = self.folder / "phrase"
        phrase.write_text(PHRASE)
        phrase.chmod(0o644)
        words = ("backup", str(self.file), "--passphrase-file", str(phrase))
        done = self.run_command(*words)
        self.assertEqual(done.exit_code, 1)
        self.assertIn(f"{phrase} can be read by everybody: chmod o-rwx {phrase}", done.output)
        self.assertFalse(self.file.exists())
        phrase.chmod(0o640)
        self.assertEqual(self.run_command(*words).exit_code, 0)
        phrase.chmod(0o644)
        words = ("restore", str(self.file), "--replace", "--passphrase-file", str(phrase))
        self.assertEqual(self.run_command(*words).exit_code, 0)

    def test_restored_only_where_that_is_meant(self) -> None:
        """What is there is replaced when that is said, and kept beside."""
        self.backup()
        self.vault().remove("sign-in relay@contoso.com")
        refused = self.run_command("restore", str(self.file), typed=f"{PHRASE}\n")
        self.assertIn("already", refused.output)
        wrong = self.run_command("restore", str(self.file), "--replace", typed="another one\n")
        self.assertIn("passphrase is another one", wrong.output)
        self.assertEqual(self.vault().names(), [])
        done = self.run_command("restore", str(self.file), "--replace", typed=f"{PHRASE}\n")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual(self.vault().load("sign-in relay@contoso.com"), b"refresh token")
        self.assertTrue((self.folder / "state" / "before-restore" / "state.db").exists())

    def test_of_a_gateway_that_has_no_configuration(self) -> None:
        """All of it was made by commands: it is restored, with a file that says nothing."""
        for module in (load, backup):
            self.patch(module, "DEFAULT_PATH", str(self.folder / "none" / "m365gw.toml"))
        given = {"M365GW_STATE_DIR": str(self.folder / "state"), "M365GW_CONTROL_SOCKET": ""}
        typed = f"{PHRASE}\n{PHRASE}\n"
        done = CliRunner(env=given).invoke(main, ["backup", str(self.file)], input=typed)
        self.assertEqual(done.exit_code, 0, done.output)
        self.vault().remove("sign-in relay@contoso.com")
        etc = self.folder / "etc"
        words = ["restore", str(self.file), "--replace", "--configuration", str(etc)]
        done = CliRunner(env=given).invoke(main, words, input=f"{PHRASE}\n")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual((etc / "m365gw.toml").read_bytes(), b"")
        self.assertEqual(self.vault().load("sign-in relay@contoso.com"), b"refresh token")

    def test_the_same_again_after_it_was_refused(self) -> None:
        """The configuration that was written by then is no obstacle; one of somebody else's is."""
        state = self.folder / "state"
        self.config.write_text(f'state_dir = "{state}"\ncontrol_socket = ""\n')
        self.backup()
        etc = self.folder / "etc"
        words = ("restore", str(self.file), "--configuration", str(etc))
        refused = self.run_command(*words, typed=f"{PHRASE}\n")
        self.assertIn("To replace it: --replace", refused.output)
        done = self.run_command(*words, "--replace", typed=f"{PHRASE}\n")
        self.assertEqual(done.exit_code, 0, done.output)
        (etc / "m365gw.toml").write_text("# mine")
        refused = self.run_command(*words, "--replace", typed=f"{PHRASE}\n")
        self.assertIn("m365gw.toml is not of this backup", refused.output)
        self.assertEqual((etc / "m365gw.toml").read_text(), "# mine")

    def test_into_a_folder_with_a_link(self) -> None:
        """What a link leads to is somebody else's, and is neither written nor given away."""
        self.backup()
        other, etc = self.folder / "other", self.folder / "etc"
        other.mkdir(mode=0o700)
        etc.mkdir()
        (etc / "conf.d").symlink_to(other)
        words = ("restore", str(self.file), "--replace", "--configuration", str(etc))
        refused = self.run_command(*words, typed=f"{PHRASE}\n")
        self.assertIn("conf.d is not of this backup", refused.output)
        self.assertEqual(stat.S_IMODE(other.stat().st_mode), 0o700)

    def test_where_nothing_is_yet(self) -> None:
        """A new machine may lack the folders around state_dir too."""
        state = self.folder / "var" / "lib" / "state"
        self.config.write_text(f'state_dir = "{state}"\ncontrol_socket = ""\n')
        (self.folder / "var" / "lib").mkdir(parents=True)
        (self.folder / "state").rename(state)
        self.backup()
        rmtree(self.folder / "var")
        words = ("restore", str(self.file), "--configuration", str(self.folder / "etc"))
        done = self.run_command(*words, typed=f"{PHRASE}\n")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertTrue((state / "state.db").exists())

    def test_a_configuration_that_is_a_link(self) -> None:
        """As Kubernetes mounts one: it is in the backup by the name it goes by."""
        mounted, etc = self.folder / "mounted", self.folder / "etc"
        data = mounted / "..data"
        data.mkdir(parents=True)
        (data / "m365gw.toml").write_text(
            f'state_dir = "{self.folder}/state"\ncontrol_socket = ""\n'
            '[[alerts.webhook]]\nurl = "https://hooks.contoso.com"\nca_file = "ca.pem"\n'
        )
        (data / "ca.pem").write_text("a certificate")
        for name in ("m365gw.toml", "ca.pem"):
            (mounted / name).symlink_to(data / name)
        self.config = mounted / "m365gw.toml"
        done = self.backup()
        self.assertNotIn("Not in it", done.output)
        words = ("restore", str(self.file), "--replace", "--configuration", str(etc))
        done = self.run_command(*words, typed=f"{PHRASE}\n")
        self.assertEqual(done.exit_code, 0, done.output)
        for name in ("m365gw.toml", "ca.pem"):
            self.assertEqual((etc / name).read_bytes(), (data / name).read_bytes())

    def test_a_file_that_is_not_in_it(self) -> None:
        """What the configuration names and the backup does not hold is said, in state_dir too."""
        etc = self.folder / "etc"
        etc.mkdir()
        self.config = self.config.rename(etc / "m365gw.toml")
        authority = self.folder / "state" / "rehearsal" / "ca.pem"
        authority.parent.mkdir()
        authority.touch()
        self.config.write_text(
            f'state_dir = "{self.folder / "state"}"\ncontrol_socket = ""\n'
            '[[alerts.webhook]]\nurl = "https://hooks.contoso.com"\n'
            f'ca_file = "{authority}"\n'
        )
        self.assertIn(f"Not in it, as it lies elsewhere: {authority}", self.backup().output)

    def test_for_programs(self) -> None:
        """Each says what it has done as one object, with keys that stay."""
        typed = f"{PHRASE}\n{PHRASE}\n"
        words = ("backup", str(self.file), "--json")
        said = json.loads(self.run_command(*words, typed=typed).stdout)
        self.assertEqual(set(said), {"file", "rows", "files", "not_in_it"})
        self.assertEqual((said["file"], said["not_in_it"]), (str(self.file), []))
        words = ("restore", str(self.file), "--replace", "--json")
        said = json.loads(self.run_command(*words, typed=f"{PHRASE}\n").stdout)
        self.assertEqual(set(said), {"made_at", "rows", "files", "before", "configuration"})
        said = json.loads(self.run_command("keys", "rotate", "--json").stdout)
        self.assertEqual(said, {"sealed": 1, "forgotten": []})

    def test_nobody_answers(self) -> None:
        """That is wrong use, and the option that needs nobody is named; nothing is done."""
        for words in (("backup", str(self.file)), ("restore", str(self.file))):
            self.file.unlink(missing_ok=True)
            done = self.run_command(*words)
            self.assertEqual(done.exit_code, 2, done.output)
            self.assertIn("--passphrase-file FILE", done.output)
            self.assertFalse(self.file.exists())

    def test_keys_rotate(self) -> None:
        """It says how much was sealed; with a lost key it says what to do."""
        done = self.run_command("keys", "rotate")
        self.assertIn("1 secret sealed under a new key", done.output)
        (self.folder / "state" / "keys" / "seal").unlink()
        self.assertIn("--forget-lost", self.run_command("keys", "rotate").output)
        done = self.run_command("keys", "rotate", "--forget-lost")
        self.assertIn("sign-in relay@contoso.com", done.output)
