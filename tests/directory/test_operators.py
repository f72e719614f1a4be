"""Operators and their sessions: kept by hashes and digests, and ended together."""

from __future__ import annotations

from attrs import evolve

from m365gw.directory.audit import Audit
from m365gw.directory.operators import NoSuchOperator, OperatorExists, Operators
from m365gw.directory.web_sessions import WebSession, WebSessions
from tests.directory.databases import DatabaseTestCase, OnPostgresql

SESSION = WebSession("d1", "anna", "operator", 100.0, 100.0, "10.1.0.7")


class OperatorTests(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.operators, self.sessions = Operators(self.database), WebSessions(self.database)
        self.operators.add("anna", "hash-1", "operator", "root (uid 0)")
        self.sessions.keep(SESSION)

    def test_who_may_sign_in(self) -> None:
        """By login, with the role; a hash is shown nowhere."""
        self.operators.add("Ben", "hash-2", "viewer", "anna")
        found = self.operators.all()
        self.assertEqual([(one.login, one.role) for one in found][0], ("Ben", "viewer"))
        self.assertNotIn("hash", repr(found))
        self.assertRaises(OperatorExists, self.operators.add, "anna", "x", "viewer", "x")

    def test_what_changes_who_may_sign_in_ends_sessions(self) -> None:
        """A password, a role, the end: whoever is signed in has to prove himself again."""
        for change in (
            lambda: self.operators.set_password("anna", "hash-3", "x"),
            lambda: self.operators.set_role("anna", "viewer", "x"),
            lambda: self.operators.remove("anna", "x"),
        ):
            change()
            self.assertIsNone(self.sessions.find("d1"))
            if self.operators.all():
                self.sessions.keep(SESSION)
        self.assertEqual(self.operators.all(), [])

    def test_nobody(self) -> None:
        """Who is not there is not changed."""
        for change in (self.operators.set_password, self.operators.set_role):
            self.assertRaises(NoSuchOperator, change, "nobody", "viewer", "x")
        self.assertRaises(NoSuchOperator, self.operators.remove, "nobody", "x")

    def test_every_change_has_its_line(self) -> None:
        """With who did it, and without the hash."""
        self.operators.set_password("anna", "hash-3", "ben")
        self.operators.remove("anna", "ben")
        lines = Audit(self.database).changes()
        said = [(one.action, one.by) for one in lines]
        done = [("operator.removed", "ben"), ("operator.password-set", "ben")]
        self.assertEqual(said, [*done, ("operator.added", "root (uid 0)")])
        self.assertNotIn("hash", repr(lines))

    def test_a_session(self) -> None:
        """Found by its digest, with the role its operator has now; seen, and dropped."""
        self.assertEqual(self.sessions.find("d1"), SESSION)
        self.sessions.seen("d1", 200.0)
        self.assertEqual(self.sessions.find("d1"), evolve(SESSION, seen_at=200.0))
        self.sessions.drop("d1")
        self.sessions.drop("d1")
        self.assertIsNone(self.sessions.find("d1"))

    def test_old_sessions_go(self) -> None:
        """Those that began, or were seen, too long ago."""
        self.sessions.keep(evolve(SESSION, digest="d2", began_at=50.0, seen_at=300.0))
        self.sessions.keep(evolve(SESSION, digest="d3", began_at=300.0, seen_at=300.0))
        self.sessions.drop_older(began=60.0, seen=150.0)
        left = [digest for digest in ("d1", "d2", "d3") if self.sessions.find(digest)]
        self.assertEqual(left, ["d3"])


class OperatorOnPostgresqlTests(OnPostgresql, OperatorTests):
    """The same on PostgreSQL."""
