"""Signing in on Microsoft's page in a browser: authorization code with PKCE (RFC 6749, RFC 7636).

Begun here, done there, finished here when the browser comes back with a code. State, nonce and code
verifier stay in this object, which is good for one answer within fifteen minutes; whoever keeps it
binds it to the browser session or the terminal that began it. The app proves itself when it has a
secret or a certificate; else it is a public client.

The answer comes as a query (`response_mode=query`): a form post from Microsoft's page would come
without the session cookie (SameSite=Lax), and the code in the query is of no use to anybody who
does not have the verifier.

All calls block. Failures: `TokenUnavailable` only; then nothing is stored.
"""

from __future__ import annotations

import hmac
import time
import warnings
from collections.abc import Mapping
from typing import Any, Final

import msal
from attrs import define, field

from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.applications import (
    Applications,
    OpenSession,
    SecretStore,
    make_application,
)
from m365gw.relay.tokens.failures import TokenUnavailable, unavailable
from m365gw.relay.tokens.https import Fault, fault_of
from m365gw.relay.tokens.person import Person, person_of
from m365gw.relay.tokens.sign_in import keep_sign_in

LIFETIME: Final = 900.0  # seconds a sign-in may take

# MSAL wants form_post; why not: see above.
warnings.filterwarnings("ignore", ".*response_mode.*", UserWarning, r"msal\.")


@define
class WebSignIn:
    """A sign-in under way. `auth_uri` is where the browser goes; `state` is what it brings back."""

    auth_uri: str = field(repr=False)
    state: str = field(repr=False)
    _mailbox: Mailbox
    _cloud: Cloud
    _open_session: OpenSession = field(repr=False)
    _flow: dict[str, Any] = field(repr=False)  # holds nonce and code verifier
    _ends_at: float = field(factory=lambda: time.monotonic() + LIFETIME)
    _is_used: bool = False

    @classmethod
    def begin(
        cls,
        mailbox: Mailbox,
        cloud: Cloud,
        open_session: OpenSession,
        redirect_uri: str,
        hint: str | None = None,
    ) -> WebSignIn:
        """Where to send the browser. Asks Entra for its addresses. Raises `TokenUnavailable`.

        `redirect_uri` must be registered with the app letter by letter; for `http://localhost` the
        port does not count. `hint` is the account that Microsoft's page proposes: that of the
        mailbox unless another one is given, "" for none.
        """
        app, client = make_application(mailbox, cloud, open_session)
        client.close()
        flow = app.initiate_auth_code_flow(
            [cloud.person_scope(mailbox.exit)],
            redirect_uri=redirect_uri,
            login_hint=(mailbox.signs_in if hint is None else hint) or None,
            prompt="select_account",
            response_mode="query",
        )
        return cls(
            auth_uri=str(flow["auth_uri"]),
            state=str(flow["state"]),
            mailbox=mailbox,
            cloud=cloud,
            open_session=open_session,
            flow=flow,
        )

    def finish(self, arguments: Mapping[str, str], vault: SecretStore) -> None:
        """Take the answer the browser came back with; the sign-in is stored when this returns.

        `arguments` are the parameters of its address. Raises `TokenUnavailable` when the answer is
        an error, is not to this sign-in, comes late or twice, or is another account's. One that is
        not to this sign-in does not end it.
        """
        app, answer = self._redeemed(arguments, vault)
        keep_sign_in(app, answer, self._mailbox, vault)

    def person(self, arguments: Mapping[str, str], vault: SecretStore) -> Person:
        """Take the answer as that of whoever signed in; nothing is stored.

        Raises `TokenUnavailable`, also for an account that the app is not for.
        """
        app, answer = self._redeemed(arguments, vault)
        return person_of(app, answer, self._mailbox, self._cloud)

    def _redeemed(
        self, arguments: Mapping[str, str], vault: SecretStore
    ) -> tuple[Any, Mapping[str, Any]]:
        """The application that has the tokens, and Entra's answer."""
        if not hmac.compare_digest(arguments.get("state", "").encode(), self.state.encode()):
            raise self._ended("signin-foreign", "The answer is not to this sign-in.")
        if self._is_used:
            raise self._ended("signin-code-used", "The answer of this sign-in was used before.")
        self._is_used = True
        if time.monotonic() >= self._ends_at:
            raise self._ended("signin-code-expired", "The sign-in took more than fifteen minutes.")
        if "error" in arguments:
            raise unavailable(fault_of(Fault(400), arguments), self._mailbox)
        if not arguments.get("code"):
            raise self._ended("signin-no-code", "The browser came back without a code.")
        return self._redeem(dict(arguments), vault)

    def _redeem(
        self, arguments: dict[str, str], vault: SecretStore
    ) -> tuple[Any, Mapping[str, Any]]:
        """The code for tokens."""
        cache = msal.SerializableTokenCache()
        applications = Applications(self._mailbox, self._cloud, self._open_session, vault)
        told: list[tuple[Any, Mapping[str, Any]]] = []

        def question(app: Any) -> Mapping[str, Any]:
            try:
                answer: dict[str, Any] = app.acquire_token_by_auth_code_flow(self._flow, arguments)
            except RuntimeError:  # of MSAL: the nonce in the id token is not ours
                raise self._ended("signin-nonce", "The answer is not to this sign-in.") from None
            told.append((app, answer))
            return answer

        applications.ask(question, cache)
        return told[-1]

    def _ended(self, key: str, what: str) -> TokenUnavailable:
        return TokenUnavailable(
            "restart",
            Diagnosis(
                key,
                what,
                "A page was loaded twice, is an old one, or belongs to another browser or sign-in.",
                f"Begin again: m365gw mailbox signin {self._mailbox.address}",
                "operator",
            ),
        )
