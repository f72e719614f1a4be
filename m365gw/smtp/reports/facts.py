"""What a delivery report tells, as plain values; how it is written, `reports` knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

from attrs import frozen

from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Reply


class Kind(Enum):
    """What became of the recipients a report is about. The value is RFC 3464's Action (2.3.3)."""

    FAILED = "failed"  # given up
    DELAYED = "delayed"  # still tried
    RELAYED = "relayed"  # given to a server that reports no deliveries: nobody here knows more


class Explanation(Protocol):
    """How it stands, in words: what happened, why, what to do, and who must do it."""

    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def fix(self) -> str: ...
    @property
    def actor_for_sender(self) -> str: ...


@frozen
class Told:
    """One recipient, as the report tells of it.

    `relay` is the server that answered, "smtp.office365.com[192.0.2.1]:587", or "none". `reply` of
    code 0 means that there was no answer. `tried_at` is the time of the last attempt, None before
    the first.
    """

    recipient: Recipient
    reply: Reply
    explanation: Explanation
    relay: str = "none"
    tried_at: datetime | None = None
    gave_up: bool = False  # its trouble was temporary, until it had lasted too long
    is_doubtful: bool = False  # an earlier attempt ended without an answer: it may have arrived


@frozen(kw_only=True)
class Facts:
    """All a report is made of.

    `sender` is a real mailbox (Microsoft takes no null sender), `queue_id` is the report's own;
    `about`, `envid`, `arrived_at`, `came_from` (HELO name and address of the client) and `header`
    are those of the message reported on. `message` is all of that message, for RET=FULL. Times are
    aware.
    """

    kind: Kind
    hostname: str
    sender: str
    addressee: str
    queue_id: str
    about: str
    envid: str = ""
    came_from: tuple[str, str] = ("", "")
    arrived_at: datetime
    at: datetime
    retry_until: datetime | None = None  # of what is delayed
    was_delayed: bool = False  # of what is relayed: the sender was told that it waits
    is_international: bool = False  # the message came with SMTPUTF8, so its sender reads it
    told: Sequence[Told]
    header: bytes
    message: bytes | None = None
