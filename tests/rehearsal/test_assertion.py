"""Tests of signed assertions."""

from __future__ import annotations

from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from m365gw.rehearsal.assertion import TYPE, thumbprint
from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import (
    APP_ID,
    TENANT_ID,
)
from tests.rehearsal.dialogue import NOW
from tests.rehearsal.sign_in import BEGINS, DEFAULT, EntraCase


class AssertionTests(EntraCase):
    """Signed assertions instead of secrets."""

    key, pem = app_certificate("gateway", BEGINS)
    other_key, other_pem = app_certificate("somebody else", BEGINS)

    def setUp(self) -> None:
        super().setUp()
        self.tenant.register_certificate(APP_ID, self.pem)

    def ask(
        self, key: bytes = key, pem: bytes = pem, alg: str = "PS256", **claims: Any
    ) -> dict[str, Any]:
        """Client credentials with an assertion; claims may be changed."""
        certificate = x509.load_pem_x509_certificate(pem)
        header = {"x5t#S256": thumbprint(certificate, hashes.SHA256())}
        if alg == "RS256":
            header = {"x5t": thumbprint(certificate, hashes.SHA1())}
        payload = {
            "aud": f"https://127.0.0.1:1/{TENANT_ID}/oauth2/v2.0/token",
            "iss": APP_ID,
            "sub": APP_ID,
            "exp": NOW + 600,
            "nbf": NOW,
            "jti": "1",
        }
        assertion = jwt.encode(payload | claims, key, alg, header)
        form = {
            "client_id": APP_ID,
            "grant_type": "client_credentials",
            "client_assertion_type": TYPE,
            "client_assertion": assertion,
            "scope": DEFAULT,
        }
        return self.entra.token(TENANT_ID, form)

    def test_both_algorithms_are_taken(self) -> None:
        """PS256 with x5t#S256 and RS256 with x5t, as MSAL makes them."""
        for alg in ("PS256", "RS256"):
            self.assertIn("access_token", self.ask(alg=alg))

    def test_unknown_certificate(self) -> None:
        """A certificate that was not uploaded, or its name with another key."""
        self.assert_declined(700027, self.ask, self.other_key, self.other_pem)
        self.assert_declined(700027, self.ask, self.other_key, self.pem)

    def test_wrong_claims(self) -> None:
        """Audience, issuer, subject and time are looked at."""
        self.assert_declined(700023, self.ask, aud="https://127.0.0.1:1/token")
        self.assert_declined(700027, self.ask, iss="somebody")
        self.assert_declined(700027, self.ask, sub="somebody")
        self.assert_declined(700024, self.ask, exp=NOW - 301)
        self.assert_declined(700024, self.ask, nbf=NOW + 301)
        self.assertIn("access_token", self.ask(exp=NOW - 299))

    def test_expired_certificate(self) -> None:
        """A registration ends with its certificate."""
        self.clock.advance(366 * 86400)
        now = self.clock.seconds()
        self.assert_declined(700027, self.ask, exp=now + 600, nbf=now)

    def test_unsigned_and_garbage(self) -> None:
        """What is no signed assertion proves nothing."""
        header = {"x5t#S256": "x", "alg": "none"}
        unsigned = jwt.encode({"iss": APP_ID}, "", "none", header)
        for assertion in (unsigned, "garbage", "a.b.c"):
            form = {
                "client_id": APP_ID,
                "grant_type": "client_credentials",
                "client_assertion_type": TYPE,
                "client_assertion": assertion,
                "scope": DEFAULT,
            }
            self.assert_declined(700027, self.entra.token, TENANT_ID, form)
