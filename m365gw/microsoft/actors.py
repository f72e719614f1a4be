"""Who must act, in words: as operators read it, and as the sender of a message does.

Ids (`exchange-admin`) are what JSON, the API and log fields hold; people are shown words. Whoever
looks at commands, pages or incidents runs the gateway or knows who does; whoever reads a delivery
report or the self-service page wrote the mail, and is spoken to as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Who = Literal[
    "nobody",  # it heals by itself
    "operator",  # who runs this gateway: its configuration, host and network
    "exchange-admin",  # Exchange administrator of the tenant
    "entra-admin",  # who may change app registrations, consent and access policies
    "mailbox-user",  # the person whose sign-in the mailbox uses
    "sender",  # who wrote the message
    "microsoft",  # only Microsoft can change it: a support case
]

_FOR_OPERATORS: Final[Mapping[str, str]] = {
    "nobody": "nobody; it heals by itself",
    "operator": "whoever runs this gateway",
    "exchange-admin": "an Exchange administrator of the tenant",
    "entra-admin": "an Entra administrator of the tenant",
    "mailbox-user": "the user of the mailbox",
    "sender": "the sender of the message",
    "microsoft": "Microsoft's support",
}

_FOR_SENDERS: Final[Mapping[Who, str]] = {
    "nobody": "nobody; it heals by itself",
    "operator": "whoever runs the mail gateway",
    "exchange-admin": "an Exchange administrator of the organisation",
    "entra-admin": "an Entra administrator of the organisation",
    "mailbox-user": "the user of the sending mailbox",
    "sender": "you, the sender",
    "microsoft": "Microsoft's support",
}


def actor(who: str) -> str:
    """Who must act, for operators. An id that a newer service may send is shown as it is."""
    return _FOR_OPERATORS.get(who, who)


def actor_for_sender(who: Who) -> str:
    """Who must act, for the sender of the message."""
    return _FOR_SENDERS[who]
