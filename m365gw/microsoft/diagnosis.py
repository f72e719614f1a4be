"""A diagnosis: a failure in words for the person who has to mend it.

Logs, the console, incidents and delivery reports all show the same four sentences, so that nobody
has to translate a reply code at night.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

Who = Literal[
    "nobody",  # it heals by itself
    "operator",  # who runs this gateway: its configuration, host and network
    "exchange-admin",  # Exchange administrator of the tenant
    "entra-admin",  # who may change app registrations, consent and access policies
    "mailbox-user",  # the person whose sign-in the mailbox uses
    "sender",  # who wrote the message
    "microsoft",  # only Microsoft can change it: a support case
]


@frozen
class Diagnosis:
    """What happened, why, what to do about it and who must do it.

    `key` is short, stable and unique ("smtp-auth-disabled-tenant"); metrics and incidents group by
    it. Keys that begin with "unknown-" mark answers no table knows; they are worth counting.
    """

    key: str
    what: str
    why: str
    fix: str
    who: Who

    @property
    def is_unknown(self) -> bool:
        return self.key.startswith("unknown-")

    def __str__(self) -> str:
        """All of it on one line, as logs show it."""
        return f"{self.what} {self.why} To do ({self.who}): {self.fix}"
