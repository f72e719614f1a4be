"""Tests of the pretend Entra: grants, errors, device codes, revocation. No sockets."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import jwt
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.aadsts import ERRORS, Declined, error_body
from m365gw.rehearsal.assertion import TYPE, thumbprint
from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.device import DeviceCodes
from m365gw.rehearsal.entra import DEVICE_GRANT, Entra
from m365gw.rehearsal.tenant import (
    APP_ID,
    APP_SECRET,
    PUBLIC_APP_ID,
    TENANT_ID,
    Secret,
    default_tenant,
)
from m365gw.rehearsal.tokens import Tokens
from tests.rehearsal.dialogue import NOW, OFFICE

DEFAULT = f"{OFFICE}/.default"
BEGINS = datetime.fromtimestamp(NOW - 3600, UTC)
SMTP = "https://outlook.office.com/SMTP.Send"
ALL = f"{SMTP} offline_access openid profile"


class EntraCase(SynchronousTestCase):
    """An Entra with a clock, and short ways to ask it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.tenant = default_tenant()
        self.tokens = Tokens(self.tenant, self.clock)
        self.entra = Entra(
            tenant=self.tenant,
            tokens=self.tokens,
            devices=DeviceCodes(self.tenant, self.clock),
            clock=self.clock,
            base="https://127.0.0.1:1",
        )

    def secret(self, **changes: str) -> dict[str, Any]:
        """Client credentials with the secret, with other fields on wish."""
        form = {
            "client_id": APP_ID,
            "grant_type": "client_credentials",
            "client_secret": APP_SECRET,
            "scope": DEFAULT,
        }
        return self.entra.token(TENANT_ID, form | changes)

    def poll(self, device_code: str) -> dict[str, Any]:
        """One poll of the device flow, as MSAL does it."""
        form = {
            "client_id": PUBLIC_APP_ID,
            "grant_type": DEVICE_GRANT,
            "client_info": "1",
            "device_code": device_code,
            "code": device_code,
        }
        return self.entra.token(TENANT_ID, form)

    def signed_in(self, user: str = "alice@contoso.example") -> dict[str, Any]:
        """The answer of a device flow that somebody has approved."""
        flow = self.entra.device_code(TENANT_ID, {"client_id": PUBLIC_APP_ID, "scope": ALL})
        self.entra.devices.approve(flow["user_code"], user)
        return self.poll(flow["device_code"])

    def refresh(self, token: str, **changes: str) -> dict[str, Any]:
        """A refresh."""
        form = {
            "client_id": PUBLIC_APP_ID,
            "grant_type": "refresh_token",
            "client_info": "1",
            "refresh_token": token,
            "scope": ALL,
        }
        return self.entra.token(TENANT_ID, form | changes)

    def assert_declined(self, number: int, call: Any, *args: Any, **kw: Any) -> Declined:
        """The call is declined with this number."""
        declined: Declined = self.assertRaises(Declined, call, *args, **kw)
        self.assertEqual(declined.number, number)
        return declined


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


class DeviceTests(EntraCase):
    """The device code flow."""

    def begin(self) -> dict[str, Any]:
        """A flow that has begun."""
        return self.entra.device_code(TENANT_ID, {"client_id": PUBLIC_APP_ID, "scope": ALL})

    def test_answer_of_the_beginning(self) -> None:
        """All fields of RFC 8628, and words that name page, code and rehearsal."""
        flow = self.begin()
        self.assertEqual((flow["expires_in"], flow["interval"]), (900, 5))
        for part in (flow["user_code"], flow["verification_uri"], "rehearsal"):
            self.assertIn(part, flow["message"])

    def test_pending_slow_down_approved(self) -> None:
        """Polling on time is pending, too fast is slowed down, and approval works once."""
        flow = self.begin()
        code = flow["device_code"]
        self.assertEqual(
            self.assert_declined(70016, self.poll, code).error, "authorization_pending"
        )
        self.assertEqual(self.assert_declined(70016, self.poll, code).error, "slow_down")
        self.clock.advance(5)
        self.assertEqual(self.assert_declined(70016, self.poll, code).error, "slow_down")
        self.clock.advance(15)
        self.assertEqual(
            self.assert_declined(70016, self.poll, code).error, "authorization_pending"
        )
        self.entra.devices.approve(flow["user_code"].lower(), "ALICE@contoso.example")
        self.assertIn("refresh_token", self.poll(code))
        self.assert_declined(70018, self.poll, code)

    def test_declined_expired_unknown(self) -> None:
        """The three bad ends."""
        flow = self.begin()
        self.entra.devices.decline(flow["user_code"])
        declined = self.assert_declined(65004, self.poll, flow["device_code"])
        self.assertEqual(declined.error, "authorization_declined")
        flow = self.begin()
        self.clock.advance(900)
        self.assertEqual(
            self.assert_declined(70020, self.poll, flow["device_code"]).error, "expired_token"
        )
        self.assertRaises(KeyError, self.entra.devices.approve, flow["user_code"], "alice@x")
        self.assert_declined(70018, self.poll, "unknown")

    def test_policy_and_disabled_user(self) -> None:
        """The person said yes, but may not."""
        flow = self.begin()
        self.tenant.change_user("alice@contoso.example", enabled=False)
        self.entra.devices.approve(flow["user_code"], "alice@contoso.example")
        self.assert_declined(50057, self.poll, flow["device_code"])
        self.tenant.device_flow_blocked = True
        flow = self.begin()
        self.entra.devices.approve(flow["user_code"], "relay@contoso.example")
        self.assert_declined(53003, self.poll, flow["device_code"])

    def test_confidential_app_must_prove_itself(self) -> None:
        """ "Allow public client flows" is off for it."""
        self.tenant.change_app(PUBLIC_APP_ID, public=False)
        self.assert_declined(7000218, self.poll, self.begin()["device_code"])

    def test_user_answer_has_what_msal_needs(self) -> None:
        """scope as granted, client_info, id_token with the user's name."""
        answer = self.signed_in()
        self.assertEqual(answer["scope"], SMTP)
        info = json.loads(base64.urlsafe_b64decode(answer["client_info"] + "=="))
        self.assertEqual(info["utid"], TENANT_ID)
        claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
        self.assertEqual(claims["preferred_username"], "alice@contoso.example")
        self.assertEqual(claims["oid"], info["uid"])

    def test_scopes_need_consent_and_one_resource(self) -> None:
        """What the app may not, what is unknown, what is mixed."""
        for number, scope in (
            (65001, "https://outlook.office.com/IMAP.AccessAsUser.All"),
            (500011, "https://example.com/SMTP.Send"),
            (28002, f"{SMTP} https://graph.microsoft.com/Mail.Send"),
            (70011, "openid"),
        ):
            form = {"client_id": PUBLIC_APP_ID, "scope": scope}
            self.assert_declined(number, self.entra.device_code, TENANT_ID, form)


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


class ErrorTests(SynchronousTestCase):
    """The JSON of errors."""

    def test_every_error_has_its_fields(self) -> None:
        """Error, description with number, trace and time, list of numbers."""
        for number in ERRORS:
            body = error_body(Declined(number), NOW, "correlation")
            self.assertTrue(body["error_description"].startswith(f"AADSTS{number}: "))
            self.assertEqual(body["error_codes"], [number])
            self.assertEqual(body["correlation_id"], "correlation")
            self.assertIn("rehearsal", body["error_description"])
