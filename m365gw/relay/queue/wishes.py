"""What operators want done to messages that are being delivered: done when their delivery ends.

A file is never touched under its delivery. The last wish for a message is the one that counts, and
outlives a crash: whatever is about to enter the schedule is first looked up here. A wish for a
message whose delivery was its end is told in the log as missed.

Failures: `SpoolError` from `write_down`, when a crash now would forget the wishes.
"""

from __future__ import annotations

import json
from collections.abc import Container

from attrs import define, field
from twisted.internet.defer import DeferredLock

from m365gw.events import EventLog
from m365gw.relay.threads import Calls
from m365gw.spool.health import Gone, SpoolError
from m365gw.spool.names import Entry, parse_id, render_id
from m365gw.spool.operations import Action, Done, Result, act
from m365gw.spool.spool import Spool

STATE_FILE = "wishes.json"

# The event of each action, and what is then said of the message.
_SAID = {
    Action.HOLD: ("message.held", "held"),
    Action.RELEASE: ("message.released", "released"),
    Action.RETRY: ("message.retried", "tried at once"),
    Action.EXPIRE: ("message.expired", "returned to its sender at its next turn"),
    Action.BOUNCE: ("message.expired", "returned to its sender"),
    Action.REMOVE: ("message.removed", "removed"),
}


@define(kw_only=True)
class Wishes:
    """Wishes by the number of their message."""

    spool: Spool
    disk: Calls
    log: EventLog
    _wishes: dict[int, tuple[Action, str]] = field(factory=dict)
    _is_noted: bool = True  # whether the file says what is here
    _writing: DeferredLock = field(factory=DeferredLock)

    def __contains__(self, number: int) -> bool:
        return number in self._wishes

    def restore(self) -> None:
        """The wishes of the last process."""
        try:
            data = self.spool.read_state(STATE_FILE)
            kept = json.loads(data) if data is not None else {}
            self._wishes = {
                parse_id(queue_id): (Action(action), str(reason))
                for queue_id, (action, reason) in kept.items()
            }
        except (SpoolError, ValueError, TypeError, AttributeError) as error:
            note = f"{STATE_FILE} in the spool cannot be used ({type(error).__name__})"
            self.log.emit("wishes.lost", "qmgr", level="warn", note=note)

    def add(self, entry: Entry, action: Action, reason: str) -> Result:
        """Wish for a message in flight; `write_down` makes it last.

        What lets a message go on takes back an older wish, and is nothing to wish for itself.
        """
        if action in (Action.RELEASE, Action.RETRY):
            if not self.drop(entry.id):
                return Result(entry.queue_id, Done.UNCHANGED, "it is being delivered now")
            return Result(entry.queue_id, Done.DONE, "it is being delivered, and goes on")
        before, why = self._wishes.get(entry.id, (action, ""))
        self._is_noted = False
        # To want the same once more, without a reason, does not forget the reason.
        self._wishes[entry.id] = action, reason or (why if before is action else "")
        words = f"it is being delivered; if it is still here then, it is {_SAID[action][1]}"
        return Result(entry.queue_id, Done.LATER, words)

    def drop(self, number: int) -> bool:
        """Take back what was wished for a message; whether something was."""
        if self._wishes.pop(number, None) is None:
            return False
        self._is_noted = False
        return True

    def drop_all_but(self, numbers: Container[int]) -> None:
        """Take back what was wished for messages that are not among these."""
        for number in [number for number in self._wishes if number not in numbers]:
            self.drop(number)

    def grant(self, entry: Entry) -> Entry | None:
        """Do what is wanted of a message that has landed.

        Gives the entry under which it may go on. None: it may not, or not before it was looked at
        again, because what was wanted could not be done.
        """
        action, reason = self._wishes[entry.id]
        try:
            result, rests = act(self.spool, action, entry, reason)
        except Gone:  # it is under another name: the wish waits until that is found
            return None
        tell(self.log, action, result, reason)
        if result.result is Done.FAILED:
            return None
        self.drop(entry.id)
        return rests

    def miss(self, entry: Entry) -> None:
        """The delivery was the end of the message."""
        if self.drop(entry.id):
            note = "what an operator wanted of it came too late: its delivery was its end"
            self.log.emit("operation.missed", "postsuper", entry.queue_id, note=note)

    async def write_down(self) -> None:
        """Make the file say what is here, durably. Raises SpoolError."""
        if self._is_noted:
            return
        await self._writing.acquire()  # two at a time would write one file
        try:
            kept = {render_id(number): [a.value, why] for number, (a, why) in self._wishes.items()}
            self._is_noted = True
            data = json.dumps(kept).encode("ascii")
            await self.disk.call(self.spool.write_state, STATE_FILE, data)
        except SpoolError:
            self._is_noted = False
            raise
        finally:
            self._writing.release()


def tell(log: EventLog, action: Action, result: Result, reason: str) -> None:
    """What an operator did to a message, in the log."""
    event, done = _SAID[action]
    if result.result is Done.DONE:
        note = f"{done}, by an operator" + (f": {reason}" if reason else "")
        log.emit(event, "postsuper", result.queue_id, note=note)
    elif result.result is Done.FAILED:
        note = f"an operator wanted it {done}: {result.words}"
        log.emit("operation.failed", "postsuper", result.queue_id, level="error", note=note)
