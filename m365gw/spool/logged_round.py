"""One round of commit by way of the log: drafts become durable together, and visible later.

Their octets are written to the log when the round is made; the log is to be synced, once, and then
they are acknowledged. Their files stay hidden until they are durable themselves (`settling`).

Failures: SpoolError for all drafts of the round, when the log cannot be synced. It is then broken,
as a failed sync is never repeated; and as the disk may have the round or not, its messages are
noted as refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from m365gw.spool.commit_log import LOST, CommitLog, Logged
from m365gw.spool.draft import Draft
from m365gw.spool.health import Health, SpoolError
from m365gw.spool.round import Result


class LoggedRound:
    """Some drafts on their way. Made by `begin`."""

    def __init__(
        self, health: Health, log: CommitLog, drafts: Sequence[Draft], logged: Logged
    ) -> None:
        self._health = health
        self._log = log
        self._drafts = drafts
        self._logged = logged
        self.fd = log.fd  # to be synced

    @classmethod
    def begin(cls, health: Health, log: CommitLog, drafts: Sequence[Draft]) -> LoggedRound | None:
        """Write the drafts to the log; None when they must go the other way.

        Nothing has been done to them then.
        """
        octets = [draft.octets_of_file for draft in drafts]
        if not all(octets):
            return None
        logged = log.append(octets)
        return None if logged is None else cls(health, log, drafts, logged)

    def conclude(self, error: OSError | None) -> list[Result]:
        """What the sync came to: the entry of each draft, or its error, in order."""
        if error is None and self._log.is_broken:
            error = LOST
        if error is None:
            self._logged.messages = [draft.hand_over() for draft in self._drafts]
            return [kept.entry for kept in self._logged.messages]
        self._log.take_back(self._logged)
        self._log.fail(error)
        refused = SpoolError(error)
        for draft in self._drafts:
            self._health.refused.add(draft.id)
            draft.fail(refused)
        return [refused] * len(self._drafts)
