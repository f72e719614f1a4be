"""Tests for `m365gw.moving.simple_m365_relay`. Its files are written by `other_programs`."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory import passwords
from m365gw.moving.found import Found
from m365gw.moving.places import Archive, Folder, place_of
from m365gw.moving.simple_m365_relay import read, token_file
from tests.moving.other_programs import (
    ARGON2ID,
    CONFIG,
    REFRESH_TOKEN,
    backup_of_simple_m365_relay,
    simple_m365_relay,
)

RELAY = "relay@contoso.example"


class Memory:
    """Files in memory."""

    def __init__(self, **files: Any) -> None:
        self.files = {name.replace("__", "/"): content for name, content in files.items()}

    def read(self, name: str) -> bytes | None:
        content = self.files.get(name)
        return content.encode() if isinstance(content, str) else content


def with_config(config: Any, users: str | None = "", token: str = "", **files: str) -> Found:
    """What is found where the settings are these."""
    memory = Memory(sasl__users=users, **files)
    memory.files["config/config.json"] = config if isinstance(config, str) else json.dumps(config)
    if token:
        memory.files[f"tokens/{RELAY}"] = token
    return read(memory)


class SimpleM365RelayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())

    def place(self, **changes: Any) -> Folder:
        return Folder(simple_m365_relay(self.folder, **changes))

    def assert_all_found(self, found: Found) -> None:
        self.assertEqual(found.broken, [])
        self.assertEqual(
            list(found.mailboxes.values()),
            [
                {
                    "address": RELAY,
                    "flow": "device",
                    "tenant": "11111111-2222-4333-8444-555555555555",
                    "client_id": "00000000-0000-4000-8000-0000000000a2",
                    "cloud": "worldwide",
                }
            ],
        )
        self.assertEqual(
            found.logins["printer"].values,
            {
                "login": "printer",
                "senders": ["scanner@contoso.example", "*@devices.contoso.example"],
                "mailbox": RELAY,
                "default_from": "scanner@contoso.example",
            },
        )
        self.assertEqual(list(found.networks), ["10.1.0.0/16", "2001:db8::/32"])
        self.assertEqual(
            found.advice,
            [
                "m365gw listener add smtp tcp:25 --tls starttls --auth offer --network 10.1.0.0/16"
                " --network 2001:db8::/32",
                "m365gw listener add submission tcp:587 --tls require",
            ],
        )

    def test_data_of_version_2(self) -> None:
        """Settings in SQLite, the newest of them in its log: mailbox, token, logins, networks."""
        found = read(self.place())
        self.assert_all_found(found)
        self.assertEqual(found.sign_ins, {RELAY: REFRESH_TOKEN})
        self.assertEqual(found.logins["printer"].clear, "printer-password")

    def test_data_of_version_1(self) -> None:
        """Settings in a file."""
        found = read(self.place(version=1))
        self.assert_all_found(found)
        self.assertEqual(found.sign_ins, {RELAY: REFRESH_TOKEN})

    def test_settings_that_are_only_in_the_log(self) -> None:
        """A database that is in use: what was written last is beside it, and counts."""
        place = self.place()
        writing = sqlite3.connect(self.folder / "state/relay.db")
        self.addCleanup(writing.close)
        changed = json.dumps({**CONFIG, "mynetworks": ["10.9.0.0/16"]})
        writing.execute("UPDATE settings SET config = ?", (changed,))
        writing.commit()
        before = sorted(os.listdir(self.folder / "state"))
        self.assertIn("relay.db-wal", before)
        self.assertEqual(list(read(place).networks), ["10.9.0.0/16"])
        self.assertEqual(sorted(os.listdir(self.folder / "state")), before)

    def test_networks_that_may_be_logins(self) -> None:
        """What a rule here cannot hold them to is said, with what narrows each."""
        said = str(read(self.place()).left_out)
        self.assertIn("they may send as those too", said)
        self.assertIn("m365gw network change 10.1.0.0/16 --sender ADDRESS", said)

    def test_backup(self) -> None:
        """The zip: all but the sign-in, and how to get that is said."""
        found = read(Archive(backup_of_simple_m365_relay(Path(self.mktemp()))))
        self.assert_all_found(found)
        self.assertEqual(found.sign_ins, {})
        self.assertIn(f"m365gw mailbox signin {RELAY}", str(found.left_out[0]))

    def test_hash_is_kept(self) -> None:
        """Passwords of version 2 stay good, although nobody knows them."""
        found = read(self.place(users=f"printer:{ARGON2ID}\n"))
        self.assertTrue(passwords.verify(found.logins["printer"].hash, "printer-password"))

    def test_password_that_cannot_be_kept(self) -> None:
        """The login is found, and why it needs a new password."""
        for stored, why in (
            ("{SHA512-CRYPT}$6$x$y", "SHA512-CRYPT"),
            ("{ARGON2ID}$argon2id$v=19$m=9999999,t=3,p=1$abcd$abcd", "too costly"),
            ("{PLAIN}", "empty"),
        ):
            login = with_config(CONFIG, f"printer:{stored}\n").logins["printer"]
            self.assertEqual((login.clear, login.hash), ("", ""))
            self.assertIn(why, login.why_new)

    def test_login_without_a_password(self) -> None:
        """Version 0 had them in a database of Cyrus SASL: the names are known from the senders."""
        found = with_config(CONFIG, users=None, sasl__sasldb2="\x00\x06")
        self.assertIn("sasl/sasldb2", str(found.left_out))
        self.assertIn("has no password", found.logins["printer"].why_new)

    def test_login_that_could_not_send(self) -> None:
        """It is left out: there it could send as nobody."""
        found = read(self.place())
        self.assertNotIn("erp", found.logins)
        self.assertIn("'erp' may send as nobody", str(found.left_out))

    def test_inside_of_its_container(self) -> None:
        """Loopback was that of the container; here it would be every program of the machine."""
        self.assertIn("inside of its container", str(read(self.place()).left_out))

    def test_senders_in_words_of_postfix(self) -> None:
        """A name alone is of its domain; what we cannot say, or would widen, is not taken."""
        allowed = {"printer": ["Scanner@contoso.example", "scanner", "*@x.example", "a b@c"]}
        found = with_config({**CONFIG, "allowed_from": allowed}, "printer:{PLAIN}p\n")
        self.assertEqual(found.logins["printer"].values["senders"], ["scanner@contoso.example"])
        self.assertEqual(len(found.broken), 2)
        self.assertIn("'*@x.example'", str(found.broken[0]))

    def test_networks_that_would_be_wider(self) -> None:
        """Not what an exception stands beside, and not everybody."""
        for words in (["!10.1.2.3", "10.0.0.0/8"], ["0.0.0.0/0", "::/0"]):
            found = with_config({**CONFIG, "mynetworks": words})
            self.assertEqual(found.networks, {})
            self.assertIn(words[1], str(found.left_out))

    def test_addresses_of_others(self) -> None:
        """A domain did not hold the addresses in it that were another login's."""
        allowed = {"printer": ["scanner@contoso.example"], "erp": ["@contoso.example", "erp@x.y"]}
        users = "printer:{PLAIN}p\nerp:{PLAIN}e\n"
        found = with_config({**CONFIG, "allowed_from": allowed}, users)
        self.assertEqual(found.logins["erp"].values["senders"], ["erp@x.y"])
        self.assertIn("held all but scanner@contoso.example", str(found.left_out))

    def test_default_from_never_had_an_effect(self) -> None:
        """It is no way to more senders than there were."""
        config = {**CONFIG, "default_from": {"printer": "boss@contoso.example"}}
        found = with_config(config, "printer:{PLAIN}p\n")
        self.assertNotIn("default_from", found.logins["printer"].values)
        self.assertIn("never had an effect", str(found.left_out))

    def test_environment(self) -> None:
        """What its settings do not say is taken from a .env beside them."""
        bare = {**CONFIG, "ms365_smtp_user": "", "oauth": {}, "relayhost": ""}
        self.assertIn("MS365_SMTP_USER", str(with_config(bare).broken))
        env = f"MS365_SMTP_USER={RELAY}\nMS365_TENANT_ID=t\nMS365_CLIENT_ID='c'\n"
        env += "RELAYHOST=smtp.office365.us\n"
        found = with_config(bare, **{".env": env})
        (mailbox,) = found.mailboxes.values()
        self.assertEqual((mailbox["tenant"], mailbox["client_id"]), ("t", "c"))
        self.assertEqual(mailbox["cloud"], "gcc-high")

    def test_app_in_the_token_file(self) -> None:
        """A token file may name its own app, which then counts."""
        endpoint = "https://login.partner.microsoftonline.cn/tenant-2/oauth2/v2.0/token"
        token = {"refresh_token": "r", "client_id": "c2", "client_secret": "s"}
        found = with_config(CONFIG, token=json.dumps({**token, "token_endpoint": endpoint}))
        (mailbox,) = found.mailboxes.values()
        self.assertEqual(mailbox["flow"], "web")
        self.assertEqual(mailbox["client_secret"], "s")
        self.assertNotIn("'s'", repr(found))
        self.assertEqual((mailbox["tenant"], mailbox["cloud"]), ("tenant-2", "china"))

    def test_relayhost_of_nobody_known(self) -> None:
        """The world-wide cloud is taken, and that is said."""
        found = with_config({**CONFIG, "relayhost": "[mailhog]:1025"})
        self.assertEqual(found.mailboxes[RELAY]["cloud"], "worldwide")
        self.assertIn("--cloud", str(found.left_out))

    def test_broken_files(self) -> None:
        """Each is named, with the reason; its content is not quoted."""
        for words, found in (
            ("is not JSON", with_config('{"secret": oops')),
            ("is JSON, but no object", with_config("[1]")),
            ("no data of simple-m365-relay", read(Memory())),
            ("is no mail address", with_config({})),
            ("app registration is not named", with_config({**CONFIG, "oauth": 3})),
            ("holds no refresh_token", with_config(CONFIG, token='{"refresh_token": ""}')),
            ("is not JSON", with_config(CONFIG, token="eyJ0.secret")),
            ("no colon", with_config(CONFIG, "printer\n")),
            ("no usable login", with_config(CONFIG, " :{PLAIN}secret\n")),
            ("host bits", with_config({**CONFIG, "mynetworks": ["10.1.2.3/8"]})),
            ("cannot be said", with_config({**CONFIG, "mynetworks": ["!10.1.2.3"]})),
            ("no SQLite database", read(Memory(**{"state/relay.db": b"\xff" * 4096}))),
        ):
            self.assertIn(words, str(found.broken))
            self.assertNotIn("secret", str(found))

    def test_database_without_the_table(self) -> None:
        """It is said what is missing."""
        place = self.place()
        database = sqlite3.connect(self.folder / "state/relay.db")
        database.execute("DROP TABLE settings")
        database.close()
        self.assertIn("no such table: settings", str(read(place).broken))

    @given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
    def test_settings_of_any_shape(self, value: Any) -> None:
        """Whatever stands where a setting should be: it is found or not, and nothing raises."""
        for key in CONFIG:
            found = with_config({**CONFIG, key: value}, "printer:{PLAIN}p\n")
            self.assertIsInstance(found, Found)

    @given(st.text())
    def test_token_file_stays_inside(self, user: str) -> None:
        """No name of a mailbox leads out of the folder of tokens."""
        name = token_file(user)
        self.assertFalse({"/", "\x00"} & set(name))
        self.assertNotIn("..", name)


class ArchiveTests(SynchronousTestCase):
    """Zip files made by somebody who means harm, or half copied."""

    def test_names_that_lead_out(self) -> None:
        """Nothing is unpacked, so such a name is only a file nobody asks for."""
        path = backup_of_simple_m365_relay(Path(self.mktemp()))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("../../evil", "x")
        self.assertEqual(read(place_of(path)).broken, [])
        self.assertFalse((path.parent.parent.parent / "evil").exists())

    def test_bomb(self) -> None:
        """A file that grows without end is read up to a bound."""
        path = backup_of_simple_m365_relay(Path(self.mktemp()), config=" " * (65 * 1024 * 1024))
        self.assertLess(path.stat().st_size, 200_000)
        self.assertIn("is larger than 64 MiB", str(read(place_of(path)).broken))

    def test_damaged(self) -> None:
        """It is named, whatever is broken in it."""
        whole = backup_of_simple_m365_relay(Path(self.mktemp())).read_bytes()
        for number in range(0, len(whole), 7):
            damaged = Path(self.mktemp())
            damaged.write_bytes(
                whole[:number] + bytes([whole[number] ^ 0xFF]) + whole[number + 1 :]
            )
            self.assertIsInstance(read(place_of(damaged)), Found)
        damaged.write_bytes(whole[: len(whole) // 2])
        self.assertIn("no zip archive, or a damaged one", str(read(place_of(damaged)).broken))

    def test_link_out_of_the_folder(self) -> None:
        """Root reads no file for somebody who made a link to it."""
        folder = simple_m365_relay(Path(self.mktemp()))
        outside = Path(self.mktemp())
        outside.write_text("printer:{PLAIN}stolen\n")
        (folder / "sasl/users").unlink()
        (folder / "sasl/users").symlink_to(outside.absolute())
        found = read(place_of(folder))
        self.assertIn("leads out of the folder", str(found.broken))
        self.assertEqual(found.logins["printer"].clear, "")

    def test_no_plain_file(self) -> None:
        """A pipe is not waited for, and a folder is no file."""
        folder = simple_m365_relay(Path(self.mktemp()))
        (folder / "sasl/users").unlink()
        os.mkfifo(folder / "sasl/users")
        self.assertIn("not a plain file", str(read(place_of(folder)).broken))
        (folder / "sasl/users").unlink()
        (folder / "sasl/users").mkdir()
        self.assertTrue(read(place_of(folder)).broken)
        shutil.rmtree(folder / "sasl")
        self.assertEqual(read(place_of(folder)).broken, [])
