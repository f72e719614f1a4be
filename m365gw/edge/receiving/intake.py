"""From an accepted envelope to a durable message: what all sessions share.

A message gets its queue id and its trace field when its content begins, and its entry when the
spool has it for good. Failures: what the spool, its free space and the content refuse it for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from m365gw.config.limits import Limits
from m365gw.edge.admission.rules import Rule
from m365gw.edge.receiving.commit import GroupCommit
from m365gw.edge.receiving.content import Content
from m365gw.edge.receiving.mending import Mending
from m365gw.edge.receiving.space import BROKEN, Space
from m365gw.edge.session.seldom import Seldom
from m365gw.events import EventLog
from m365gw.smtp.content import Faults
from m365gw.smtp.envelope import Envelope, Origin
from m365gw.smtp.repair.header_repair import Facts
from m365gw.smtp.replies import Refused, Reply
from m365gw.smtp.trace import by, received
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool

BUSY: Final = Reply(
    451, "4.3.2", "Too many messages with over-long lines are being mended; try again later"
)
NO_REPAIRS: Final[frozenset[str]] = frozenset()


class Intake:
    """The way into the spool. Made once. `in_thread` runs a function in a thread."""

    def __init__(
        self,
        *,
        spool: Spool,
        commit: GroupCommit,
        limits: Limits,
        hostname: str,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        log: EventLog,
    ) -> None:
        self._spool = spool
        self._commit = commit
        self._limits = limits
        self._hostname = hostname
        self._clock = clock
        self._in_thread = in_thread
        self._space = Space(spool, limits, clock, Seldom(log, clock))
        self._reencoded = 0  # octets of messages whose over-long lines are being mended
        self._own_hop = f"{by(hostname)} ".encode("ascii", "replace")

    @property
    def is_open(self) -> bool:
        """Whether messages can be stored at all: not while the disk cannot be trusted."""
        return self._space.is_open

    def check_space(self, size: int) -> None:
        """Raises Refused when a message of this declared size has no room."""
        self._space.check(size)

    def begin(
        self, envelope: Envelope, origin: Origin, rule: Rule, repairs: frozenset[str] = NO_REPAIRS
    ) -> Content:
        """A content to write to, with its trace field in place. Raises SpoolError.

        `rule` is the one that let the envelope in; it also says whom the message may be from.
        """
        draft = self._spool.draft(envelope, origin)
        # Named only when there is one: a trace field must not tell one recipient of another.
        alone = envelope.recipients[0].address if len(envelope.recipients) == 1 else ""
        trace = received(origin, self._hostname, draft.queue_id, alone, self._clock.seconds())
        mending = None
        if repairs or rule.rewrites_from:
            mending = self._mending(envelope, draft.queue_id, repairs, rule)
        return Content(draft, trace, self._limits, rule, mending, own_hop=self._own_hop)

    def accept(self, content: Content, faults: Faults) -> Deferred[Entry]:
        """Make a complete message durable. Raises, or fails with, Refused."""
        if not self._space.is_open:
            content.refuse(BROKEN)
        content.complete(faults)
        if content.is_unwieldy:  # many lines of Python: the other clients are not to wait for it
            mended = self._reencode(content)
            return mended.addCallback(lambda _: self._commit.commit(content.finish()))
        return self._commit.commit(content.finish())

    def _reencode(self, content: Content) -> Deferred[None]:
        """One after the other in a thread, which a stop waits for: so not too much may wait there.

        A message that is alone there may have any size.
        """
        waiting, most = self._reencoded, self._limits.message_size_limit
        if waiting and waiting + content.size > most:
            content.refuse(BUSY)
            raise Refused(BUSY)
        self._reencoded += content.size

        def done(result: None | Failure) -> None | Failure:
            self._reencoded -= content.size
            return result

        return self._in_thread(content.reencode).addBoth(done)

    def _mending(
        self, envelope: Envelope, queue_id: str, repairs: frozenset[str], rule: Rule
    ) -> Mending:
        facts = Facts(
            message_id=f"{queue_id}@{self._hostname}",
            at=datetime.fromtimestamp(self._clock.seconds(), UTC),
            smtputf8=envelope.smtputf8,
        )
        return Mending(repairs, facts, rule, envelope.sender)
