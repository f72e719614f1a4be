"""What a session shows to say who we are: a token, after TLS, or a certificate, within it.

By a token a mailbox signs in (XOAUTH2). An inbound connector of a tenant knows who comes by the
certificate of the handshake, or without one by the address the connection comes from.

Failures: `TokenUnavailable`: there is no token, or the certificate cannot be read.
"""

from __future__ import annotations

from attrs import field, frozen
from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    SubjectAlternativeName,
    load_pem_x509_certificates,
)
from cryptography.x509.oid import NameOID

from m365gw.config.key_pairs import KeyPair
from m365gw.config.settings import Mailbox
from m365gw.relay.threads import Calls
from m365gw.relay.tokens.credentials import credentials_of
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.tokens import Tokens


@frozen
class Bearer:
    """A token for the mailbox."""

    mailbox: str
    token: str = field(repr=False)


@frozen
class Shown:
    """The certificate of the handshake; None: the address alone speaks for us."""

    mailbox: str  # for logs only
    pair: KeyPair | None = None


Proof = Bearer | Shown


class Proofs:
    """The proofs of all mailboxes. A certificate is read anew for each session."""

    def __init__(self, tokens: Tokens, calls: Calls) -> None:
        self._tokens = tokens
        self._calls = calls
        self._shown: dict[str, Shown | None] = {}  # last, by mailbox; None: it could not be read

    async def proof(self, mailbox: Mailbox, *, fresh: bool = False) -> Proof:
        """What the next session shows. `fresh`: the token given out last was refused."""
        if mailbox.has_token:
            return Bearer(mailbox.address, await self._tokens.token(mailbox, force=fresh))
        self._shown[mailbox.address] = None
        shown = await self._calls.call(shown_by, mailbox)
        self._shown[mailbox.address] = shown
        return shown

    def has_new(self, mailbox: Mailbox) -> bool:
        """Whether there is something else to show than last time. Blocking."""
        if mailbox.has_token:
            return self._tokens.has_new_sign_in(mailbox)
        try:
            is_used = mailbox.address in self._shown
            return is_used and shown_by(mailbox) != self._shown[mailbox.address]
        except TokenUnavailable:
            return False


def shown_by(mailbox: Mailbox) -> Shown:
    """What a mailbox of exit connector shows: its first certificate, if it has any. Blocking."""
    return Shown(mailbox.address, credentials_of(mailbox)[0].pair)


def in_words(shown: Shown) -> str:
    """What is shown, for people: the names in the certificate, its issuer, and which one it is."""
    if shown.pair is None:
        return "no certificate, as the connector goes by addresses"
    [own, *others] = _chain(shown.pair)
    issuer = "itself" if own.issuer == own.subject else own.issuer.rfc4514_string()
    return (
        f"the certificate of {', '.join(names_shown(shown))}, issued by {issuer}, with"
        f" {len(others)} more in its chain, thumbprint {shown.pair.thumbprint}"
    )


def names_shown(shown: Shown) -> list[str]:
    """The names in the certificate; its common name where it has no others. None without one."""
    if shown.pair is None:
        return []
    own = _chain(shown.pair)[0]
    try:
        names = own.extensions.get_extension_for_class(SubjectAlternativeName).value
        return names.get_values_for_type(DNSName)
    except ExtensionNotFound:
        common = own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(one.value) for one in common] or [own.subject.rfc4514_string()]


def _chain(pair: KeyPair) -> list[Certificate]:
    return load_pem_x509_certificates(pair.chain.encode())
