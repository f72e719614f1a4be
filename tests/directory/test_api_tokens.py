"""Tokens of the API: shown once, kept as digests, gone when removed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.api_tokens import (
    PREFIX,
    ApiTokens,
    NoSuchToken,
    TokenExists,
    digest_of,
    is_token,
)
from m365gw.directory.audit import Audit
from tests.directory.databases import DatabaseTestCase, OnPostgresql


class ApiTokenTests(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.tokens = ApiTokens(self.database)
        self.token = self.tokens.add("grafana", "viewer", "root (uid 0)", 2e9)

    def test_a_token_is_found_by_its_digest(self) -> None:
        """With its name, role and end; another one is not found."""
        found = self.tokens.find(digest_of(self.token))
        assert found is not None
        self.assertEqual((found.name, found.role, found.ends_at), ("grafana", "viewer", 2e9))
        self.assertIsNone(self.tokens.find(digest_of(self.token + "x")))
        self.assertTrue(self.token.startswith(PREFIX))
        self.assertTrue(is_token(self.token))

    def test_the_token_itself_is_kept_nowhere(self) -> None:
        """Neither in what is known of it nor in the audit."""
        self.assertNotIn(self.token, repr(self.tokens.all()))
        self.assertNotIn(self.token, repr(Audit(self.database).changes()))

    def test_a_name_is_given_once(self) -> None:
        """A second token of the same name is refused; after its end the name is free."""
        self.assertRaises(TokenExists, self.tokens.add, "grafana", "operator", "x")
        self.tokens.remove("grafana", "x")
        self.assertNotEqual(self.token, self.tokens.add("grafana", "operator", "x"))

    def test_a_removed_token_is_found_no_more(self) -> None:
        """And one that is not there cannot be removed."""
        self.tokens.remove("grafana", "anna")
        self.assertIsNone(self.tokens.find(digest_of(self.token)))
        self.assertRaises(NoSuchToken, self.tokens.remove, "grafana", "anna")

    def test_the_last_use_is_kept(self) -> None:
        """When, and from where."""
        self.tokens.used("grafana", "10.1.0.7", 123.0)
        (known,) = self.tokens.all()
        self.assertEqual((known.last_at, known.last_address), (123.0, "10.1.0.7"))

    def test_every_change_has_its_line(self) -> None:
        """Made and removed, with who did it."""
        self.tokens.remove("grafana", "anna")
        lines = [(each.by, each.action, each.subject) for each in Audit(self.database).changes()]
        expected = [
            ("anna", "token.removed", "grafana"),
            ("root (uid 0)", "token.added", "grafana"),
        ]
        self.assertEqual(lines, expected)


class FormTests(SynchronousTestCase):
    @given(st.text())
    def test_no_other_text_is_a_token(self, text: str) -> None:
        """What is not of its form is not looked up."""
        self.assertFalse(is_token(text))


class OnPostgresqlTests(OnPostgresql, ApiTokenTests):
    """The same in PostgreSQL."""
