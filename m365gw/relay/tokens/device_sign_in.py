"""Signing in by device code: a person opens a page anywhere and enters the code shown here.

Each poll asks Entra once and returns at once; whoever started the sign-in decides when to poll
again. A sign-in is stored, sealed, only when it was done as the account it is for. The app must be
a public client; many tenants block this flow by policy, so `web_sign_in` is the other way.

All calls block. Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msal
from attrs import define, field

from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.relay.tokens.applications import OpenSession, SecretStore, make_application
from m365gw.relay.tokens.failures import Translated, granted, unavailable
from m365gw.relay.tokens.https import Fault, HttpsClient, fault_of
from m365gw.relay.tokens.sign_in import keep_sign_in

PENDING: Final = ("authorization_pending", "slow_down")


@define
class DeviceSignIn:
    """A sign-in under way: what the operator is told, and the state of it.

    `interval` is the least number of seconds between two polls; `expires_in` is how many the code
    lives from its making.
    """

    user_code: str
    verification_uri: str
    message: str
    expires_in: float
    _mailbox: Mailbox
    _flow: dict[str, Any] = field(repr=False)  # holds the device code
    _made: tuple[Any, HttpsClient] = field(repr=False)
    _began_at: float = field(factory=time.monotonic)
    _next_poll: float = 0.0  # monotonic

    @property
    def interval(self) -> float:
        """Seconds between two polls, as Entra wants them (RFC 8628 3.2)."""
        return float(self._flow.get("interval", 5))

    @classmethod
    def begin(cls, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession) -> DeviceSignIn:
        """Ask Entra for a code. Raises `TokenUnavailable`."""
        cache = msal.SerializableTokenCache()
        app, client = make_application(mailbox, cloud, open_session, cache=cache)
        with Translated(client, mailbox):
            flow = app.initiate_device_flow([cloud.person_scope(mailbox.exit)])
            if "user_code" not in flow:
                raise unavailable(fault_of(client.last, flow), mailbox)
        return cls(
            user_code=str(flow["user_code"]),
            verification_uri=str(flow.get("verification_uri", "")),
            message=str(flow.get("message", "")),
            expires_in=float(flow.get("expires_in", 1800)),
            mailbox=mailbox,
            flow=flow,
            made=(app, client),
        )

    def poll(self, vault: SecretStore) -> bool:
        """Ask once whether the person has signed in. True: yes, and it is stored.

        Called sooner than `interval` after the last time it asks nobody and says no. Raises
        `TokenUnavailable` when it was declined, took too long, or was the wrong account;
        then nothing is stored and the sign-in is over.
        """
        app, client = self._made
        now = time.monotonic()
        if now >= self._began_at + self.expires_in:
            raise unavailable(Fault(400, "expired_token"), self._mailbox)
        if now < self._next_poll:
            return False
        with Translated(client, self._mailbox):
            answer = app.acquire_token_by_device_flow(self._flow, exit_condition=lambda _: True)
        self._next_poll = now + self.interval
        if answer.get("error") in PENDING:
            return False
        granted(answer, self._mailbox)
        keep_sign_in(app, answer, self._mailbox, vault)
        client.close()
        return True
