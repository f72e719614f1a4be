"""The disk as mail in sees it: a round of commit takes its time, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from twisted.internet.defer import Deferred

from m365gw.spool.draft import Draft
from m365gw.spool.round import Result
from m365gw.spool.spool import Spool
from m365gw.syncing import Syncing


@frozen
class Disk:
    """Commits drafts to a spool."""

    spool: Spool
    syncing: Syncing

    async def _commit(self, drafts: Sequence[Draft]) -> list[Result]:
        begun = self.spool.round(drafts)
        while descriptors := begun.unsynced():
            begun.synced(await self.syncing.sync(descriptors))
        return begun.conclude()

    def commit(self, drafts: Sequence[Draft]) -> Deferred[list[Result]]:
        """Begin a round. Fires with what became of each draft, in order."""
        return Deferred.fromCoroutine(self._commit(drafts))
