"""Tokens of mailboxes a person signed in for, by the refresh token that was kept from then on.

What MSAL knows about such a mailbox (the refresh token above all) lies sealed in the vault under
one name, is stored whenever it changed and before the new access token is used, and is read again
when somebody else stored it. No error ever deletes it: only a new sign-in replaces it. A sign-in
that somebody stored or removed while Entra was asked stays as he left it.

All calls block. Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import requests
from msal.exceptions import MsalServiceError

from m365gw.config.settings import Mailbox
from m365gw.directory.vault import VaultError
from m365gw.microsoft.clouds import Cloud
from m365gw.relay.tokens.applications import Applications, OpenSession, SecretStore
from m365gw.relay.tokens.failures import Grant, TokenUnavailable, sealed_away, unavailable
from m365gw.relay.tokens.https import Fault
from m365gw.relay.tokens.sign_in import load_sign_in, opened_cache, vault_name
from m365gw.relay.tokens.taken_over import make_ours, refresh_token_in

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
        stored = self._with_account(load_sign_in(self._vault, self._mailbox))
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

    def _with_account(self, stored: bytes) -> bytes:
        """The sign-in with whose it is; for one that was just taken over Entra is asked."""
        token = refresh_token_in(stored)
        if token is None:
            return stored
        self._stored = stored  # as far as `has_new_sign_in` goes
        return make_ours(token, stored, self._mailbox, self._scope, self._applications, self._vault)

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
