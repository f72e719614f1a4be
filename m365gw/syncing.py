"""Files synced while the reactor goes on: what mail in and mail out each have one of.

What is asked for while a group of files is being synced makes up the next group. So a quiet gateway
adds no delay, and a busy one shares each flush of the disk between many. Where the kernel does it
without a thread (`spool/group_sync`) no other thread contends for the interpreter, which cost a
fifth of the work of a message; elsewhere it is done in one.

Failures: none. What becomes of each file is a result.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from m365gw.spool.group_sync import MOST_FILES, GroupSync, Results, one_by_one

InThread = Callable[..., "Deferred[Any]"]  # call a function in a thread: (function, *arguments)

_log = Logger()


@implementer(IReadDescriptor)
class Syncing:
    """Syncs files, one group after the other.

    `in_thread` runs a function in a thread, where the kernel does not do without. `took` is told
    the seconds each group has taken.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        group: GroupSync,
        in_thread: InThread,
        took: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._group = group
        self._waiting: deque[tuple[Sequence[int], Deferred[Results]]] = deque()
        self._underway: list[tuple[Sequence[int], Deferred[Results]]] = []
        self._told_by = -1
        self._took = took
        self._begun_at = 0.0  # of the group under way

    def sync(self, descriptors: Sequence[int]) -> Deferred[Results]:
        """Sync these files, at most MOST_FILES. Fires with what became of each, in order."""
        promise: Deferred[Results] = Deferred()
        self._waiting.append((descriptors, promise))
        if not self._underway:
            self._start()
        return promise

    def close(self) -> None:
        """Hear of nothing any more. Not while anything is under way."""
        if self._told_by >= 0:
            self._reactor.removeReader(self)
            self._told_by = -1
        self._group.close()

    def _start(self) -> None:
        """Begin a group with what waits, if anything does."""
        descriptors: list[int] = []
        while self._waiting and len(descriptors) + len(self._waiting[0][0]) <= MOST_FILES:
            self._underway.append(self._waiting.popleft())
            descriptors += self._underway[-1][0]
        if not descriptors:
            return
        self._begun_at = monotonic()
        if not self._group.begin(descriptors):
            promise = self._in_thread(one_by_one, descriptors)
            promise.addErrback(_unknown, len(descriptors)).addCallback(self._finish)
        elif self._told_by < 0:
            self._told_by = self._group.event_fd
            self._reactor.addReader(self)

    def _finish(self, results: Results) -> None:
        """Begin the next group first, so that the disk works while these are told."""
        underway, self._underway = self._underway, []
        self._took(monotonic() - self._begun_at)
        self._start()
        for descriptors, promise in underway:
            promise.callback(results[: len(descriptors)])
            results = results[len(descriptors) :]

    # What the reactor calls

    def fileno(self) -> int:
        return self._told_by

    def logPrefix(self) -> str:
        return "sync"

    def doRead(self) -> None:
        """Some files have come back. Raises nothing: the reactor would not ask again."""
        try:
            results = self._group.results()
        except Exception:
            _log.failure("What the disk said was lost; none of these files counts as synced")
            results = self._group.give_up()
        if results is not None:
            self._finish(results)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops."""


def _unknown(failure: Failure, count: int) -> Results:
    """A file of which nothing is known has failed."""
    _log.failure("Files could not be synced", failure)
    return [OSError(errno.EIO, os.strerror(errno.EIO)) for _ in range(count)]
