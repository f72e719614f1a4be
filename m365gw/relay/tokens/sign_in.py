"""Signing in by device code: a person opens a page anywhere and enters the code shown here.

Each poll asks Entra once and returns at once; whoever started the sign-in decides when to poll
again. A sign-in is stored, sealed, only when it was done as the mailbox it is for.

All calls block. Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msal
from attrs import define, field

from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.flows import (
    OpenSession,
    TokenUnavailable,
    Translated,
    granted,
    unavailable,
)
from m365gw.relay.tokens.https import Fault, HttpsClient, fault_of
from m365gw.relay.tokens.user_flow import SecretStore, account_of, make_user_app, store_sign_in

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
        return float(self._flow.get("interval", 5))

    @classmethod
    def begin(cls, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession) -> DeviceSignIn:
        """Ask Entra for a code. Raises `TokenUnavailable`."""
        app, client = make_user_app(mailbox, cloud, open_session, msal.SerializableTokenCache())
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
        if account_of(app, self._mailbox) is None:
            raise wrong_account(self._mailbox, answer.get("id_token_claims") or {})
        store_sign_in(vault, self._mailbox, app.token_cache.serialize().encode())
        client.close()
        return True


def wrong_account(mailbox: Mailbox, claims: Mapping[str, Any]) -> TokenUnavailable:
    """Somebody signed in, but as somebody else."""
    who = str(claims.get("preferred_username") or "another account")[:256]
    return TokenUnavailable(
        "login",
        Diagnosis(
            "wrong-account",
            f"The sign-in for {mailbox.address} was done as {who}; it was not stored.",
            "A mailbox sends with the sign-in of its own account only.",
            f"Sign in again, as {mailbox.address}: m365gw mailbox signin {mailbox.address}",
            "mailbox-user",
        ),
    )
