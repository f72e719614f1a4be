"""Why there is no token: every failure of a sign-in as `TokenUnavailable`, with a diagnosis.

What MSAL raises (it may hold a whole answer of the server) is never passed on nor kept as a cause.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from m365gw.config.settings import Mailbox
from m365gw.directory.vault import VaultError
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra import EntraReaction, EntraVerdict, explain
from m365gw.relay.tokens.https import Fault, HttpsClient, fault_of

# MSAL logs the body of an answer it cannot read, and a token may stand in it.
logging.getLogger("msal").setLevel(logging.CRITICAL)

AFTER_ERROR: Final = 60.0  # seconds until an error in Entra's own words is worth asking again
UNSTATED_LIFE: Final = 600.0  # seconds a token is taken to live when nothing is said, as by MSAL


@frozen
class Grant:
    """An access token, how many seconds it lives, and what the app proved itself by."""

    token: str = field(repr=False)
    life: float
    proof: str = ""  # in words, when it could choose


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


def granted(answer: Mapping[str, Any] | None, mailbox: Mailbox, proof: str = "") -> Grant:
    """The token in an answer of MSAL. Raises `TokenUnavailable` for an error in it."""
    answer = answer or {"error": "interaction_required"}  # None: nobody is signed in any more
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise unavailable(fault_of(Fault(400), answer), mailbox)
    return Grant(token, float(answer.get("expires_in", UNSTATED_LIFE)), proof)


def unavailable(fault: Fault, mailbox: Mailbox, *, cause: str = "") -> TokenUnavailable:
    """What this fault of Entra, or of the way to it, means for a mailbox."""
    verdict = explain(fault.error, fault.suberror, fault.codes, fault.status)
    return judged(verdict, fault, mailbox, cause=cause)


def judged(
    verdict: EntraVerdict, fault: Fault, mailbox: Mailbox, *, cause: str = ""
) -> TokenUnavailable:
    """A fault with the verdict on it, in words with the names of the mailbox."""
    least = AFTER_ERROR if fault.error else 0.0
    named = verdict.diagnosis.about(
        mailbox=mailbox.address, tenant=mailbox.tenant, client_id=mailbox.client_id
    )
    return TokenUnavailable(
        verdict.reaction,
        named,
        max(fault.retry_after, verdict.least_wait, least),
        cause=", ".join(filter(None, (cause, fault.trace))),
        attempts=verdict.attempts,
        patience=verdict.patience,
    )


def misconfigured(key: str, what: str, why: str, fix: str) -> TokenUnavailable:
    """Something here must be put right by whoever runs the gateway."""
    return TokenUnavailable("config", Diagnosis(key, what, why, fix, "operator"))


def sealed_away(mailbox: Mailbox, problem: VaultError) -> TokenUnavailable:
    """The vault cannot be read or written."""
    return misconfigured(
        "vault-failed",
        f"What {mailbox.address} signs in with cannot be read or kept.",
        f"{problem}",
        "Put the named file or disk right; it is tried again by itself.",
    )
