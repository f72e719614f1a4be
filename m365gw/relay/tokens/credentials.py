"""What an app proves itself with: secrets, certificates, or the token of a federated identity.

Files are read anew for each sign-in, so what was replaced is used at once. There may be two of a
kind, the new one first: it is tried first, and the old one serves while Entra does not know it.

Blocking. Failures: `TokenUnavailable`; no secret stands in its words.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import field, frozen

from m365gw.config.key_pairs import KeyPair, Unusable, kinds_for, read_pairs
from m365gw.config.settings import Mailbox
from m365gw.relay.tokens.failures import TokenUnavailable, misconfigured

# Diagnoses that say: this one is not known (yet), another one may be.
REFUSED = frozenset(
    {"secret-wrong", "secret-expired", "certificate-unknown", "app-credential-refused"}
)


@frozen
class Credential:
    """One proof of an app: a secret, a certificate, or a file with a token. None: a public app."""

    secret: str = field(default="", repr=False)
    pair: KeyPair | None = None
    token_file: str = ""
    token_seen: bytes = field(default=b"", repr=False)  # a digest of what is in it

    def text(self) -> bytes:
        """It as the vault keeps it. A secret."""
        return self.secret.encode() if self.pair is None else self.pair.pem()

    @property
    def words(self) -> str:
        """Which one it is, as a log may show it."""
        if self.pair is not None:
            return f"certificate {self.pair.thumbprint}"
        return "client secret" if self.secret else "federated token" if self.token_file else ""

    def for_msal(self, mailbox: Mailbox) -> str | dict[str, Any] | None:
        """It as MSAL wants it; None for a public app."""
        if self.pair is not None:
            return {"private_key": self.pair.private_key, "public_certificate": self.pair.chain}
        if self.token_file:
            return {"client_assertion": _reader(mailbox, self.token_file)}
        return self.secret or None


PUBLIC = Credential()


def credentials_of(mailbox: Mailbox) -> tuple[Credential, ...]:
    """The proofs of a mailbox's app, the preferred one first; `PUBLIC` alone for a public app."""
    if mailbox.flow == "federated":
        file = mailbox.federated_token_file
        return (Credential(token_file=file, token_seen=_seen(file)),)
    if mailbox.certificate_file:
        octets = _octets(mailbox, mailbox.certificate_file)
        return _certificates(mailbox, octets, mailbox.certificate_file)
    if mailbox.certificate:
        return _certificates(mailbox, mailbox.certificate.encode(), "certificate")
    text = mailbox.client_secret
    if mailbox.client_secret_file:
        text = _text(mailbox, _octets(mailbox, mailbox.client_secret_file))
    lines = (line.strip() for line in text.splitlines())
    return tuple(Credential(secret) for secret in lines if secret) or (PUBLIC,)


def newest_in(kept: bytes) -> Credential:
    """The first proof in what the vault keeps. Raises `Unusable`."""
    if b"-----BEGIN" in kept:
        return Credential(pair=read_pairs(kept)[0])
    return Credential(kept.decode("utf-8", "replace").strip().partition("\n")[0].strip())


def _certificates(mailbox: Mailbox, octets: bytes, place: str) -> tuple[Credential, ...]:
    """Checked here: MSAL would report a wrong file in ways that look like a broken network."""
    try:
        pairs = read_pairs(octets, mailbox.certificate_passphrase, kinds_for(mailbox.exit))
    except Unusable as problem:
        raise misconfigured(
            "certificate-unusable",
            f"{mailbox.address} cannot sign in: its certificate is not usable.",
            f"{place}: {problem}",
            "Put key and certificate right; they are read anew at the next attempt.",
        ) from None
    return tuple(Credential(pair=pair) for pair in pairs)


def _octets(mailbox: Mailbox, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as problem:
        raise _unreadable(mailbox, file, problem.strerror or "cannot be read") from None


def _text(mailbox: Mailbox, octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise _unreadable(mailbox, "its client secret", "not text in UTF-8") from None


def _seen(file: str) -> bytes:
    """By which it is noticed that a file is another one; nothing where it cannot be read."""
    try:
        return sha256(Path(file).read_bytes()).digest()
    except OSError:
        return b""


def _reader(mailbox: Mailbox, file: str) -> Callable[[], str]:
    """What MSAL calls for each request: such a token is replaced within the hour."""

    def read() -> str:
        token = _text(mailbox, _octets(mailbox, file)).strip()
        if not token:
            raise _unreadable(mailbox, file, "it is empty")
        return token

    return read


def _unreadable(mailbox: Mailbox, place: str, words: str) -> TokenUnavailable:
    return misconfigured(
        "credential-unreadable",
        f"{mailbox.address} cannot sign in: what its app proves itself by cannot be read.",
        f"{place}: {words}.",
        "Make the file readable for the service; it is read anew at the next attempt.",
    )
