"""Sign-ins taken over from another program: a refresh token, and not yet whose it is.

An import leaves MSAL's cache with a refresh token and no account. At the first request Entra is
asked with that token; its answer says who signed in, and takes the place of what was taken over if
that is who signs in for the mailbox. Until then what was taken over stays, whatever Entra says.

Blocking. Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msal

from m365gw.config.settings import Mailbox
from m365gw.directory.vault import VaultError
from m365gw.relay.tokens.applications import Applications, SecretStore
from m365gw.relay.tokens.failures import granted, sealed_away
from m365gw.relay.tokens.sign_in import check_account, demand_refresh_token, vault_name


def refresh_token_in(stored: bytes) -> str | None:
    """The refresh token that was taken over, or None when it is known who signed in."""
    try:
        cache = json.loads(stored)
        if cache.get("Account"):
            return None
        tokens = [each["secret"] for each in cache["RefreshToken"].values()]
    except (ValueError, KeyError, AttributeError, TypeError):
        return None  # damaged, which whoever opens it says
    return str(tokens[0]) if tokens else None


def make_ours(
    token: str,
    stored: bytes,
    mailbox: Mailbox,
    scope: str,
    applications: Applications,
    vault: SecretStore,
) -> bytes:
    """The sign-in in the vault after the token was used for the first time.

    A sign-in that somebody stored meanwhile stays. Raises `TokenUnavailable`.
    """
    cache = msal.SerializableTokenCache()

    def question(app: Any) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = app.acquire_token_by_refresh_token(token, [scope])
        granted(answer, mailbox)
        check_account(app, answer, mailbox)
        demand_refresh_token(app, answer, mailbox)
        return answer

    applications.forget()  # they hold another cache
    try:
        applications.ask(question, cache)
    finally:
        applications.forget()
    secret: bytes = cache.serialize().encode()
    try:
        vault.replace(vault_name(mailbox), stored, secret)
        return vault.load(vault_name(mailbox)) or secret
    except VaultError as problem:
        raise sealed_away(mailbox, problem) from None
