"""Tests of the device code flow."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt

from m365gw.rehearsal.tenant import (
    PUBLIC_APP_ID,
    TENANT_ID,
)
from tests.rehearsal.sign_in import ALL, SMTP, EntraCase


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
