"""Whom a From field names: every address that some reader could take for the author."""

from __future__ import annotations

from email.utils import formataddr

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.authors import LONGEST, authors, phrase

JANE = ("jane@example.com",)
BOTH = ("jane@example.com", "boss@example.org")


class AuthorsTests(SynchronousTestCase):
    def assert_named(self, expected: tuple[str, ...], *values: str) -> None:
        for value in values:
            with self.subTest(value=value):
                found = authors(value)
                self.assertTrue(found.is_readable)
                self.assertEqual(found.addresses, expected)

    def test_one_author(self) -> None:
        """As devices and programs write it: bare, named, quoted, commented, with commas."""
        self.assert_named(
            JANE,
            "jane@example.com",
            "<jane@example.com>",
            "Jane <jane@example.com>",
            "Jane<jane@example.com>",
            '"Smith, Jane" <jane@example.com>',
            "Smith, Jane <jane@example.com>",
            'jane@example.com (Jane (at work) ")',
            "Jane Q. Public <jane@example.com>",
            "=?utf-8?q?J=C3=A4ne?= <jane@example.com>",
            '"boss@example.org" <jane@example.com>',
            "(boss@example.org) jane@example.com",
            "<@example.org,@example.net:jane@example.com>",
            "< jane@example.com >",
            "jane@example.com,",
            "Scanner: floor 2 <jane@example.com>",
        )

    def test_an_encoded_name_with_a_comma_or_colon(self) -> None:
        """As programs write it that encode word by word: no reader finds an address in these."""
        self.assert_named(
            JANE,
            "=?utf-8?Q?M=C3=BCller?=, Jane <jane@example.com>",
            "=?UTF-8?B?TcO8bGxlcg==?=, Jane <jane@example.com>",
            "=?iso-8859-1?q?M=FCller?=; =?us-ascii?q?Jane_Q=2E?= <jane@example.com>",
            "=?windows-1252?Q?B=FCro?=: jane@example.com;",
        )
        self.assertTrue(authors("=?utf-8?Q?Unbekannte_Empf=C3=A4nger?=:;").is_nobody)

    def test_several_authors(self) -> None:
        """Lists, semicolons as between addresses in Outlook, and groups (RFC 6854)."""
        self.assert_named(
            BOTH,
            "jane@example.com, boss@example.org",
            "Jane <jane@example.com>; <boss@example.org>",
            "Team: jane@example.com, The Boss <boss@example.org>;",
            "Team: jane@example.com;, boss@example.org",
        )

    def test_an_address_for_a_name_counts(self) -> None:
        """Some readers show the one, others the other: both must be allowed."""
        self.assert_named(
            tuple(reversed(BOTH)),
            "boss@example.org <jane@example.com>",
            "boss@example.org: jane@example.com;",
            "boss@example.org, <jane@example.com>",
        )

    def test_quoted_local_part_with_an_at(self) -> None:
        """The domain is what stands behind the last one."""
        self.assert_named(('"boss@example.org"@example.com',), '"boss@example.org"@example.com')

    def test_nobody(self) -> None:
        """No address in it, for certain."""
        for value in ("", "root", "root (Cron Daemon)", "Team:;", "<>", "Scanner <>", "Dr. <Who>"):
            with self.subTest(value=value):
                self.assertTrue(authors(value).is_nobody)

    def test_what_cannot_be_read_is_said(self) -> None:
        """Never passed over, never taken for nobody."""
        for value in (
            "<jane@example.com",
            "jane@example.com>",
            "jane@example.com (at work",
            '"boss@example.org", <jane@example.com>',
            '"boss@example.org"; Jane <jane@example.com>',
            '"boss@example.org": jane@example.com;',
            "=?utf-8?q?=3Cboss=40example=2Eorg=3E?=, <jane@example.com>",
            "=?utf-8?b?Ym9zc0BleGFtcGxlLm9yZw==?= jane@example.com: ;",
            "Team: =?utf-8?b?Ym9zc0BleGFtcGxlLm9yZw==?=: jane@example.com",
            "=?utf-7?q?boss+AEA-example=2Eorg?=, <jane@example.com>",
            "=?utf-8?q?boss=C1=80example=2Eorg?=, <jane@example.com>",
            "=?utf-8?b?Ym9zc0BleGFtcGxlLm9yZw?=, <jane@example.com>",
            "=?utf-8?q?boss=3D40example=2Eorg?=, <jane@example.com>",
            "=?utf-8?q?boss=?= =?utf-8?q?40example=2Eorg?=, <jane@example.com>",
            "=?utf-8?q?x?=?q?boss=40example=2Eorg?=, <jane@example.com>",
            "=?iso-8859-12?q?boss?=, <jane@example.com>",
            "=?utf-8?q?boss=40_x=2Eorg, <jane@example.com>",
            "jane@example.com)",
            "jane@example.com boss@example.org",
            "<jane@example.com> boss",
            "<jane@example.com> <boss@example.org>",
            "Jane <jane@example.com>, boss",
            'boss"x"@example.com',
            '"boss" @example.com',
            "boss @example.com",
            "boss@(work)example.com",
            "boss\\@example.com",
            "@example.com",
            "boss@",
            "boss@example..com",
            "boss@example.com\0",
            "<=?utf-8?q?boss?=@example.com>",
            "=?utf-8?q?boss=40example.org=2C?=@example.com",
            "jane@example.com," * LONGEST,
        ):
            with self.subTest(value=value[:40]):
                found = authors(value)
                self.assertFalse(found.is_readable)
                self.assertFalse(found.is_nobody)

    def test_names_go_into_a_new_field(self) -> None:
        """Quoted where they must be, encoded where they are not ASCII."""
        for value, name in (
            ("Jane <j@example.com>", "Jane"),
            ("Smith, Jane <j@example.com>", '"Smith, Jane"'),
            ('"Smith, Jane" <j@example.com>', '"Smith, Jane"'),
            ("b@example.org <j@example.com>", '"b@example.org"'),
            ("=?utf-8?q?J=C3=A4ne?= <j@example.com>", "=?utf-8?q?J=C3=A4ne?="),
            ("Jäne <j@example.com>", "=?utf-8?b?SsOkbmU=?="),
            ("Printer 3", "Printer 3"),
            ("j@example.com", ""),
        ):
            with self.subTest(value=value):
                self.assertEqual(phrase(authors(value).name), name)

    def test_a_name_half_encoded_is_encoded(self) -> None:
        """Raw letters beside an encoded word: the new field is ASCII all the same."""
        name = authors("J\xe4ne =?utf-8?q?x?= <j@example.com>").name
        self.assertTrue(phrase(name).isascii())

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.sampled_from("ab@.,;:<>\\ =?[]\n"), max_size=40))
    def test_whatever_comes_is_read_or_said_to_be_unreadable(self, value: str) -> None:
        """Nothing fails, and where nothing is quoted nobody is nobody with an "@"."""
        found = authors(value)
        self.assertNotEqual((found.is_nobody, "@" in value), (True, True))

    @settings(max_examples=100, deadline=None)
    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
    def test_every_display_name_hides_nothing(self, name: str) -> None:
        """What a library writes as a name and an address has that address alone."""
        found = authors(formataddr((name, "jane@example.com")))
        self.assertEqual((found.addresses, found.is_readable), (JANE, True))
