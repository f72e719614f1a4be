"""MSAL's applications of one mailbox: one for each proof the app has, made when first needed.

They ask the network when they are made, so they are never made at the start of the service, and
they are made anew after each failure: no failure that MSAL remembers is mistaken for a new one.
Where there are two proofs the new one is tried first at each sign-in. Once Entra took it twice in a
row, the older ones are removed from the vault; files belong to the operator and stay.

Blocking, one call at a time. Failures: `TokenUnavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import msal

from m365gw.config.key_pairs import Unusable
from m365gw.config.settings import Mailbox
from m365gw.directory.keys import key_of
from m365gw.directory.secret_settings import secret_name
from m365gw.directory.vault import VaultError
from m365gw.microsoft.clouds import Cloud
from m365gw.relay.tokens.credentials import (
    PUBLIC,
    REFUSED,
    Credential,
    credentials_of,
    newest_in,
)
from m365gw.relay.tokens.failures import (
    Grant,
    TokenUnavailable,
    Translated,
    granted,
    misconfigured,
)
from m365gw.relay.tokens.https import HttpsClient, Session

OpenSession = Callable[[Cloud], Session]
Question = Callable[[Any], Mapping[str, Any] | None]  # what an application of MSAL is asked


class SecretStore(Protocol):
    """Where secrets lie sealed (`directory.vault.Vault`). Blocking; raises `VaultError`."""

    def load(self, name: str) -> bytes | None: ...

    def store(self, name: str, secret: bytes) -> None: ...

    def replace(self, name: str, old: bytes, secret: bytes) -> bool: ...

    def amend(self, name: str, old: bytes, secret: bytes, action: str) -> bool: ...


PROVEN: Final = 2  # answers in a row after which a new proof stands alone


class Applications:
    """The applications of one mailbox, and the proof that was taken last."""

    def __init__(
        self, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession, vault: SecretStore
    ) -> None:
        self._mailbox = mailbox
        self._cloud = cloud
        self._open_session = open_session
        self._vault = vault
        self._made: dict[Credential, tuple[Any, HttpsClient]] = {}
        self._credentials: tuple[Credential, ...] = ()  # as they were at the last question
        self._taken = 0  # how often in a row the newest of several was taken

    def ask(self, question: Question, cache: Any = None) -> Grant:
        """The token an application answers with. Raises `TokenUnavailable`."""
        self._read()
        refused: TokenUnavailable | None = None
        for credential in self._credentials:
            try:
                grant = self._asked(credential, question, cache)
            except TokenUnavailable as problem:
                self._made.pop(credential, None)
                if problem.diagnosis.key not in REFUSED:
                    raise
                refused = refused or problem  # the newest one's: that is the one to be mended
            else:
                self._note(credential)
                return grant
        assert refused is not None  # there is at least one credential
        raise refused

    def forget(self) -> None:
        """Make them anew when next asked."""
        self._made.clear()

    def have_changed(self) -> bool:
        """Whether there are other proofs than when it was last asked."""
        try:
            return credentials_of(self._mailbox) != self._credentials
        except TokenUnavailable:
            return False

    def _read(self) -> None:
        credentials, self._credentials = self._credentials, ()
        self._credentials = credentials_of(self._mailbox)
        if self._credentials != credentials:
            self._taken = 0
            self.forget()

    def _asked(self, credential: Credential, question: Question, cache: Any) -> Grant:
        if credential not in self._made:
            self._made[credential] = make_application(
                self._mailbox, self._cloud, self._open_session, credential, cache
            )
        app, client = self._made[credential]
        try:
            with Translated(client, self._mailbox):
                proof = credential.words if len(self._credentials) > 1 else ""
                return granted(question(app), self._mailbox, proof)
        finally:
            client.close()  # until next time, mostly an hour later; it opens again by itself

    def _note(self, taken: Credential) -> None:
        """Count how often the newest was taken; let go of the others when that is certain."""
        newest = self._credentials[0]
        self._taken = self._taken + 1 if taken == newest else 0
        if self._taken == PROVEN and len(self._credentials) > 1:
            self._retire_older(newest)

    def _retire_older(self, newest: Credential) -> None:
        """Keep only the newest, if the vault is where they are kept and it is newest there too."""
        kind = "client-secret" if newest.pair is None else "certificate"
        name = secret_name(kind, key_of("mailbox", self._mailbox.address))
        with suppress(VaultError, Unusable):  # then both stay, which does no harm
            kept = self._vault.load(name)
            if kept is not None and newest_in(kept) == newest:
                self._vault.amend(name, kept, newest.text(), f"mailbox.{kind}-retired")


def make_application(
    mailbox: Mailbox,
    cloud: Cloud,
    open_session: OpenSession,
    credential: Credential = PUBLIC,
    cache: Any = None,
) -> tuple[Any, HttpsClient]:
    """MSAL's application, and how it reaches Entra. Raises `TokenUnavailable`."""
    client = open_client(cloud, open_session)
    is_public = credential == PUBLIC
    kind = msal.PublicClientApplication if is_public else msal.ConfidentialClientApplication
    proof = {} if is_public else {"client_credential": credential.for_msal(mailbox)}
    try:
        with Translated(client, mailbox):
            app = kind(
                mailbox.client_id,
                authority=cloud.authority_of(mailbox.tenant),
                instance_discovery=False,  # our own configuration says who the authority is
                token_cache=cache,
                http_client=client,
                **proof,
            )
    except TokenUnavailable:
        client.close()
        raise
    return app, client


def open_client(cloud: Cloud, open_session: OpenSession) -> HttpsClient:
    """The https client for a cloud. Raises `TokenUnavailable` when its authority is unreadable."""
    try:
        return HttpsClient(open_session(cloud))
    except OSError as problem:
        raise misconfigured(
            "ca-file-unreadable",
            f"The certificate authority of cloud {cloud.name} cannot be read.",
            f"{cloud.ca_file}: {problem.strerror}.",
            "Correct ca_file, or make the file readable for the service.",
        ) from None
