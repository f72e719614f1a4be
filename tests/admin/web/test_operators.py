"""Operators, tokens, one's own account, audit and backup on pages."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from m365gw.directory import audit
from m365gw.directory.api_tokens import digest_of
from m365gw.directory.passphrase import NotOpened, opened
from tests.admin.web.browser import HASH, PASSWORD, Answer, Browser
from tests.admin.web.test_pages import ESCAPED, HOSTILE, PageTestCase

PHRASE = "several words are best"


class AccountsTestCase(PageTestCase):
    def secret(self, answer: Answer) -> str:
        """What is shown once."""
        self.assertEqual(answer.status, 303, answer.body)
        found = re.search(r'id="secret">([\w-]+)<', self.shown(answer.headers["location"]))
        assert found is not None
        return found[1]

    def logins(self) -> list[str]:
        return [each.login for each in self.stage.operators.all()]


class OperatorTests(AccountsTestCase):
    def test_made_with_a_password_that_is_shown_once(self) -> None:
        """He signs in by it, with the role he was given."""
        password = self.secret(self.signed.send("/operators/add", login="bert", role="viewer"))
        self.assertEqual(Browser(self.stage).sign_in("bert", password).status, 303)
        self.assertNotIn(password, self.shown("/operators"))
        self.assertNotIn(password, self.stage.lines.getvalue())
        self.assertEqual(self.stage.operators.all()[1].role, "viewer")

    def test_role_password_and_removal_end_sessions(self) -> None:
        """Within seconds, and each has its line in the audit."""
        self.stage.operators.add("bert", HASH, "operator", "test")
        for path, form in (
            ("/operators/bert/role", {"role": "viewer"}),
            ("/operators/bert/password", {"password": PASSWORD}),
            ("/operators/bert/remove", {}),
        ):
            browser = self.signed_in("bert")
            self.signed.send(path, **form)
            self.stage.clock.advance(16)
            self.assertEqual(browser.get("/").status, 303, path)
        self.assertEqual(self.logins(), ["anna"])
        body = self.shown("/audit?q=bert")
        for action in ("operator.role-set", "operator.password-set", "operator.removed"):
            self.assertIn(action, body)

    def test_nobody_locks_himself_out(self) -> None:
        """One's own role and one's own account are another operator's affair."""
        for path in ("role", "remove"):
            answer = self.signed.send(f"/operators/anna/{path}", role="viewer")
            self.assertEqual(answer.status, 409)
        self.assertEqual(self.logins(), ["anna"])

    def test_what_makes_no_sense_is_said(self) -> None:
        """And nothing is made."""
        for status, form in (
            (422, {"login": "a b", "role": "viewer"}),
            (422, {"login": HOSTILE, "role": "viewer"}),
            (400, {"login": "bert", "role": "root"}),
            (422, {"login": "bert", "role": "viewer", "password": "short"}),
            (409, {"login": "anna", "role": "viewer"}),
        ):
            answer = self.signed.send("/operators/add", **form)
            self.assertEqual(answer.status, status, form)
            self.assertNotIn("<script>alert", answer.body)
        self.assertEqual(self.logins(), ["anna"])


class TokenTests(AccountsTestCase):
    def test_made_shown_once_and_revoked(self) -> None:
        """What is kept is a digest; the page shows its last use."""
        answer = self.signed.send("/tokens/add", name="job", role="viewer", ends="2027-12-31")
        token = self.secret(answer)
        tokens = self.stage.desk.api_tokens
        found = tokens.find(digest_of(token))
        assert found is not None
        self.assertEqual(
            (found.name, found.role, found.made_by), ("job", "viewer", "console: anna")
        )
        tokens.used("job", "10.1.0.9", self.stage.clock.seconds())
        body = self.shown("/operators")
        self.assertIn("from 10.1.0.9", body)
        self.assertNotIn(token, body)
        self.signed.send("/tokens/job/remove")
        self.assertIsNone(tokens.find(digest_of(token)))

    def test_what_makes_no_sense_is_said(self) -> None:
        """And nothing is made."""
        for status, form in (
            (422, {"name": "a b", "role": "viewer"}),
            (422, {"name": "job", "role": "root"}),
            (422, {"name": "job", "role": "viewer", "ends": "soon"}),
        ):
            self.assertEqual(self.signed.send("/tokens/add", **form).status, status)
        self.assertEqual(self.signed.send("/tokens/none/remove").status, 404)
        self.assertEqual(self.stage.desk.api_tokens.all(), [])


class OwnAccountTests(AccountsTestCase):
    def test_another_password_ends_all_sessions(self) -> None:
        """The old one has to be known."""
        other, new = self.signed_in(), "a-new-one-of-mine"
        form = {"old": "wrong-password", "new": new, "again": new}
        self.assertEqual(self.signed.send("/account/password", **form).status, 401)
        form["old"] = PASSWORD
        self.assertEqual(
            self.signed.send("/account/password", **(form | {"again": "x"})).status, 422
        )
        answer = self.signed.send("/account/password", **form)
        self.assertEqual(answer.headers["location"], "/login")
        self.stage.clock.advance(16)
        for browser in (self.signed, other):
            self.assertEqual(browser.get("/").status, 303)
        self.assertEqual(Browser(self.stage).sign_in("anna", new).status, 303)

    def test_sessions_are_listed_and_ended(self) -> None:
        """One's own, never another's."""
        self.stage.operators.add("vera", HASH, "viewer", "test")
        vera, second = self.signed_in("vera"), self.signed_in()
        (theirs,) = self.stage.sessions.of("vera")
        self.assertIn("End all others", self.shown("/account"))
        self.signed.send("/account/sessions/end", session=theirs.digest)
        self.assertEqual(vera.get("/").status, 200)
        self.signed.send("/account/sessions/end", session="others")
        self.assertEqual((second.get("/").status, self.signed.get("/").status), (303, 200))

    def test_a_viewer_has_one_too(self) -> None:
        """His own password is his to change."""
        self.stage.operators.add("vera", HASH, "viewer", "test")
        viewer, new = self.signed_in("vera"), "a-new-one-of-mine"
        answer = viewer.send("/account/password", old=PASSWORD, new=new, again=new)
        self.assertEqual(answer.headers["location"], "/login")


class AuditTests(AccountsTestCase):
    def noted(self, count: int, subject: str = "printer{}") -> None:
        with self.stage.operators._database.writing() as connection:
            for number in range(count):
                name = subject.format(number)
                audit.note(connection, "root (uid 0)", "client.added", name, {"label": "x"})

    def test_newest_first_and_older_ones_behind(self) -> None:
        """A screen at a time."""
        self.noted(130)
        body = self.shown("/audit")
        self.assertIn(">printer129<", body)
        self.assertNotIn(">printer1<", body)
        found = re.search(r"/audit\?before=(\d+)", body)
        assert found is not None
        self.assertIn(">printer1<", self.shown(f"/audit?before={found[1]}"))

    def test_search(self) -> None:
        """By who, what, and to what; a wildcard of the database is a letter."""
        self.noted(3)
        self.assertIn(">printer2<", self.shown("/audit?q=PRINTER2"))
        self.assertNotIn(">printer1<", self.shown("/audit?q=printer2"))
        self.assertIn("operator.added", self.shown("/audit?q=operator.added"))
        self.assertIn("Nothing is like that.", self.shown("/audit?q=%25"))

    def test_hostile_text(self) -> None:
        """Escaped, wherever it stands."""
        self.noted(1, HOSTILE.replace("{", ""))
        body = self.shown("/audit")
        self.assertIn(ESCAPED, body)
        self.assertNotIn("<script>alert", body)

    def test_it_is_bounded(self) -> None:
        """The oldest lines go as new ones come."""
        self.patch(audit, "KEPT", 50)
        self.patch(audit, "_PRUNED_EVERY", 10)
        self.noted(200)
        left = audit.Audit(self.stage.operators._database).changes(1000)
        self.assertLessEqual(len(left), 60)
        self.assertEqual(left[0].subject, "printer199")


class BackupTests(AccountsTestCase):
    def test_sealed_before_it_leaves(self) -> None:
        """Only its passphrase opens it, and who took it is noted."""
        transport = self.signed.begin(self._request(PHRASE, PHRASE))
        head, _, octets = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"attachment; filename", head)
        sealed = octets[octets.index(b"m365gw backup") :]
        sealed = sealed[: sealed.rindex(b"\r\n0\r\n")] if sealed.endswith(b"0\r\n\r\n") else sealed
        self.assertNotIn(b"all but the mail", octets)
        self.assertEqual(opened(PHRASE, sealed), b"all but the mail")
        self.assertRaises(NotOpened, opened, "another phrase", sealed)
        self.assertIn("backup.made", [what for _, what, _ in self.stage.audited])

    def test_a_passphrase_that_will_not_do(self) -> None:
        """Too short, or typed in two ways: no backup."""
        for phrase, again in (("short", "short"), (PHRASE, PHRASE + "x"), ("", "")):
            answer = self.signed.send("/backup", passphrase=phrase, again=again)
            self.assertEqual(answer.status, 422)
        self.assertEqual(self.stage.audited, [])

    def test_not_by_a_link(self) -> None:
        """A page shows the form; it needs the token of the session."""
        self.assertIn("Download the backup", self.shown("/backup"))
        answer = self.signed.post("/backup", {"passphrase": PHRASE, "again": PHRASE})
        self.assertEqual(answer.status, 403)

    def _request(self, phrase: str, again: str) -> bytes:
        token = self.signed.get("/backup").token()
        form = urlencode({"token": token, "passphrase": phrase, "again": again}).encode()
        kind = {"content_type": "application/x-www-form-urlencoded"}
        return self.signed.head("POST", "/backup", len(form), kind) + form
