"""A mailbox of flow device, for the tests of sign-in and of its tokens."""

from __future__ import annotations

import json
import time
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.tokens.device_sign_in import DeviceSignIn
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.sign_in import vault_name
from m365gw.relay.tokens.user_flow import UserFlow
from tests.relay.entra import (
    CLOUD,
    Entra,
    Store,
    mailbox,
)

MAILBOX = mailbox(flow="device", client_secret="")


class SignedInCase(SynchronousTestCase):
    """A mailbox of flow device, Entra and a vault."""

    def setUp(self) -> None:
        self.entra = Entra()
        self.store = Store()
        self.flow = UserFlow(MAILBOX, CLOUD, self.entra.session, self.store)

    def sign_in(self) -> None:
        """Somebody signs in."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        self.assertTrue(sign_in.poll(self.store))

    def stored(self) -> dict[str, Any]:
        """MSAL's cache as it lies in the vault."""
        cache: dict[str, Any] = json.loads(self.store.kept[vault_name(MAILBOX)])
        return cache

    def refresh_tokens(self) -> list[str]:
        return [each["secret"] for each in self.stored()["RefreshToken"].values()]

    def later(self, seconds: float) -> Any:
        """As long as this is entered, so many seconds have passed."""
        now = time.monotonic() + seconds
        return mock.patch("m365gw.relay.tokens.device_sign_in.time.monotonic", return_value=now)

    def refused(self, function: Any, *arguments: Any, **keywords: Any) -> TokenUnavailable:
        problem = self.assertRaises(TokenUnavailable, function, *arguments, **keywords)
        assert isinstance(problem, TokenUnavailable)
        return problem
