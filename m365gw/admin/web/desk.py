"""What the pages of the console look at and act on: the parts of the running gateway, by name.

The service puts it together; a test puts in what it likes. Nothing here knows of pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.admin import incident_api, registry_api
from m365gw.admin.queue_api import Queue
from m365gw.admin.queue_roll import Rolls
from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import Sending
from m365gw.admin.sign_in_api import SigningIn
from m365gw.admin.states_api import States
from m365gw.admin.web.acceptance import Acceptance
from m365gw.admin.web.arrival import Arrival
from m365gw.admin.web.mailbox_sign_in import MailboxSignIns
from m365gw.admin.web.once import Once
from m365gw.config.settings import Settings
from m365gw.directory.api_tokens import ApiTokens
from m365gw.directory.audit import Change
from m365gw.directory.operators import Operators
from m365gw.directory.web_sessions import WebSessions
from m365gw.doctor.casebook import Casebook
from m365gw.edge.listening.tls_terms import Loaded
from m365gw.incidents import Incident
from m365gw.log_tail import LogTail
from m365gw.metrics import Metrics
from m365gw.recent import Recent
from m365gw.relay.threads import Calls
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool
from m365gw.tracing import Tracing


@frozen
class Disk:
    """Room for the spool, in octets; `free` is None when it cannot be asked."""

    free: int | None
    minimum: int


class Audit(Protocol):
    """Where every change is noted: who, what, to what.

    `what` is an action of the queue ("hold"), or says of what it is ("mailbox.paused").
    """

    def __call__(self, by: str, what: str, subject: str) -> None: ...


class Rounds(Protocol):
    """The doctor of a running gateway."""

    book: Casebook

    @property
    def mailboxes(self) -> Sequence[str]: ...

    @property
    def is_busy(self) -> bool: ...

    def begin(self, addresses: Sequence[str], by: str, *, send: bool = False) -> None:
        """Examine these, or all; the book has what is found as it is found."""
        ...


@define(kw_only=True)
class Desk:
    """The parts of one gateway."""

    status: Callable[[], dict[str, Any]]  # as GET /api/v1/status
    mailboxes: Callable[[], list[dict[str, Any]]]  # as GET /api/v1/mailboxes
    incidents: Callable[[], Sequence[Incident]]  # those that are open
    disk: Callable[[], Disk]
    metrics: Metrics
    recent: Recent
    queue: Queue
    rolls: Rolls
    waiting: Callable[[int], Entry | None]  # where a message waits, by the number of its queue id
    open_spool: Callable[[], Spool]  # for looking; it may block
    calls: Calls
    clock: IReactorTime
    audit: Audit
    settings: Callable[[], Settings]  # those that hold now
    registry: registry_api.Desk  # mailboxes, clients and networks, and orders to change them
    states: States
    sign_ins: SigningIn
    test_mails: Sending
    changes: Callable[..., Awaitable[list[Change]]]  # the audit: `Audit.changes`
    by_hours: Callable[[str], Sequence[int]]  # recipients of a mailbox in each of the last hours
    mailbox_sign_ins: MailboxSignIns  # begun on pages
    acceptance: Acceptance
    certificates: Callable[[], Sequence[Loaded]]  # that clients see, the first one first
    reload: Callable[[], Awaitable[dict[str, Any]]]  # the file anew, as POST /api/v1/reload
    incident_desk: incident_api.Desk
    tail: LogTail  # the end of the log
    tracing: Tracing  # the protocol, for who watches
    operators: Operators
    sessions: WebSessions
    api_tokens: ApiTokens
    check_password: Callable[[str, str, Arrival], Awaitable[object]]  # raises `Refusal`
    backup: Callable[[], bytes]  # all but the mail, not sealed yet; it blocks
    rounds: Rounds
    once: Once = field(factory=Once)  # passwords and tokens that were just made

    def why_waits(self) -> dict[str, str]:
        """Why each mailbox may not send now, by its address in small letters; "" when it may."""
        return {each["address"].casefold(): each["why"] for each in self.mailboxes()}


def not_readable(words: str) -> Refusal:
    """The answer to who wants to see a spool that cannot be read."""
    return Refusal(503, "The spool cannot be read now.", words, "Mail that is in memory flows on.")
