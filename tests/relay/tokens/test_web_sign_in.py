"""Tests for `m365gw.relay.tokens.web_sign_in`."""

from __future__ import annotations

import time
import warnings
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

from m365gw.relay.tokens.web_sign_in import WebSignIn
from tests.relay.entra import ADDRESS, CLOUD, OFFLINE, Answer, mailbox, refusal
from tests.relay.signed_in import SignedInCase

HERE = "http://localhost:1234"
BOX = mailbox(flow="web", client_secret="")
CONFIDENTIAL = mailbox(flow="web")


class WebSignInTests(SignedInCase):
    """Signing in by a link."""

    def begin(self, box: Any = BOX) -> WebSignIn:
        sign_in = WebSignIn.begin(box, CLOUD, self.entra.session, HERE)
        self.asked = {key: value[0] for key, value in self.query(sign_in).items()}
        self.entra.nonce = self.asked["nonce"]
        return sign_in

    def query(self, sign_in: WebSignIn) -> dict[str, list[str]]:
        return parse_qs(urlsplit(sign_in.auth_uri).query)

    def answer(self, sign_in: WebSignIn, **changes: str) -> dict[str, str]:
        return {"code": "C1", "state": sign_in.state, **changes}

    def test_what_is_asked(self) -> None:
        """Code with PKCE by query, for the account of the mailbox; verifier and nonce stay here."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            sign_in = self.begin()
        expected = {
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": HERE,
            "login_hint": ADDRESS,
            "code_challenge_method": "S256",
            "state": sign_in.state,
        }
        self.assertLessEqual(expected.items(), self.asked.items())
        self.assertIn(CLOUD.user_scope, self.asked["scope"].split())
        self.assertNotIn(self.asked["code_challenge"], repr(sign_in))
        self.assertNotIn("code_verifier", self.asked)

    def test_done_as_a_public_app(self) -> None:
        """The code is redeemed with the verifier and no secret, and the sign-in is kept."""
        sign_in = self.begin()
        sign_in.finish(self.answer(sign_in), self.store)
        form = self.entra.posts[-1]
        self.assertEqual((form["grant_type"], form["code"]), ("authorization_code", "C1"))
        self.assertTrue(form["code_verifier"])
        self.assertNotIn("client_secret", form)
        self.assertEqual(self.refresh_tokens(), ["RT1"])

    def test_done_as_a_confidential_app(self) -> None:
        """An app with a secret proves itself; the new one of two is tried first."""
        sign_in = self.begin(CONFIDENTIAL)
        sign_in.finish(self.answer(sign_in), self.store)
        self.assertEqual(self.entra.posts[-1]["client_secret"], "s3cret-value")
        sign_in = self.begin(mailbox(flow="web", client_secret="new\nold"))
        self.entra.script = [Answer(401, refusal("invalid_client", 7000215))]
        sign_in.finish(self.answer(sign_in), self.store)
        used = [form["client_secret"] for form in self.entra.posts[-2:]]
        self.assertEqual(used, ["new", "old"])

    def test_an_answer_works_once(self) -> None:
        """A page that is loaded twice does not send the code twice."""
        sign_in = self.begin()
        sign_in.finish(self.answer(sign_in), self.store)
        problem = self.refused(sign_in.finish, self.answer(sign_in), self.store)
        self.assertEqual((problem.reaction, problem.diagnosis.key), ("restart", "signin-code-used"))
        self.assertEqual(len(self.entra.posts), 1)

    def test_foreign_answers(self) -> None:
        """Without the right state nothing is sent, and the sign-in goes on."""
        sign_in = self.begin()
        for state in ("", "other", sign_in.state + "x", "ä"):
            problem = self.refused(sign_in.finish, {"code": "C1", "state": state}, self.store)
            self.assertEqual(problem.diagnosis.key, "signin-foreign")
        self.refused(sign_in.finish, {"code": "C1"}, self.store)
        self.assertEqual(self.entra.posts, [])
        sign_in.finish(self.answer(sign_in), self.store)

    def test_wrong_nonce(self) -> None:
        """An id token that was made for another sign-in is refused, and nothing is kept."""
        sign_in = self.begin()
        self.entra.nonce = "another"
        problem = self.refused(sign_in.finish, self.answer(sign_in), self.store)
        self.assertEqual(problem.diagnosis.key, "signin-nonce")
        self.assertEqual(self.store.kept, {})

    def test_wrong_account(self) -> None:
        """Somebody who signed in as somebody else is told so; nothing is kept."""
        sign_in = self.begin()
        self.entra.user = "eve@contoso.com"
        problem = self.refused(sign_in.finish, self.answer(sign_in), self.store)
        self.assertEqual(problem.diagnosis.key, "wrong-account")
        self.assertIn("eve@contoso.com", problem.diagnosis.what)
        self.assertEqual(self.store.kept, {})

    def test_signed_in_by_somebody_else(self) -> None:
        """`sign_in_as` names who signs in for a shared mailbox, and only that account may."""
        box = mailbox(flow="web", client_secret="", sign_in_as="Joe@contoso.com")
        sign_in = self.begin(box)
        self.assertEqual(self.asked["login_hint"], "Joe@contoso.com")
        self.refused(sign_in.finish, self.answer(sign_in), self.store)
        self.entra.user = "joe@contoso.com"
        sign_in = self.begin(box)
        sign_in.finish(self.answer(sign_in), self.store)
        self.assertEqual(self.refresh_tokens(), ["RT2"])

    def test_errors_of_the_page(self) -> None:
        """Refused, not consented, to be allowed by an administrator: each in words of its own."""
        for error, number, reaction, key in (
            ("access_denied", 65004, "stop", "signin-declined"),
            ("access_denied", 90094, "admin", "admin-consent-needed"),
            ("invalid_grant", 65001, "admin", "consent-missing"),
            ("interaction_required", 53003, "admin", "conditional-access-blocked"),
            ("access_denied", 0, "stop", "signin-declined"),
        ):
            sign_in = self.begin()
            words = f"AADSTS{number}: no" if number else "no"
            said = {"error": error, "error_description": words, "state": sign_in.state}
            problem = self.refused(sign_in.finish, said, self.store)
            self.assertEqual((problem.reaction, problem.diagnosis.key), (reaction, key))
        self.assertEqual(self.entra.posts, [])

    def test_bad_answers_of_the_token_endpoint(self) -> None:
        """A code that was used, a wrong verifier, no network: nothing is kept."""
        for answer, reaction in (
            (Answer(400, refusal("invalid_grant", 54005)), "restart"),
            (Answer(400, refusal("invalid_grant", 501481)), "restart"),
            (OFFLINE, "retry"),
            (Answer(502, "<html>AT-leaked</html>"), "retry"),
            (Answer(200, {"token_type": "Bearer"}), "retry"),
        ):
            sign_in = self.begin()
            self.entra.script = [answer]
            problem = self.refused(sign_in.finish, self.answer(sign_in), self.store)
            self.assertEqual(problem.reaction, reaction)
            self.assertNotIn("AT-leaked", str(problem))
        self.assertEqual(self.store.kept, {})

    def test_too_late(self) -> None:
        """After fifteen minutes the answer is not taken any more."""
        sign_in = self.begin()
        later = time.monotonic() + 901
        with mock.patch("m365gw.relay.tokens.web_sign_in.time.monotonic", return_value=later):
            problem = self.refused(sign_in.finish, self.answer(sign_in), self.store)
        self.assertEqual(problem.diagnosis.key, "signin-code-expired")

    def test_no_code(self) -> None:
        """An answer with neither code nor error is told apart."""
        sign_in = self.begin()
        problem = self.refused(sign_in.finish, {"state": sign_in.state}, self.store)
        self.assertEqual(problem.diagnosis.key, "signin-no-code")

    def test_answer_that_lacks_fields(self) -> None:
        """Without id token nobody knows whose it is, without refresh token it would not last."""
        for lacking, key in (
            ("id_token", "signin-incomplete"),
            ("refresh_token", "no-refresh-token"),
        ):
            sign_in = self.begin()
            self.entra.lacking = (lacking,)
            problem = self.refused(sign_in.finish, self.answer(sign_in), self.store)
            self.assertEqual(problem.diagnosis.key, key)
        self.assertEqual(self.store.kept, {})

    def test_no_network_at_the_beginning(self) -> None:
        """Entra's addresses are asked for; when that fails it is temporary."""
        self.entra.discovery = OFFLINE
        problem = self.refused(WebSignIn.begin, BOX, CLOUD, self.entra.session, HERE)
        self.assertEqual(problem.reaction, "retry")
