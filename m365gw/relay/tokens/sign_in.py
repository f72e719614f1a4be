"""The sign-in of a person, as it lies sealed in the vault: MSAL's cache, one for each mailbox.

It is kept when it was done as the account that signs in for the mailbox, and lasts by a refresh
token. No error ever deletes it: only a new sign-in replaces it.

All calls block. Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msal

from m365gw.config.settings import Mailbox
from m365gw.directory.keys import key_of
from m365gw.directory.secret_settings import SIGN_IN, secret_name
from m365gw.directory.vault import VaultError
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.applications import SecretStore
from m365gw.relay.tokens.failures import TokenUnavailable, misconfigured, sealed_away


def keep_sign_in(app: Any, answer: Mapping[str, Any], mailbox: Mailbox, vault: SecretStore) -> None:
    """Keep a sign-in that has just been done, if it is that of the mailbox.

    Afterwards it is known by the account's id, so a user who is renamed stays signed in. Raises
    `TokenUnavailable`; then the old sign-in, if there is one, stays.
    """
    check_account(app, answer, mailbox)
    demand_refresh_token(app, answer, mailbox)
    store_sign_in(vault, mailbox, app.token_cache.serialize().encode())


def check_account(app: Any, answer: Mapping[str, Any], mailbox: Mailbox) -> None:
    """Returns when it was done as the account of the mailbox. Raises `TokenUnavailable`."""
    wanted = mailbox.signs_in.casefold()
    if not any(each["username"].casefold() == wanted for each in app.get_accounts()):
        raise _wrong_account(mailbox, answer.get("id_token_claims") or {})


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
