"""Tokens of mailboxes a person signed in for, by the refresh token that was kept from then on.

What MSAL knows about such a mailbox (the refresh token above all) lies sealed in the vault under
one name, is stored whenever it changed and before the new access token is used, and is read again
when somebody else stored it. No error ever deletes it: only a new sign-in replaces it. A sign-in
that somebody stored or removed while Entra was asked stays as he left it.

All calls block. Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msal
import requests
from msal.exceptions import MsalServiceError

from m365gw.config.settings import Mailbox
from m365gw.directory.keys import key_of
from m365gw.directory.secret_settings import SIGN_IN, secret_name
from m365gw.directory.vault import VaultError
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.applications import Applications, OpenSession, SecretStore
from m365gw.relay.tokens.failures import (
    Grant,
    TokenUnavailable,
    misconfigured,
    sealed_away,
    unavailable,
)
from m365gw.relay.tokens.https import Fault

# With these MSAL gives out a stored token that is still good when Entra is not well; of itself it
# does so only for the first kind.
TOLERATED: Final = (requests.RequestException, MsalServiceError, ValueError)


class UserFlow:
    """A mailbox somebody signed in for: its tokens by refresh token (flows device and web)."""

    def __init__(
        self, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession, vault: SecretStore
    ) -> None:
        self._mailbox = mailbox
        self._scope = cloud.person_scope(mailbox.exit)
        self._vault = vault
        self._stored = b""  # what the vault holds, as far as we know
        self._cache: Any = None
        self._applications = Applications(mailbox, cloud, open_session, vault)

    def acquire(self, *, fresh: bool) -> Grant:
        """A token of the signed-in user. Raises `TokenUnavailable`."""
        stored = load_sign_in(self._vault, self._mailbox)
        if self._cache is None or stored != self._stored:
            self._stored = stored
            self._applications.forget()
            self._cache = opened_cache(self._mailbox, stored)

        def question(app: Any) -> Mapping[str, Any] | None:
            account = next(iter(app.get_accounts()), None)
            if account is None:
                raise unavailable(Fault(400, "interaction_required"), self._mailbox)
            answer: Mapping[str, Any] | None = app.acquire_token_silent_with_error(
                [self._scope], account, force_refresh=fresh, http_exceptions=TOLERATED
            )
            return answer

        try:
            return self._applications.ask(question, self._cache)
        finally:
            self._save()

    def has_new_sign_in(self) -> bool:
        """Whether somebody has signed in since the last time a token was asked for.

        A secret or certificate of the app that was replaced counts too.
        """
        try:
            stored = load_sign_in(self._vault, self._mailbox)
        except TokenUnavailable:
            return False
        return stored != self._stored or self._applications.have_changed()

    def _save(self) -> None:
        if self._cache.has_state_changed:
            secret = self._cache.serialize().encode()
            self._cache.has_state_changed = True  # until it is stored
            try:
                is_kept = self._vault.replace(vault_name(self._mailbox), self._stored, secret)
            except VaultError as problem:
                raise sealed_away(self._mailbox, problem) from None
            if is_kept:  # else the next request goes on with what is there now
                self._cache.has_state_changed = False
                self._stored = secret


def keep_sign_in(app: Any, answer: Mapping[str, Any], mailbox: Mailbox, vault: SecretStore) -> None:
    """Keep a sign-in that has just been done, if it is that of the mailbox.

    Afterwards it is known by the account's id, so a user who is renamed stays signed in. Raises
    `TokenUnavailable`; then the old sign-in, if there is one, stays.
    """
    wanted = mailbox.signs_in.casefold()
    accounts = [each for each in app.get_accounts() if each["username"].casefold() == wanted]
    if not accounts:
        raise _wrong_account(mailbox, answer.get("id_token_claims") or {})
    demand_refresh_token(app, answer, mailbox)
    store_sign_in(vault, mailbox, app.token_cache.serialize().encode())


def demand_refresh_token(app: Any, answer: Mapping[str, Any], mailbox: Mailbox) -> None:
    """Returns when the sign-in lasts. Raises `TokenUnavailable`."""
    if not answer.get("refresh_token") and not _refresh_tokens(app.token_cache.serialize()):
        raise misconfigured(
            "no-refresh-token",
            f"Microsoft gave no lasting sign-in for {mailbox.address}.",
            "The answer had no refresh token, so it would end within the hour.",
            "Allow the app offline_access: Entra admin centre > App registrations > the app > API"
            " permissions > Microsoft Graph > Delegated > offline_access; then sign in again.",
        )


def used_at(vault: SecretStore, mailbox: Mailbox) -> float:
    """When its refresh token was last renewed, in seconds since the epoch; 0 when not known.

    Raises `TokenUnavailable` when there is no sign-in.
    """
    tokens = _refresh_tokens(load_sign_in(vault, mailbox).decode("utf-8", "replace"))
    times = [str(token.get("last_modification_time", "")) for token in tokens]
    return max((float(time) for time in times if time.isdecimal()), default=0.0)


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


def vault_name(mailbox: Mailbox) -> str:
    """Under which name the sign-in of a mailbox is kept."""
    return secret_name(SIGN_IN, key_of("mailbox", mailbox.address))


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
                f"Its flow is {mailbox.flow}: a person signs in once, in a browser.",
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


def _refresh_tokens(cache: str) -> list[Mapping[str, Any]]:
    """The refresh tokens in a cache as MSAL writes it."""
    try:
        return list(json.loads(cache)["RefreshToken"].values())
    except (ValueError, KeyError, AttributeError, TypeError):
        return []


def _wrong_account(mailbox: Mailbox, claims: Mapping[str, Any]) -> TokenUnavailable:
    """Somebody signed in, but as somebody else; or it is not said as whom."""
    who = str(claims.get("preferred_username") or "")[:256]
    if not who:
        return TokenUnavailable(
            "restart",
            Diagnosis(
                "signin-incomplete",
                f"The sign-in for {mailbox.address} was not stored: it is not said whose it is.",
                "Microsoft's answer lacks the name of the account (id_token).",
                f"Begin again: m365gw mailbox signin {mailbox.address}",
                "operator",
            ),
        )
    return TokenUnavailable(
        "login",
        Diagnosis(
            "wrong-account",
            f"The sign-in for {mailbox.address} was done as {who}; it was not stored.",
            f"{mailbox.signs_in} is to sign in for it.",
            f"Sign in again, as {mailbox.signs_in}: m365gw mailbox signin {mailbox.address}."
            " If another account is meant, name it as sign_in_as of the mailbox.",
            "mailbox-user",
        ),
    )
