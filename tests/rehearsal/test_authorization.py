"""Tests of the pretend Entra's authorization endpoint, and of what proves an app there."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from m365gw.microsoft.entra import ROWS
from m365gw.rehearsal.aadsts import ERRORS
from m365gw.rehearsal.authorization import Asked, is_registered, read_request
from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import (
    APP_ID,
    APP_SECRET,
    PUBLIC_APP_ID,
    TENANT_ID,
    WEB_APP_ID,
    App,
    Federation,
    User,
)
from tests.rehearsal.dialogue import NOW
from tests.rehearsal.sign_in import ALL, DEFAULT, SMTP, EntraCase

ALICE = "alice@contoso.example"
JOE = "joe@outlook.example"
HERE = "http://localhost:8400"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)


class CodeCase(EntraCase):
    """Short ways to a code and its tokens."""

    def asked(self, path: str = TENANT_ID, client_id: str = PUBLIC_APP_ID, **more: str) -> Asked:
        query = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": HERE,
            "scope": ALL,
            "nonce": "n1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return read_request(self.entra.app_for_user(path, query), path, query | more)

    def code(self, user: str = ALICE, path: str = TENANT_ID, **more: str) -> str:
        return self.entra.codes.answer(self.asked(path, **more), user, consents=True)["code"]

    def redeem(self, code: str, path: str = TENANT_ID, **changes: str) -> dict[str, Any]:
        form = {
            "client_id": PUBLIC_APP_ID,
            "grant_type": "authorization_code",
            "client_info": "1",
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": HERE,
            "scope": ALL,
        }
        return self.entra.token(path, form | changes)


class AuthorizationTests(CodeCase):
    """Codes."""

    def test_code_for_tokens(self) -> None:
        """The user's tokens come with the nonce of the request."""
        answer = self.redeem(self.code())
        claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
        self.assertEqual((claims["nonce"], claims["preferred_username"]), ("n1", ALICE))
        grant = self.tokens.grant(answer["access_token"])
        assert grant is not None
        self.assertEqual(grant.user, ALICE)
        self.refresh(answer["refresh_token"])

    def test_code_works_once(self) -> None:
        """54005 the second time."""
        code = self.code()
        self.redeem(code)
        self.assert_declined(54005, self.redeem, code)

    def test_code_lives_ten_minutes(self) -> None:
        """70008 afterwards; 70000 for one that never was."""
        code = self.code()
        self.clock.advance(600)
        self.assert_declined(70008, self.redeem, code)
        self.assert_declined(70000, self.redeem, "made up")

    def test_verifier(self) -> None:
        """501481 for a wrong or a missing one, and the code is not used up by that."""
        code = self.code()
        for wrong in ("", "w" * 43):
            self.assert_declined(501481, self.redeem, code, code_verifier=wrong)
        self.redeem(code)
        self.assert_declined(90014, self.asked, code_challenge_method="plain")

    def test_redirect_address(self) -> None:
        """Letter by letter, but for the port of localhost; the same again with the code."""
        web = self.tenant.apps[WEB_APP_ID]
        for good in ("http://localhost", "http://localhost:1", "http://localhost:9/"):
            self.assertTrue(is_registered(web, good))
        callback = "https://relay.example.com/auth/callback"
        self.assertTrue(is_registered(web, callback))
        for bad in (
            "",
            "http://127.0.0.1:1",
            "http://localhost/x",
            "https://localhost",
            callback + "/",
            callback + "?x",
            "http://localhost.evil.example",
            "http://[",
        ):
            self.assertFalse(is_registered(web, bad), bad)
        self.assert_declined(50011, self.asked, redirect_uri="https://evil.example")
        self.assert_declined(50011, self.redeem, self.code(), redirect_uri="http://localhost:1")

    def test_users_that_cannot_sign_in(self) -> None:
        """Unknown, disabled, one who says no, an app that needs an administrator."""
        answer = self.entra.codes.answer
        self.assert_declined(50034, answer, self.asked(), "nobody@x", consents=True)
        self.assert_declined(65004, answer, self.asked(), ALICE, consents=False)
        self.tenant.change_user(ALICE, enabled=False)
        self.assert_declined(50057, answer, self.asked(), ALICE, consents=True)
        self.tenant.change_user(ALICE, enabled=True)
        self.tenant.change_app(PUBLIC_APP_ID, consent="admin")
        declined = self.assert_declined(90094, answer, self.asked(), ALICE, consents=True)
        self.assertEqual(declined.error, "access_denied")

    def test_consent(self) -> None:
        """Without it there are no tokens; by signing in a user gives it."""
        session = self.redeem(self.code())["refresh_token"]
        self.tenant.change_app(PUBLIC_APP_ID, consent="user")
        self.assert_declined(65001, self.refresh, session)
        self.redeem(self.code())
        self.refresh(session)

    def test_confidential_app(self) -> None:
        """It must prove itself at the token endpoint; a public one must not."""
        code = self.code(client_id=WEB_APP_ID)
        self.assert_declined(7000218, self.redeem, code, client_id=WEB_APP_ID)
        self.assert_declined(
            7000215, self.redeem, code, client_id=WEB_APP_ID, client_secret="wrong"
        )
        self.redeem(code, client_id=WEB_APP_ID, client_secret=APP_SECRET)
        self.assert_declined(700025, self.redeem, self.code(), client_secret=APP_SECRET)

    def test_code_of_another_app(self) -> None:
        """A code belongs to the app that asked."""
        code = self.code()
        self.assert_declined(
            70000, self.redeem, code, client_id=WEB_APP_ID, client_secret=APP_SECRET
        )

    def test_personal_accounts(self) -> None:
        """They sign in at consumers only, to apps that take them, and their tokens are opaque."""
        self.tenant.users[JOE] = User(name=JOE, personal=True)
        answer = self.redeem(self.code(JOE, "consumers"), "consumers")
        self.assertNotIn(".", answer["access_token"])
        self.assertIsNotNone(self.tokens.grant(answer["access_token"]))
        choose = self.entra.codes.answer
        self.assert_declined(50020, choose, self.asked(), JOE, consents=True)
        self.assert_declined(50020, choose, self.asked("consumers"), ALICE, consents=True)
        self.assert_declined(9002332, self.asked, "consumers", WEB_APP_ID)

    def test_renamed_user(self) -> None:
        """Sessions and the mailbox go with the user; the name in answers is the new one."""
        session = self.redeem(self.code())["refresh_token"]
        before = self.tenant.users[ALICE].object_id
        self.tenant.rename_user(ALICE, "al@contoso.example")
        self.tokens.rename(ALICE, "al@contoso.example")
        answer = self.refresh(session)
        claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
        self.assertEqual(
            (claims["preferred_username"], claims["oid"]), ("al@contoso.example", before)
        )
        self.assertTrue(self.tenant.users["al@contoso.example"].owns(ALICE))

    def test_deleted_user(self) -> None:
        """Sessions of somebody who is gone are worth nothing."""
        session = self.redeem(self.code())["refresh_token"]
        del self.tenant.users[ALICE]
        self.assert_declined(50034, self.refresh, session)

    def test_every_error_of_the_tables_can_be_ordered(self) -> None:
        """The gateway's tables know no AADSTS number that the rehearsal could not say."""
        known = {code for row in ROWS for code in row.codes}
        self.assertEqual(known - set(ERRORS), set())


class FederatedTests(EntraCase):
    """Tokens of other issuers as proof."""

    def setUp(self) -> None:
        super().setUp()
        self.private, certificate = app_certificate("issuer")
        key = x509.load_pem_x509_certificate(certificate).public_key()
        public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.tenant.change_app(
            APP_ID, federations=(Federation(issuer="https://i", subject="s", key=public),)
        )

    def ask(self, private: bytes = b"", **changes: Any) -> Any:
        claims = {
            "iss": "https://i",
            "sub": "s",
            "aud": "api://AzureADTokenExchange",
            "nbf": NOW,
            "exp": NOW + 600,
            **changes,
        }
        form = {
            "client_id": APP_ID,
            "grant_type": "client_credentials",
            "scope": DEFAULT,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, private or self.private, "RS256"),
        }
        return self.entra.token(TENANT_ID, form)

    def test_known(self) -> None:
        """Issuer, subject, audience and signature fit: there is a token."""
        self.assertIn("access_token", self.ask())

    def test_unknown(self) -> None:
        """Each thing that does not fit has its number."""
        self.assert_declined(700211, self.ask, iss="https://other")
        self.assert_declined(700213, self.ask, sub="other")
        self.assert_declined(700212, self.ask, aud="other")
        self.assert_declined(700024, self.ask, nbf=NOW - 7200, exp=NOW - 3600)
        self.assert_declined(50013, self.ask, app_certificate("forger")[0])
        self.tenant.change_app(APP_ID, federations=())
        self.assert_declined(70021, self.ask)

    def test_app_of_its_own(self) -> None:
        """What the fields of an app are when nothing is said."""
        self.assertEqual(App(client_id="x").redirect_uris, ())
        self.assertIn(SMTP.rpartition("/")[2], App(client_id="x").scopes)
