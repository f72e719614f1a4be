"""The disk as mail in sees it: a round of commit takes its time, and nobody waits for it.

Small messages go by way of the commit log (`spool/commit_log`), others straight to their files.
`accepted` is called with each message that can be seen and sent: before its client is answered, or
with those of the log some hundredths of a second later.

Failures: of a message its result. What goes wrong with messages that were acknowledged breaks the
log and closes the gate of the spool: they are in it until they are taken up from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from m365gw.spool.draft import Draft
from m365gw.spool.names import Entry
from m365gw.spool.round import Result
from m365gw.spool.settling import Settling
from m365gw.spool.spool import Spool
from m365gw.syncing import Syncing

PAUSE: Final = 0.03  # seconds in which messages of the log gather, to become files together

_log = Logger()


class Disk:
    """Commits drafts to a spool. `syncing` syncs files, `log_syncing` only the log."""

    def __init__(
        self,
        spool: Spool,
        syncing: Syncing,
        log_syncing: Syncing,
        clock: IReactorTime,
        accepted: Callable[[Entry], object],
    ) -> None:
        self._spool = spool
        self._syncing = syncing
        self._log_syncing = log_syncing
        self._clock = clock
        self._accepted = accepted
        self._is_settling = False
        self._idle: list[Deferred[None]] = []

    def commit(self, drafts: Sequence[Draft]) -> Deferred[list[Result]]:
        """Begin a round. Fires with what became of each draft, in order."""
        return Deferred.fromCoroutine(self._commit(drafts))

    async def settled(self) -> None:
        """Returns when every acknowledged message is in its own file, or the log is broken."""
        if self._is_settling:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    async def _commit(self, drafts: Sequence[Draft]) -> list[Result]:
        logged = self._spool.logged_round(drafts)
        if logged is not None:
            [error] = await self._log_syncing.sync([logged.fd])
            results = logged.conclude(error)
            self._begin_settling()
            return results
        begun = self._spool.round(drafts)
        while descriptors := begun.unsynced():
            begun.synced(await self._syncing.sync(descriptors))
        results = begun.conclude()
        self._tell([result for result in results if isinstance(result, Entry)])
        return results

    def _begin_settling(self) -> None:
        if not self._is_settling:
            self._is_settling = True
            Deferred.fromCoroutine(self._settle_all())

    async def _settle_all(self) -> None:
        """Until nothing is left of which the log is the only place."""
        await self._pause()
        while settling := self._spool.settling():
            try:
                await self._settle(settling)
            except Exception:
                _log.failure("Mail of the commit log could not be put into its files")
                settling.give_up()
            await self._pause()
        self._is_settling = False
        idle, self._idle = self._idle, []
        for done in idle:
            done.callback(None)

    async def _settle(self, settling: Settling) -> None:
        if settling.synced(await self._syncing.sync(settling.descriptors)):
            [error] = await self._log_syncing.sync([settling.log_fd])
            self._tell(settling.conclude(error))

    def _pause(self) -> Deferred[None]:
        return deferLater(self._clock, PAUSE)

    def _tell(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            try:
                self._accepted(entry)
            except Exception:
                # It is durable, so its client is told so; the spool is looked through regularly.
                _log.failure("The relay could not be told of a message; it finds it later")
