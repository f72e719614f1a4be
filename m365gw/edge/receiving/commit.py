"""Group commit: finished drafts become durable together.

Natural batching: a draft that finishes while nothing is being committed starts at once; what
finishes meanwhile waits for the next round. So a quiet gateway adds no delay, and a busy one
shares each sync between many messages.

A draft's Deferred fires with its entry when the entry is on stable storage, and fails with
SpoolError (452 or 451) when it is not; a fault of the spool itself fails it with 451 4.3.0. What
an answered client raises never stops the rounds: the others wait for their answers too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.draft import Draft
from m365gw.spool.names import Entry
from m365gw.spool.round import Result

MOST_DRAFTS: Final = 256  # of one round
MOST_OCTETS: Final = 32 * 1024 * 1024  # of one round; a single draft may be larger

Commit = Callable[[Sequence[Draft]], "Deferred[list[Result]]"]

_log = Logger()


class GroupCommit:
    """Commits drafts in rounds, one round at a time.

    `commit` makes the drafts of one round durable, without the reactor waiting for it (`disk`).
    """

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._pending: deque[tuple[Draft, Deferred[Entry]]] = deque()
        self._is_running = False
        self._idle: list[Deferred[None]] = []

    def commit(self, draft: Draft) -> Deferred[Entry]:
        """Make a finished draft durable; the Deferred is its promise."""
        promise: Deferred[Entry] = Deferred()
        self._pending.append((draft, promise))
        if not self._is_running:
            self._start()
        return promise

    def settled(self) -> Deferred[None]:
        """Fires when nothing is being committed and nothing waits for it."""
        done: Deferred[None] = Deferred()
        if self._is_running:
            self._idle.append(done)
        else:
            done.callback(None)
        return done

    def _start(self) -> None:
        """Begin a round with what waits, if anything does."""
        batch = self._next_batch()
        self._is_running = bool(batch)
        if batch:
            outcome = maybeDeferred(self._commit, [draft for draft, _ in batch])
            outcome.addErrback(_spool_is_broken, len(batch))
            outcome.addCallback(self._finish, batch)

    def _next_batch(self) -> list[tuple[Draft, Deferred[Entry]]]:
        batch: list[tuple[Draft, Deferred[Entry]]] = []
        octets = 0
        while self._pending and len(batch) < MOST_DRAFTS:
            octets += self._pending[0][0].size
            if batch and octets > MOST_OCTETS:
                break
            batch.append(self._pending.popleft())
        return batch

    def _finish(
        self, results: Sequence[Entry | Refused], batch: list[tuple[Draft, Deferred[Entry]]]
    ) -> None:
        """Start the next round first, so that the disk works while the clients are answered."""
        self._start()
        for (_, promise), result in zip(batch, results, strict=True):
            if isinstance(result, Refused):
                promise.errback(result)
            else:
                promise.callback(result)
        if not self._is_running:
            idle, self._idle = self._idle, []
            for done in idle:
                done.callback(None)


def _spool_is_broken(failure: Failure, count: int) -> list[Refused]:
    """A round that raised: nothing of it was promised, and all of its clients may try again."""
    _log.failure("A commit of {count} messages failed as a whole", failure, count=count)
    return [
        Refused(Reply(451, "4.3.0", "The message could not be stored; try again later"))
        for _ in range(count)
    ]
