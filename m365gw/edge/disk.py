"""The disk as mail in sees it: a round of commit takes its time, and nobody waits for it.

Where the kernel syncs files without a thread (`spool/group_sync`) all the rest of a round is done
in the reactor: no other thread then contends for the interpreter, which cost a fifth of the work
of a message. Elsewhere the whole round is done in a thread.

Failures: what a round raises goes to whom it was promised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from m365gw.spool.draft import Draft
from m365gw.spool.round import Result, Round
from m365gw.spool.spool import Spool

InThread = Callable[..., "Deferred[Any]"]  # call a function in a thread: (function, *arguments)


@implementer(IReadDescriptor)
class Disk:
    """Commits rounds of drafts, one at a time.

    `in_thread` runs a function in a thread; it must keep one thread for this alone.
    """

    def __init__(self, spool: Spool, reactor: IReactorFDSet, in_thread: InThread) -> None:
        self._spool = spool
        self._reactor = reactor
        self._in_thread = in_thread
        self._round: Round | None = None  # the last that was begun here
        self._promise: Deferred[list[Result]] = Deferred()
        self._told_by = -1

    def commit(self, drafts: Sequence[Draft]) -> Deferred[list[Result]]:
        """Begin a round. Fires with what became of each draft, in order."""
        begun = self._spool.begin_commit(drafts)
        if begun is None:
            return self._in_thread(self._spool.commit, drafts)
        self._round, self._promise = begun, Deferred()
        if self._told_by < 0:
            self._told_by = begun.told_by
            self._reactor.addReader(self)
        return self._promise

    def close(self) -> None:
        """Hear of nothing any more. Not while a round is on its way."""
        if self._told_by >= 0:
            self._reactor.removeReader(self)
            self._told_by = -1

    # What the reactor calls

    def fileno(self) -> int:
        return self._told_by

    def logPrefix(self) -> str:
        return "disk"

    def doRead(self) -> None:
        """Something came back from the disk. Raises nothing: the reactor would not ask again."""
        assert self._round is not None
        try:
            results = self._round.go_on()
        except Exception:
            self._promise.errback(Failure())  # type: ignore[no-untyped-call]
            return
        if results is not None:
            self._promise.callback(results)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops."""
