"""A pretend Entra without sockets, for the tests of this room."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.aadsts import Declined
from m365gw.rehearsal.device import DeviceCodes
from m365gw.rehearsal.entra import DEVICE_GRANT, Entra
from m365gw.rehearsal.tenant import (
    APP_ID,
    APP_SECRET,
    PUBLIC_APP_ID,
    TENANT_ID,
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
