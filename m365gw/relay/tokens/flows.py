"""How a token is got from Entra without a user: client secret or certificate, through MSAL.

A flow is blocking and belongs to one mailbox; `tokens` calls it in a thread, one call at a time.
MSAL's applications ask the network when they are made, so they are made when first needed, and made
anew after each failure: then a certificate or a secret that was replaced meanwhile is read, and no
failure that MSAL remembers is mistaken for a new one.

Failures: `TokenUnavailable` only, with a diagnosis. What MSAL raises (it may hold a whole answer of
the server) is never passed on nor kept as a cause.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msal
from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra import EntraReaction, explain
from m365gw.relay.tokens.https import Fault, HttpsClient, Session, fault_of

# MSAL logs the body of an answer it cannot read, and a token may stand in it.
logging.getLogger("msal").setLevel(logging.CRITICAL)

AFTER_ERROR: Final = 60.0  # seconds until an error in Entra's own words is worth asking again

_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

OpenSession = Callable[[Cloud], Session]


@frozen
class Grant:
    """An access token and how many seconds it lives."""

    token: str = field(repr=False)
    life: float


class TokenUnavailable(Exception):
    """There is no token for a mailbox now.

    `reaction` and `diagnosis` as `microsoft.entra` gives them; `retry_after` is the least number of
    seconds to wait before asking again, 0 when nobody said. A reaction other than "retry" is only
    to be believed after more than `attempts` equal failures over `patience` seconds; `Tokens` sees
    to that.
    """

    def __init__(
        self,
        reaction: EntraReaction,
        diagnosis: Diagnosis,
        retry_after: float = 0.0,
        *,
        cause: str = "",
        attempts: int = 0,
        patience: float = 0.0,
    ) -> None:
        super().__init__(f"{diagnosis.what} {diagnosis.why}{f' ({cause})' if cause else ''}")
        self.reaction = reaction
        self.diagnosis = diagnosis
        self.retry_after = retry_after
        self.attempts = attempts
        self.patience = patience


class Flow(Protocol):
    """One mailbox's way to a token."""

    def acquire(self, *, fresh: bool) -> Grant:
        """A token; with `fresh` never one that was given out before. Blocking."""
        ...

    def has_new_sign_in(self) -> bool:
        """Whether somebody has signed in for it since it was last asked. Blocking."""
        ...


class AppFlow:
    """Client credentials: the application signs in as itself (flows secret and certificate)."""

    def __init__(self, mailbox: Mailbox, cloud: Cloud, open_session: OpenSession) -> None:
        self._mailbox = mailbox
        self._cloud = cloud
        self._open_session = open_session
        self._made: tuple[Any, HttpsClient] | None = None

    def acquire(self, *, fresh: bool) -> Grant:
        """A token for the whole application. Raises `TokenUnavailable`."""
        try:
            app, client = self._made = self._made or self._make()
            with Translated(client, self._mailbox):
                if fresh:
                    app.remove_tokens_for_client()  # there is no force_refresh for this flow
                answer = app.acquire_token_for_client([self._cloud.app_scope(self._mailbox.exit)])
                return granted(answer, self._mailbox)
        except TokenUnavailable:
            self._close()
            raise

    def has_new_sign_in(self) -> bool:
        """Never: no person signs in here."""
        return False

    def _make(self) -> tuple[Any, HttpsClient]:
        credential = app_credential(self._mailbox)
        client = open_client(self._cloud, self._open_session)
        with Translated(client, self._mailbox):
            app = msal.ConfidentialClientApplication(
                self._mailbox.client_id,
                client_credential=credential,
                authority=self._cloud.authority_of(self._mailbox.tenant),
                instance_discovery=False,  # our own configuration says who the authority is
                http_client=client,
            )
        return app, client

    def _close(self) -> None:
        if self._made is not None:
            self._made[1].close()
            self._made = None


class Translated:
    """Turns whatever happens inside into `TokenUnavailable`, by what the server said last."""

    def __init__(self, client: HttpsClient, mailbox: Mailbox) -> None:
        self._client = client
        self._mailbox = mailbox

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, problem: Any, _: Any) -> None:
        if isinstance(problem, Exception) and not isinstance(problem, TokenUnavailable):
            # The name of the exception only: its text may hold an answer with a token in it.
            cause = type(problem).__name__
            raise unavailable(self._client.last, self._mailbox, cause=cause) from None


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


def granted(answer: Mapping[str, Any] | None, mailbox: Mailbox) -> Grant:
    """The token in an answer of MSAL. Raises `TokenUnavailable` for an error in it."""
    answer = answer or {"error": "interaction_required"}  # None: nobody is signed in any more
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise unavailable(fault_of(Fault(400), answer), mailbox)
    return Grant(token, float(answer.get("expires_in") or 0))


def unavailable(fault: Fault, mailbox: Mailbox, *, cause: str = "") -> TokenUnavailable:
    """What this fault of Entra, or of the way to it, means for a mailbox."""
    verdict = explain(fault.error, fault.suberror, fault.codes, fault.status)
    least = AFTER_ERROR if fault.error else 0.0
    named = verdict.diagnosis.about(
        mailbox=mailbox.address, tenant=mailbox.tenant, client_id=mailbox.client_id
    )
    return TokenUnavailable(
        verdict.reaction,
        named,
        max(fault.retry_after, verdict.least_wait, least),
        cause=cause,
        attempts=verdict.attempts,
        patience=verdict.patience,
    )


def misconfigured(key: str, what: str, why: str, fix: str) -> TokenUnavailable:
    """Something here must be put right by whoever runs the gateway."""
    return TokenUnavailable("config", Diagnosis(key, what, why, fix, "operator"))


def app_credential(mailbox: Mailbox) -> str | dict[str, str]:
    """The secret or certificate as MSAL wants it, read now. Raises `TokenUnavailable`."""
    file = mailbox.certificate_file if mailbox.flow == "certificate" else mailbox.client_secret_file
    if mailbox.flow == "certificate" and mailbox.certificate:
        return certificate_credential(mailbox, mailbox.certificate)
    if not file:
        return mailbox.client_secret
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as problem:
        words = problem.strerror if isinstance(problem, OSError) else "not text"
        raise misconfigured(
            "credential-unreadable",
            f"{mailbox.address} cannot sign in: its {mailbox.flow} cannot be read.",
            f"{file}: {words}.",
            "Make the file readable for the service; it is read anew at the next attempt.",
        ) from None
    return text.strip() if mailbox.flow == "secret" else certificate_credential(mailbox, text)


def certificate_credential(mailbox: Mailbox, pem: str) -> dict[str, str]:
    """Key and certificate chain out of one PEM text. Raises `TokenUnavailable`.

    Checked here: MSAL would report a wrong file in ways that look like trouble with the network.
    """
    keys = [match[0] for match in _KEY.finditer(pem)]
    certificates = _CERTIFICATE.findall(pem)
    fault = ""
    try:
        key = load_pem_private_key("".join(keys[:1]).encode(), None)
        certificate = x509.load_pem_x509_certificate("".join(certificates[:1]).encode())
        if key.public_key() != certificate.public_key():
            fault = "The first certificate in it does not belong to the private key."
    except Exception:  # cryptography has many; none of their texts belongs into a log
        fault = "It must hold one private key without a passphrase, and the certificate, as PEM."
    if fault:
        raise misconfigured(
            "certificate-unusable",
            f"{mailbox.address} cannot sign in: its certificate file is not usable.",
            f"{mailbox.certificate_file}: {fault}",
            "Put key and certificate into the file; it is read anew at the next attempt.",
        )
    return {"private_key": keys[0], "public_certificate": "\n".join(certificates)}
