"""Where a message comes to rest when it was in hand: gone, in hold, or in corrupt.

What became known of a message and could not be noted, as the disk failed, is kept in memory and
noted before all else when the message is next in hand.

Failures: `SpoolError`; the message is where it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog
from m365gw.relay.delivery.damage import put_off_unreadable, tell_corrupt
from m365gw.relay.delivery.judgement import Judge
from m365gw.smtp.verdict import Verdict
from m365gw.spool.health import Corrupt, SpoolError, Unreadable
from m365gw.spool.message import Message
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool


@define(kw_only=True)
class Resting:
    """Notes what became of messages, and puts them where they belong."""

    spool: Spool
    judge: Judge
    clock: IReactorTime
    log: EventLog
    _unnoted: dict[int, Sequence[Verdict]] = field(factory=dict)  # known, but not yet on disk

    def settle(self, message: Message, verdicts: Sequence[Verdict], now: float) -> None:
        """Note verdicts on disk."""
        try:
            self.spool.settle(message, verdicts, now)
        except SpoolError:
            self._unnoted[message.entry.id] = verdicts
            raise

    def settle_known(self, message: Message, now: float) -> None:
        """Note what could not be noted before."""
        known = self._unnoted.get(message.entry.id)
        if known is not None:
            self.spool.settle(message, known, now)
            del self._unnoted[message.entry.id]

    def settle_if_it_stays(self, message: Message, verdicts: Sequence[Verdict]) -> None:
        """These verdicts end the message: they are only to be noted if it cannot be removed."""
        self._unnoted[message.entry.id] = verdicts

    def remove(self, message: Message) -> None:
        """The message has ended."""
        self.spool.remove(message)
        self._forget(message.entry)
        self.log.emit("message.removed", "qmgr", message.entry.queue_id, note="removed")

    def hold(self, message: Message, words: str) -> Entry:
        """Put the message aside for an operator. `<id>` in the words stands for its queue id."""
        reason = words.replace("<id>", message.queue_id)
        held = self.spool.hold(message, reason)
        self._forget(held)
        self.log.emit("message.held", "qmgr", held.queue_id, level="warn", note=reason)
        return held

    def set_aside(self, message: Message, damage: Corrupt) -> None:
        """It was found to be damaged while it was in hand."""
        self.spool.set_aside(message.entry)
        self.say_damaged(message.entry, damage)

    def say_damaged(self, entry: Entry, damage: Corrupt) -> None:
        """A damaged message was moved to `corrupt/`."""
        self._forget(entry)
        tell_corrupt(self.log, entry, damage)

    def put_off(self, entry: Entry, error: Unreadable) -> Entry:
        """Look at an unreadable message again later. Gives the entry under which it rests."""
        now = self.clock.seconds()
        wait = self.judge.next_glance(entry, now) - now
        return put_off_unreadable(self.spool, self.log, entry, error, wait, now)

    def _forget(self, entry: Entry) -> None:
        """The message will not be taken again: nothing of it stays in memory."""
        self._unnoted.pop(entry.id, None)
        self.judge.forget(entry)
