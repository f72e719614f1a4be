"""Tests for the small formats: `passwd_file`, `dotenv`, `postfix_words`, `sasl_xoauth2`."""

from __future__ import annotations

import ipaddress
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.moving.dotenv import pairs_in, variables_in
from m365gw.moving.passwd_file import lines_of
from m365gw.moving.places import Unreadable
from m365gw.moving.postfix_words import cloud_of, network_of, pattern_of
from m365gw.moving.sasl_xoauth2 import App, app_of, token_of
from m365gw.smtp.addresses import parse_pattern

NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
ATOMS = st.from_regex(r"[a-z0-9-]{1,30}", fullmatch=True)


class PasswdFileTests(SynchronousTestCase):
    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Each line is a login or a fault, with its number, and quotes no password."""
        for line in lines_of(text):
            self.assertTrue(line.login or line.fault)
            self.assertNotEqual(bool(line.clear or line.hash), bool(line.why_new or line.fault))
            self.assertLessEqual(line.number, text.count("\n") + 1)

    @given(ATOMS, WORDS.filter(lambda word: ":" not in word and "{" not in word))
    def test_written_and_read(self, login: str, password: str) -> None:
        """What simple-m365-relay writes is read, with what may come behind it."""
        for written in (f"{{PLAIN}}{password}", f"{{plain}}{password}:1000:1000::/home", password):
            (line,) = lines_of(f"# users\n\n{login}:{written}\r\n")
            self.assertEqual((line.login, line.clear, line.number), (login, password, 3))


class DotenvTests(SynchronousTestCase):
    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Lines that are no variables are numbered."""
        found, odd = variables_in(text)
        self.assertLessEqual(len(found) + len(odd), len(text.splitlines()))

    @given(st.dictionaries(NAMES, WORDS.filter(lambda word: word[0] not in "'\"`#")))
    def test_as_docker_lists_them(self, variables: dict[str, str]) -> None:
        """NAME=VALUE, and nothing is quoted."""
        text = "".join(f"{name}={value}\n" for name, value in variables.items())
        self.assertEqual(variables_in(text), (variables, []))

    def test_quotes_and_comments(self) -> None:
        """As in a file that people write."""
        text = 'A=\'x # y\' # why\nexport B="say \\"yes\\""\nC = plain # why\n# D=1\nE=\nF=`a`\nG'
        expected = {"A": "x # y", "B": 'say "yes"', "C": "plain", "E": "", "F": "a"}
        self.assertEqual(variables_in(text), (expected, [7]))

    @given(st.dictionaries(ATOMS, st.text(st.characters(codec="utf-8"), min_size=1)))
    def test_pairs_as_json(self, pairs: dict[str, str]) -> None:
        """A JSON object of texts is one way to write them."""
        self.assertEqual(pairs_in(json.dumps(pairs)), pairs)

    @given(st.dictionaries(ATOMS, st.from_regex(r"[A-Za-z0-9~._-]{1,40}", fullmatch=True)))
    def test_pairs_as_in_its_example(self, pairs: dict[str, str]) -> None:
        """`one:value,two:value`."""
        text = ",".join(f"{key}:{value}" for key, value in pairs.items())
        self.assertEqual(pairs_in(text), pairs)
        self.assertEqual(pairs_in(text.replace(",", "\n , ")), pairs)

    @given(st.text())
    def test_any_pairs(self, text: str) -> None:
        """Pairs or nothing."""
        self.assertIsInstance(pairs_in(text) or {}, dict)


class PostfixWordTests(SynchronousTestCase):
    @given(st.ip_addresses(), st.integers(0, 128))
    def test_networks(self, address: ipaddress.IPv4Address, size: int) -> None:
        """As Postfix writes them, an IPv6 address in brackets."""
        size = min(size, address.max_prefixlen)
        network = ipaddress.ip_network((int(address) >> size << size, address.max_prefixlen - size))
        plain = str(network.network_address)
        word = f"[{plain}]" if address.version == 6 else plain
        self.assertEqual(network_of(f"{word}/{network.prefixlen}"), str(network))

    def test_no_networks(self) -> None:
        """Tables, files and exceptions are not looked into."""
        for word in ("hash:/etc/postfix/nets", "/etc/postfix/nets", "!10.0.0.1", "$more", "x", ""):
            self.assertRaises(ValueError, network_of, word)

    @given(st.text())
    def test_any_sender(self, text: str) -> None:
        """It becomes a pattern that our rules take, or is said to be none."""
        try:
            pattern = pattern_of(text, "contoso.example")
        except ValueError:
            return
        parse_pattern(pattern)
        self.assertEqual(pattern.startswith("*"), text.startswith("@"))

    def test_clouds(self) -> None:
        """By the host of its relay."""
        self.assertEqual(cloud_of("[smtp.office365.com]:587"), "worldwide")
        self.assertEqual(cloud_of("smtp-mail.outlook.com"), "worldwide")
        self.assertEqual(cloud_of("[smtp.partner.outlook.cn]"), "china")
        self.assertRaises(ValueError, cloud_of, "[smtp.gmail.com]:587")


class SaslXoauth2Tests(SynchronousTestCase):
    ENDPOINT = "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"

    def test_app(self) -> None:
        """Tenant and cloud are in the address of its tokens."""
        text = json.dumps({"client_id": "c", "client_secret": "", "token_endpoint": self.ENDPOINT})
        app = app_of(text, "conf")
        self.assertEqual(app, App("c", "", "contoso.example", "worldwide"))
        token = token_of('{"refresh_token": "r", "user": "u@x.example", "expiry": "0"}', "t", app)
        self.assertEqual((token.refresh_token, token.app, token.user), ("r", app, "u@x.example"))

    def test_not_microsoft(self) -> None:
        """The default of sasl-xoauth2 is Google: without an address nothing is known."""
        self.assertEqual(app_of('{"client_id": "c"}', "conf").tenant, "")
        text = json.dumps({"token_endpoint": "https://accounts.example/"})
        self.assertRaises(Unreadable, app_of, text, "conf")

    @given(st.text() | st.dictionaries(st.text(), st.text()).map(json.dumps))
    def test_any_text(self, text: str) -> None:
        """A token, or the reason why there is none."""
        try:
            self.assertTrue(token_of(text, "t", App()).refresh_token)
        except Unreadable as problem:
            self.assertEqual(problem.name, "t")
