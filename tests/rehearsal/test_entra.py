"""Tests of the pretend Entra: metadata, client credentials, refresh, revocation. No sockets."""

from __future__ import annotations

import jwt
from attrs import evolve

from m365gw.rehearsal.aadsts import error_body
from m365gw.rehearsal.tenant import (
    APP_ID,
    APP_SECRET,
    PUBLIC_APP_ID,
    TENANT_ID,
    Secret,
)
from tests.rehearsal.dialogue import NOW, OFFICE
from tests.rehearsal.sign_in import DEFAULT, EntraCase


class DiscoveryTests(EntraCase):
    """Metadata."""

    def test_endpoints_carry_the_tenant_id(self) -> None:
        """Asked by domain, the metadata answers with the id, as Entra does."""
        metadata = self.entra.discovery("contoso.example")
        wanted = f"https://127.0.0.1:1/{TENANT_ID}/oauth2/v2.0/token"
        self.assertEqual(metadata["token_endpoint"], wanted)
        self.assertIn("rehearsal", metadata["issuer"])

    def test_unknown_tenant(self) -> None:
        """AADSTS90002."""
        self.assert_declined(90002, self.entra.discovery, "fabrikam.example")


class ClientCredentialTests(EntraCase):
    """Apps that sign in as themselves."""

    def test_token_says_that_it_is_a_rehearsal(self) -> None:
        """Issuer and a claim of their own; long as a real one; no user fields in the answer."""
        answer = self.secret()
        claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
        self.assertIn("m365gw-rehearsal", claims["iss"])
        self.assertIn("not Microsoft", claims["rehearsal"])
        self.assertEqual((claims["aud"], claims["roles"]), (OFFICE, ["SMTP.SendAsApp"]))
        self.assertGreaterEqual(len(answer["access_token"]), 1800)
        self.assertEqual(
            set(answer), {"token_type", "expires_in", "ext_expires_in", "access_token"}
        )

    def test_token_without_permission_is_issued(self) -> None:
        """It has no roles claim; only the mailbox will refuse it."""
        self.tenant.change_app(APP_ID, roles=frozenset())
        claims = jwt.decode(self.secret()["access_token"], options={"verify_signature": False})
        self.assertNotIn("roles", claims)

    def test_wrong_requests(self) -> None:
        """Each mistake has its number."""
        for number, changes in (
            (7000215, {"client_secret": "wrong"}),
            (7000218, {"client_secret": ""}),
            (700016, {"client_id": "unknown"}),
            (90014, {"client_id": ""}),
            (70003, {"grant_type": "password"}),
            (90014, {"grant_type": ""}),
            (70011, {"scope": f"{DEFAULT} https://graph.microsoft.com/.default"}),
            (1002012, {"scope": f"{OFFICE}/SMTP.Send"}),
            (500011, {"scope": "https://example.com/.default"}),
            (7000218, {"client_id": PUBLIC_APP_ID}),
        ):
            self.assert_declined(number, self.secret, **changes)

    def test_expired_secret(self) -> None:
        """A secret ends on its day."""
        self.tenant.change_app(APP_ID, secrets=(Secret(value=APP_SECRET, ends=NOW + 10),))
        self.secret()
        self.clock.advance(10)
        declined = self.assert_declined(7000222, self.secret)
        self.assertEqual((declined.error, declined.status), ("invalid_client", 401))

    def test_disabled_app(self) -> None:
        """An admin has switched it off."""
        self.tenant.change_app(APP_ID, enabled=False)
        self.assert_declined(7000112, self.secret)

    def test_tenant_must_be_named(self) -> None:
        """An app cannot sign in to "common"."""
        form = {
            "client_id": APP_ID,
            "grant_type": "client_credentials",
            "client_secret": APP_SECRET,
            "scope": DEFAULT,
        }
        self.assert_declined(50059, self.entra.token, "common", form)


class RefreshTests(EntraCase):
    """Refresh tokens."""

    def test_each_use_gives_a_new_one(self) -> None:
        """The old one still works, unless it is switched otherwise."""
        first = self.signed_in()["refresh_token"]
        second = self.refresh(first)["refresh_token"]
        self.assertNotEqual(first, second)
        self.refresh(first)
        self.tenant.refresh_tokens_once = True
        self.refresh(second)
        self.assert_declined(50173, self.refresh, second)

    def test_revocation(self) -> None:
        """Refresh tokens of the user die, access tokens live on, other users are not touched."""
        answer, other = self.signed_in(), self.signed_in("relay@contoso.example")
        self.assertEqual(self.tokens.revoke_sessions("Alice@contoso.example"), 1)
        declined = self.assert_declined(50173, self.refresh, answer["refresh_token"])
        body = error_body(declined, NOW)
        self.assertEqual((body["error"], body["suberror"]), ("invalid_grant", "bad_token"))
        self.assertIsNotNone(self.tokens.grant(answer["access_token"]))
        self.refresh(other["refresh_token"])

    def test_unused_for_ninety_days(self) -> None:
        """AADSTS700082."""
        token = self.signed_in()["refresh_token"]
        self.clock.advance(90 * 86400)
        self.assert_declined(700082, self.refresh, token)

    def test_other_app_and_garbage(self) -> None:
        """A refresh token belongs to its app."""
        token = self.signed_in()["refresh_token"]
        self.tenant.apps["other"] = evolve(self.tenant.apps[PUBLIC_APP_ID], client_id="other")
        self.assert_declined(70000, self.refresh, token, client_id="other")
        self.assert_declined(70000, self.refresh, "garbage")

    def test_disabled_and_deleted_users(self) -> None:
        """They sign in no more."""
        token = self.signed_in()["refresh_token"]
        self.tenant.change_user("alice@contoso.example", enabled=False)
        self.assert_declined(50057, self.refresh, token)
        del self.tenant.users["alice@contoso.example"]
        self.assert_declined(50034, self.refresh, token)

    def test_public_app_sends_no_secret(self) -> None:
        """AADSTS700025."""
        token = self.signed_in()["refresh_token"]
        self.assert_declined(700025, self.refresh, token, client_secret="x")
