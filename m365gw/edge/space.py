"""Whether the spool can take more mail: free space and the health gate.

Space is looked at once a second, not for each message. When the answer is no, MAIL gets 452 4.3.1
(the disk is nearly full) or 451 4.3.0 (the disk failed, and its gate is closed), before a client
has sent anything large.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.spool import Spool

LOOK_SECONDS: Final = 1.0

FULL: Final = Reply(452, "4.3.1", "Insufficient system storage, try again later")
BROKEN: Final = Reply(451, "4.3.0", "Local storage error, try again later")


class Space:
    """The room left in the spool above a mark, in octets."""

    def __init__(self, spool: Spool, mark: int, clock: IReactorTime) -> None:
        self._spool = spool
        self._mark = mark
        self._clock = clock
        self._room = 0
        self._look_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the disk can be trusted."""
        return not self._spool.health.closed

    def check(self, size: int) -> None:
        """Raises Refused when a message of this declared size (0: not declared) has no room."""
        if not self.is_open:
            raise Refused(BROKEN)
        now = self._clock.seconds()
        if now >= self._look_at:
            self._room = self._spool.free_space() - self._mark
            self._look_at = now + LOOK_SECONDS
        if size > self._room or self._room <= 0:
            raise Refused(FULL)
