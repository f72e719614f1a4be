"""Tokens of mailboxes a person signed in for, by the refresh token that was kept from then on.

What MSAL knows about such a mailbox (the refresh token above all) lies sealed in the vault under
one name, is stored whenever it changed and before the new access token is used, and is read again
when somebody else stored it. No error ever deletes it: only a new sign-in replaces it.

All calls block. Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msal
import requests
from msal.exceptions import MsalServiceError

from m365gw.config.settings import Mailbox
from m365gw.directory.vault import VaultError
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.flows import (
    Grant,
    OpenSession,
    TokenUnavailable,
    Translated,
    granted,
    misconfigured,
    open_client,
    unavailable,
)
from m365gw.relay.tokens.https import Fault, HttpsClient

# With these MSAL gives out a stored token that is still good when Entra is not well; of itself it
# does so only for the first kind.
TOLERATED: Final = (requests.RequestException, MsalServiceError, ValueError)


class SecretStore(Protocol):
    """Where sign-ins lie sealed (`directory.vault.Vault`)."""

    def load(self, name: str) -> bytes | None: ...

    def store(self, name: str, secret: bytes) -> None: ...


def vault_name(mailbox: Mailbox) -> str:
    """Under which name the sign-in of a mailbox is kept."""
    return f"sign-in {mailbox.address.casefold()}"


class UserFlow:
    """A mailbox somebody signed in for: its tokens by refresh token (flow device)."""

    def __init__(
        self, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession, vault: SecretStore
    ) -> None:
        self._mailbox = mailbox
        self._cloud = cloud
        self._open_session = open_session
        self._vault = vault
        self._stored: bytes | None = None  # what the vault holds, as far as we know
        self._made: tuple[Any, HttpsClient] | None = None

    def acquire(self, *, fresh: bool) -> Grant:
        """A token of the signed-in user. Raises `TokenUnavailable`."""
        try:
            return self._acquire(fresh)
        except TokenUnavailable:
            self._close()
            raise

    def has_new_sign_in(self) -> bool:
        """Whether somebody has signed in since the last time a token was asked for."""
        try:
            stored = load_sign_in(self._vault, self._mailbox)
        except TokenUnavailable:
            return False
        return stored != self._stored

    def _acquire(self, fresh: bool) -> Grant:
        stored = load_sign_in(self._vault, self._mailbox)
        if stored != self._stored:
            self._close()
        if self._made is None:
            self._made = self._make(stored)
        app, client = self._made
        try:
            with Translated(client, self._mailbox):
                account = account_of(app, self._mailbox)
                if account is None:
                    raise unavailable(Fault(400, "interaction_required"), self._mailbox)
                answer = app.acquire_token_silent_with_error(
                    [self._cloud.person_scope(self._mailbox.exit)],
                    account,
                    force_refresh=fresh,
                    http_exceptions=TOLERATED,
                )
        finally:
            self._save(app.token_cache)
        return granted(answer, self._mailbox)

    def _make(self, stored: bytes) -> tuple[Any, HttpsClient]:
        self._stored = stored
        return make_user_app(
            self._mailbox, self._cloud, self._open_session, opened_cache(self._mailbox, stored)
        )

    def _save(self, cache: Any) -> None:
        if cache.has_state_changed:
            secret = cache.serialize().encode()
            cache.has_state_changed = True  # until it is stored
            store_sign_in(self._vault, self._mailbox, secret)
            cache.has_state_changed = False
            self._stored = secret

    def _close(self) -> None:
        if self._made is not None:
            self._made[1].close()
            self._made = None


def make_user_app(
    mailbox: Mailbox, cloud: Cloud, open_session: OpenSession, cache: Any
) -> tuple[Any, HttpsClient]:
    """MSAL's application for a public client, and how it reaches Entra."""
    client = open_client(cloud, open_session)
    with Translated(client, mailbox):
        app = msal.PublicClientApplication(
            mailbox.client_id,
            authority=cloud.authority_of(mailbox.tenant),
            instance_discovery=False,  # our own configuration says who the authority is
            token_cache=cache,
            http_client=client,
        )
    return app, client


def account_of(app: Any, mailbox: Mailbox) -> Mapping[str, Any] | None:
    """The signed-in account that is this mailbox, or None."""
    wanted = mailbox.address.casefold()
    accounts: list[Mapping[str, Any]] = app.get_accounts()
    return next((each for each in accounts if each["username"].casefold() == wanted), None)


def opened_cache(mailbox: Mailbox, stored: bytes) -> Any:
    """MSAL's cache as it was stored."""
    cache = msal.SerializableTokenCache()
    try:
        cache.deserialize(stored.decode())
    except ValueError:  # JSON or UTF-8
        raise misconfigured(
            "sign-in-damaged",
            f"The stored sign-in of {mailbox.address} cannot be read.",
            "It opened with the right key, but what is in it is no sign-in.",
            f"Sign in again: m365gw mailbox signin {mailbox.address}",
        ) from None
    return cache


def load_sign_in(vault: SecretStore, mailbox: Mailbox) -> bytes:
    """The stored sign-in. Raises `TokenUnavailable`, also when nobody has signed in yet."""
    try:
        stored = vault.load(vault_name(mailbox))
    except VaultError as problem:
        raise sealed_away(mailbox, problem) from None
    if stored is None:
        raise TokenUnavailable(
            "login",
            Diagnosis(
                "not-signed-in",
                f"Nobody has signed in for {mailbox.address} yet.",
                "Its flow is device: a person signs in once, in a browser.",
                f"Sign in: m365gw mailbox signin {mailbox.address}",
                "mailbox-user",
            ),
        )
    return stored


def store_sign_in(vault: SecretStore, mailbox: Mailbox, secret: bytes) -> None:
    """Keep a sign-in; it is on disk when this returns."""
    try:
        vault.store(vault_name(mailbox), secret)
    except VaultError as problem:
        raise sealed_away(mailbox, problem) from None


def sealed_away(mailbox: Mailbox, problem: VaultError) -> TokenUnavailable:
    """The vault cannot be read or written."""
    return misconfigured(
        "vault-failed",
        f"The stored sign-in of {mailbox.address} cannot be read or kept.",
        f"{problem}",
        "Put the named file or disk right; it is tried again by itself.",
    )
