"""D13: how long what the mailbox signs in with will last, as far as anybody can know.

A certificate says itself when it ends. The end of a client secret Entra alone knows, unless the
configuration states it (client_secret_expires). A sign-in by a person lives while it is used.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, doubtful, good, note
from m365gw.microsoft.actors import Who
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import remedy
from m365gw.microsoft.remedies_entra import CERTIFICATE, SECRET
from m365gw.microsoft.remedies_rows import AT_ONCE, Steps
from m365gw.relay.tokens.credential_ends import REFRESH_LIFE, CredentialEnd

WARN_DAYS: Final = 30
_DAY: Final = 86400.0
_RENEWAL: Final = {
    "certificate": CERTIFICATE,
    "client-certificate": Steps(
        "At your certificate authority: one with the same name; then put it where the old one is",
        "",
        AT_ONCE,
    ),
    "secret": SECRET,
    "sign-in": Steps("On this machine: m365gw mailbox signin <mailbox>", "", AT_ONCE),
}

_WHO: Final[dict[str, Who]] = {"sign-in": "mailbox-user", "client-certificate": "operator"}


async def look(case: Case) -> Seen:
    """D13."""
    mailbox = case.mailbox
    tried = f"when the credential of {mailbox.address} ends (flow {mailbox.flow})"
    known_ends = await case.tools.tokens.credential_ends()
    ends = [one for one in known_ends if one.mailbox == mailbox.address]
    if not ends:
        return note(tried, "nothing that ends")
    words = "; ".join(map(_words, ends))
    known = [one for one in ends if one.ends_at is not None]
    if not known:
        return note(tried, words)
    first = min(known, key=lambda one: one.ends_at or 0.0)
    left = ((first.ends_at or 0.0) - case.tools.reactor.seconds()) / _DAY
    if left > WARN_DAYS:
        return good(tried, words)
    diagnosis = Diagnosis(
        f"{first.kind}-ends",
        f"The {_kind(first)} of {mailbox.address} {'ends soon' if left >= 0 else 'has ended'}.",
        f"{_words(first)}.",
        "Make a new one before that; the old one may stay beside it.",
        _WHO.get(first.kind, "entra-admin"),
    )
    fix = remedy(diagnosis.why, diagnosis.who, _RENEWAL[first.kind], case.names)
    return (doubtful if left >= 0 else bad)(tried, words, diagnosis, fix)


def _kind(end: CredentialEnd) -> str:
    """What it is, in words: "client certificate"."""
    return end.kind.replace("-", " ")


def _words(end: CredentialEnd) -> str:
    """When one of them ends, and how sure that is."""
    if end.ends_at is None:
        return f"when the {end.kind} ends only Entra knows (client_secret_expires can state it)"
    day = f"{datetime.fromtimestamp(end.ends_at, UTC):%Y-%m-%d}"
    if end.certainty == "hint":
        used = f"{datetime.fromtimestamp(end.ends_at - REFRESH_LIFE, UTC):%Y-%m-%d}"
        return f"the {end.kind} was renewed on {used} and lasts until {day} without use"
    return f"the {_kind(end)} ends on {day}"
