"""Tests for `m365gw.moving.postfix`, `postfix_mailboxes` and `main_cf`.

`postconf` of the real Postfix says the same of main.cf.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.moving.found import Found
from m365gw.moving.main_cf import MainCf, main_cf, rows_of_table, table_files
from m365gw.moving.postfix import read_folder
from tests.moving.other_programs import MAIN_CF, REFRESH_TOKEN, postfix

RELAY = "relay@contoso.example"
FAX = "fax@contoso.example"
TWO = (
    "[smtp.office365.com]:587 relay@contoso.example:/etc/tokens/relay@contoso.example\n"
    "fax@contoso.example fax@contoso.example:/etc/tokens/fax\n"
)
TOKEN = json.dumps({"refresh_token": "1.of-fax", "user": "Ann@contoso.example"})


class PostfixTests(SynchronousTestCase):
    def found(self, main: str = MAIN_CF, **files: str) -> Found:
        root = Path(self.mktemp())
        return read_folder(postfix(root, **{"etc/postfix/main.cf": main, **files}))

    def said(self, found: Found) -> str:
        return "\n".join(map(str, (*found.left_out, *found.broken)))

    def test_all(self) -> None:
        """The mailbox with its token out of the jail, networks, logins, the same settings."""
        found = self.found()
        self.assertEqual(found.broken, [])
        self.assertEqual(
            list(found.mailboxes.values()),
            [
                {
                    "address": RELAY,
                    "tenant": "contoso.example",
                    "client_id": "00000000-0000-4000-8000-0000000000a2",
                    "flow": "device",
                    "cloud": "worldwide",
                }
            ],
        )
        self.assertEqual(found.sign_ins, {RELAY: REFRESH_TOKEN})
        self.assertEqual(list(found.networks), ["127.0.0.0/8", "::1/128", "10.1.0.0/16"])
        senders = {name: login.values["senders"] for name, login in found.logins.items()}
        expected = {"printer": ["scanner@contoso.example"], "erp": ["*@erp.example"]}
        self.assertEqual(senders, expected | {"test": ["*@erp.example"]})
        self.assertEqual(found.logins["erp"].clear, "erp-password")
        self.assertTrue(found.logins["printer"].hash)
        self.assertIn("has no password", found.logins["test"].why_new)
        self.assertIn("m365gw settings set queue.maximal_queue_lifetime 3d", found.advice)
        self.assertIn("m365gw listener add submission tcp:587 --tls require", found.advice)
        self.assertIn("main.cf, smtpd_milters: is not taken over", self.said(found))

    def test_mailboxes_by_sender(self) -> None:
        """Each login has the mailbox its senders leave by; one with several is left out."""
        found = self.found(
            MAIN_CF + "smtp_sender_dependent_authentication = yes\n",
            **{
                "etc/postfix/sasl_passwd": TWO,
                "etc/postfix/sender_login_maps": (
                    "fax@contoso.example fax, both, all\n"
                    "scanner@contoso.example printer, both, all\n"
                    "@contoso.example all\n"
                ),
                "etc/tokens/fax": TOKEN,
                "etc/dovecot/users": "fax:{PLAIN}f\nprinter:p\nboth:b\nall:a\n",
            },
        )
        self.assertEqual(found.mailboxes[FAX]["sign_in_as"], "Ann@contoso.example")
        mailboxes = {name: login.values["mailbox"] for name, login in found.logins.items()}
        self.assertEqual(mailboxes, {"fax": FAX, "printer": RELAY})
        self.assertIn("login both: its senders left by several mailboxes", self.said(found))
        self.assertIn("login all: its senders left by several mailboxes", self.said(found))

    def test_mailboxes_by_relay_host(self) -> None:
        """A sender is led to a host, and the host has a mailbox."""
        found = self.found(
            MAIN_CF + "sender_dependent_relayhost_maps = lmdb:/etc/postfix/hosts\n",
            **{
                "etc/postfix/hosts": "@erp.example\tsmtp.office365.com\n",
                "etc/postfix/sasl_passwd": TWO.replace(
                    "fax@contoso.example fax", "smtp.office365.com fax"
                ),
                "etc/tokens/fax": TOKEN,
            },
        )
        self.assertEqual(found.logins["erp"].values["mailbox"], FAX)
        self.assertEqual(found.logins["printer"].values["mailbox"], RELAY)

    def test_logins_without_a_map(self) -> None:
        """Whoever logged in could send as anybody, so it stays; other logins nobody can know."""
        plain = "\n".join(line for line in MAIN_CF.splitlines() if "smtpd_sender" not in line)
        found = self.found(plain + "\n")
        self.assertEqual(found.logins["erp"].values["senders"], ["*"])
        found = self.found(plain + "\n", **{"etc/dovecot/users": ""})
        self.assertIn("m365gw client add", self.said(found))

    def test_networks_without_a_mailbox(self) -> None:
        """Where every sender has a mailbox of its own, a network has none."""
        found = self.found(
            MAIN_CF + "smtp_sender_dependent_authentication = yes\n",
            **{"etc/postfix/sasl_passwd": TWO.splitlines()[1], "etc/tokens/fax": TOKEN},
        )
        self.assertEqual((list(found.mailboxes), found.networks), ([FAX], {}))
        self.assertIn("10.1.0.0/16: its senders left by several", self.said(found))

    def test_networks_that_were_not_let_through(self) -> None:
        """What Postfix trusted counts only where its restrictions let it send."""
        for words in (
            "smtpd_relay_restrictions = permit_sasl_authenticated, reject\n",
            "smtpd_relay_restrictions =\n"
            "smtpd_recipient_restrictions = permit_sasl_authenticated reject_unauth_destination\n",
            "smtpd_client_restrictions = permit_sasl_authenticated reject permit_mynetworks\n",
        ):
            found = self.found(MAIN_CF + words)
            self.assertEqual(found.networks, {}, words)
            self.assertIn("main.cf, mynetworks", self.said(found))
            self.assertEqual(len(found.logins), 3)
        found = self.found(MAIN_CF + "smtpd_relay_restrictions = ${a?{permit_mynetworks}}\n")
        self.assertEqual((found.networks, found.logins), ({}, {}))
        self.assertIn("only Postfix can say", str(found.broken))
        usual = "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n"
        self.assertEqual(len(self.found(MAIN_CF + usual).networks), 3)

    def test_an_exception_from_networks(self) -> None:
        """It cannot be said here, so no network is taken: not even when the rest is asked for."""
        found = self.found(MAIN_CF + "mynetworks = !10.1.0.5, 10.1.0.0/16\n")
        self.assertEqual(found.networks, {})
        self.assertIn("'!10.1.0.5': an exception", self.said(found))

    def test_logins_that_could_not_log_in(self) -> None:
        """Who reads mail with Dovecot is no sender; master.cf may take logins alone."""
        plain = MAIN_CF.replace("smtpd_sasl_auth_enable = yes", "")
        usual = "submission inet n - y - - smtpd\n"
        for main, master in (
            (plain, ""),
            (plain, f"{usual}#  -o smtpd_sasl_auth_enable=yes\n"),
            (MAIN_CF + "smtpd_relay_restrictions = permit_mynetworks, reject\n", ""),
        ):
            found = self.found(main, **{"etc/postfix/master.cf": master})
            self.assertEqual(found.logins, {}, (main, master))
            self.assertIn("no login is taken over", self.said(found))
        options = "  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_client_restrictions=$mua\n"
        found = self.found(plain, **{"etc/postfix/master.cf": usual + options})
        self.assertEqual(len(found.logins), 3)

    def test_addresses_of_others(self) -> None:
        """A domain in the map did not hold the addresses in it that were others'."""
        maps = "ann@erp.example ann, test\n@erp.example erp, test\nbill@erp.example erp\n"
        found = self.found(**{"etc/postfix/sender_login_maps": maps})
        senders = {name: login.values["senders"] for name, login in found.logins.items()}
        self.assertEqual(senders["erp"], ["bill@erp.example"])
        self.assertEqual(senders["test"], ["ann@erp.example"])
        self.assertIn("*@erp.example held all but ann@erp.example", self.said(found))
        self.assertIn("*@erp.example held all but bill@erp.example", self.said(found))

    def test_commands_to_paste(self) -> None:
        """A value of a setting cannot become another command."""
        found = self.found(MAIN_CF + "message_size_limit = 1; reboot\n")
        expected = "m365gw settings set limits.message_size_limit '1; reboot'"
        self.assertIn(expected, found.advice)

    def test_what_is_broken(self) -> None:
        """Each with its file and line, and no secret."""
        passwd = "etc/postfix/sasl_passwd"
        for words, found in (
            ("main.cf: is not there", read_folder(Path(self.mktemp()))),
            ("main.cf, line 1: is not a setting", self.found(f"oops\n{MAIN_CF}")),
            ("refers to itself", self.found(MAIN_CF + "relayhost = ${relayhost}\n")),
            ("only Postfix can say", self.found(MAIN_CF + "mynetworks = ${a?{b}:{c}}\n")),
            ("is no table of text", self.found(MAIN_CF + "smtpd_sender_login_maps = ldap:x\n")),
            (
                "/nowhere: is not there",
                self.found(MAIN_CF + "smtpd_sender_login_maps=hash:/nowhere"),
            ),
            ("names no mailbox", self.found(**{passwd: ""})),
            ("no mail address before its colon", self.found(**{passwd: "host joe:/t"})),
            ("by a password, and not by a token", self.found(**{passwd: f"host {RELAY}:secret"})),
            ("/t is not there; add it by hand", self.found(**{passwd: f"h {RELAY}:/t"})),
            ("its app is named neither", self.found(**{"etc/sasl-xoauth2.conf": "{}"})),
            ("is not JSON", self.found(**{"etc/sasl-xoauth2.conf": "{secret"})),
            ("line 1: has no colon", self.found(**{"etc/dovecot/users": "secret"})),
            ("'*@x': a star", self.found(**{"etc/postfix/sender_login_maps": "*@x printer"})),
        ):
            self.assertIn(words, self.said(found))
            self.assertNotIn("secret", self.said(found))


class MainCfTests(SynchronousTestCase):
    def test_as_postfix_reads_it(self) -> None:
        """The real postconf says the same of every setting."""
        folder = Path(self.mktemp())
        folder.mkdir()
        text = (
            MAIN_CF + "a=1\na = 2\n  # comment\n\n  more\nsmtpd_banner = ${a}$(a) $a,\n#c\n\t y\n"
        )
        (folder / "main.cf").write_text(text)
        (folder / "master.cf").write_text("")
        config, odd = main_cf(text)
        self.assertEqual(odd, [])
        names = ("smtpd_banner", "mynetworks", "smtpd_sender_login_maps")
        asked = ["postconf", "-c", str(folder), "-x", "-h", *names]
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        self.assertEqual([config.value(name) for name in names], said.splitlines())

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Settings, and lines that are none; a value is found or said not to be."""
        config, _ = main_cf(text)
        for name in config.settings:
            try:
                config.words(name)
            except ValueError as error:
                self.assertIn(" ", str(error))
        list(rows_of_table(text))

    @given(st.dictionaries(st.from_regex(r"[a-c]", fullmatch=True), st.text("abc$(){} ,")))
    def test_references(self, settings: dict[str, str]) -> None:
        """They end, however they lead around."""
        for name in settings:
            try:
                MainCf(settings).value(name)
            except ValueError as error:
                self.assertRegex(str(error), "refers to itself|only Postfix can say")

    def test_tables(self) -> None:
        """Several tables, of the kinds that have a text file."""
        self.assertEqual(table_files(" hash:/a, lmdb:/b texthash:/c "), ["/a", "/b", "/c"])
        for words in ("mysql:/a", "/a", "hash:a", "inline:{a=b}"):
            self.assertRaises(ValueError, table_files, words)
