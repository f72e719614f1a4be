"""How a token is got without a user: by the app itself, or by the identity of an Azure host.

A flow is blocking and belongs to one mailbox; `tokens` calls it in a thread, one call at a time.
Failures: `TokenUnavailable` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msal
from attrs import evolve

from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.entra_identities import explain_identity
from m365gw.relay.tokens.applications import (
    Applications,
    OpenSession,
    SecretStore,
    open_client,
)
from m365gw.relay.tokens.failures import Grant, TokenUnavailable, granted, judged
from m365gw.relay.tokens.https import Fault, fault_of


class Flow(Protocol):
    """One mailbox's way to a token."""

    def acquire(self, *, fresh: bool) -> Grant:
        """A token; with `fresh` never one that was given out before. Blocking."""
        ...

    def has_new_sign_in(self) -> bool:
        """Whether what it signs in with has changed since it was last asked. Blocking."""
        ...


class AppFlow:
    """Client credentials: the app signs in as itself (flows secret, certificate, federated)."""

    def __init__(
        self, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession, vault: SecretStore
    ) -> None:
        self._scope = cloud.app_scope(mailbox.exit)
        self._applications = Applications(mailbox, cloud, open_session, vault)

    def acquire(self, *, fresh: bool) -> Grant:
        """A token for the whole application. Raises `TokenUnavailable`."""

        def question(app: Any) -> Mapping[str, Any] | None:
            if fresh:
                app.remove_tokens_for_client()  # there is no force_refresh for this flow
            answer: Mapping[str, Any] | None = app.acquire_token_for_client([self._scope])
            return answer

        return self._applications.ask(question)

    def has_new_sign_in(self) -> bool:
        """Whether a secret or certificate was replaced since it was last asked."""
        return self._applications.have_changed()


class IdentityFlow:
    """Flow managed-identity: the Azure host the gateway runs on gives out tokens.

    Where to ask (the metadata address of a virtual machine, App Service, Azure Arc ...) MSAL takes
    from the environment, as Azure sets it. No proxy is used: that address is the host's own.
    """

    def __init__(self, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession) -> None:
        self._mailbox = mailbox
        self._cloud = evolve(cloud, proxy="", ca_file="")
        self._open_session = open_session

    def acquire(self, *, fresh: bool) -> Grant:
        """A token of the identity; the host itself decides when it is a new one."""
        client = open_client(self._cloud, self._open_session)
        try:
            # Made anew each time, so that none of MSAL's memories stands between us and the host.
            identity = msal.ManagedIdentityClient(self._identity(), http_client=client)
            resource = self._cloud.app_scope(self._mailbox.exit).removesuffix("/.default")
            answer = identity.acquire_token_for_client(resource=resource)
            if "access_token" in answer:
                return granted(answer, self._mailbox)
            fault, cause = fault_of(client.last, answer), ""
        except Exception as problem:  # its text may hold an answer with a token in it
            fault, cause = client.last, type(problem).__name__
        finally:
            client.close()
        raise self._unavailable(fault, cause)

    def has_new_sign_in(self) -> bool:
        """Never: it has nothing of its own to sign in with."""
        return False

    def _identity(self) -> Any:
        if self._mailbox.client_id:
            return msal.UserAssignedManagedIdentity(client_id=self._mailbox.client_id)
        return msal.SystemAssignedManagedIdentity()

    def _unavailable(self, fault: Fault, cause: str) -> TokenUnavailable:
        return judged(explain_identity(fault.status), fault, self._mailbox, cause=cause)
