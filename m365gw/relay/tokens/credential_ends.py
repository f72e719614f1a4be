"""When what a mailbox signs in with will end, as far as anybody can know.

Blocking. What cannot be read has no end here: signing in says what is wrong with it.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Literal

from attrs import frozen

from m365gw.config.mailboxes import USER_FLOWS
from m365gw.config.settings import Mailbox
from m365gw.relay.tokens.applications import SecretStore
from m365gw.relay.tokens.credentials import credentials_of
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.sign_in import used_at

REFRESH_LIFE = 90 * 86400.0  # seconds a refresh token lives without use, says Microsoft

Kind = Literal["certificate", "client-certificate", "secret", "sign-in"]
Certainty = Literal[
    "known",  # it stands in the certificate
    "stated",  # by the operator: client_secret_expires
    "hint",  # from what Microsoft writes about refresh tokens
    "unknown",  # nobody said; `ends_at` is None
]


@frozen
class CredentialEnd:
    """When one credential of a mailbox ends, in seconds since the epoch."""

    mailbox: str
    kind: Kind
    ends_at: float | None
    certainty: Certainty


def credential_ends(mailbox: Mailbox, vault: SecretStore) -> list[CredentialEnd]:
    """The ends of all a mailbox signs in with; none for identities that Azure looks after."""
    found = _of_app(mailbox)
    if mailbox.flow in USER_FLOWS:
        try:
            used = used_at(vault, mailbox)
        except TokenUnavailable:
            return found
        found.append(
            CredentialEnd(mailbox.address, "sign-in", used + REFRESH_LIFE, "hint")
            if used
            else CredentialEnd(mailbox.address, "sign-in", None, "unknown")
        )
    return found


def _of_app(mailbox: Mailbox) -> list[CredentialEnd]:
    """The end of the certificate that ends first, or of the secret."""
    if mailbox.flow == "managed-identity":
        return []
    try:
        credentials = credentials_of(mailbox)
    except TokenUnavailable:
        return []
    ends = [each.pair.ends_at for each in credentials if each.pair is not None]
    if ends:
        if not mailbox.has_token:  # a connector is shown the first
            return [CredentialEnd(mailbox.address, "client-certificate", ends[0], "known")]
        return [CredentialEnd(mailbox.address, "certificate", min(ends), "known")]
    if not any(each.secret for each in credentials):
        return []
    day = mailbox.client_secret_expires
    if day is None:
        return [CredentialEnd(mailbox.address, "secret", None, "unknown")]
    begins = datetime.combine(day, time(), UTC).timestamp()  # it may end at the day's first moment
    return [CredentialEnd(mailbox.address, "secret", begins, "stated")]
