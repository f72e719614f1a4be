"""Whether the spool can take more mail: free space, free files, and the health gate.

Space is looked at once a second, not for each message. When the answer is no, MAIL gets 452 4.3.1
(the disk is nearly full) or 451 4.3.0 (the disk failed, and its gate is closed), before a client
has sent anything large. The log is told once a minute what is short, where, and by which setting.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from m365gw.config.limits import Limits
from m365gw.edge.session.seldom import Seldom
from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.spool import Spool

LOOK_SECONDS: Final = 1.0

FULL: Final = Reply(452, "4.3.1", "Insufficient system storage, try again later")
BROKEN: Final = Reply(451, "4.3.0", "Local storage error, try again later")


class Space:
    """The room left in the spool above the marks of the settings."""

    def __init__(self, spool: Spool, limits: Limits, clock: IReactorTime, seldom: Seldom) -> None:
        self._spool = spool
        self._limits = limits
        self._clock = clock
        self._seldom = seldom
        self._room = 0  # octets
        self._lack = ""  # why no mail is taken at all, in words
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
            self._look()
            self._look_at = now + LOOK_SECONDS
        if self._lack:
            self._seldom.warn("lack", "spool.full", self._lack)
            raise Refused(FULL)
        if size > self._room:
            words = (
                f"A message of {size:,} octets was put off (452): {self._spool.path} has room for "
                f"{self._room:,} above [limits] minimal_free_space. Make room there"
            )
            self._seldom.warn("size", "spool.full", words)
            raise Refused(FULL)

    def _look(self) -> None:
        least, files = self._limits.minimal_free_space, self._spool.free_files()
        free = self._spool.free_space()
        self._room = free - least
        self._lack = ""
        if self._room <= 0:
            self._lack = (
                f"No mail is taken (452): {self._spool.path} has {free:,} octets free, and "
                f"[limits] minimal_free_space is {least:,}. Make room there; mail is taken again "
                "by itself"
            )
        elif files is not None and files <= self._limits.minimal_free_inodes:
            self._lack = (
                f"No mail is taken (452): the disk of {self._spool.path} has room for {files:,} "
                f"more files, and [limits] minimal_free_inodes is "
                f"{self._limits.minimal_free_inodes:,}. Remove small files there (df -i shows "
                "them); mail is taken again by itself"
            )
