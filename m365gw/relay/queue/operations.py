"""What an operator does to the queue of a running service.

It is done in step with the deliveries: what waits is taken out of the schedule, changed on disk and
put back, all in one turn of the reactor; what is in flight is left alone and its operator's wish
kept until it lands (`wishes`). Released and retried messages enter the schedule at once, the oldest
first; new mail keeps its share of the turns.

Many messages are done in slices, so that mail goes on meanwhile. Failures: none leave `act`, each
message has its own result; `SpoolError` from `flush`, when the spool cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from m365gw.events import EventLog
from m365gw.relay.queue.dispatch import Dispatch
from m365gw.relay.queue.search import Search
from m365gw.relay.queue.wishes import tell
from m365gw.relay.threads import Calls
from m365gw.spool import operations
from m365gw.spool.health import Gone, SpoolError
from m365gw.spool.names import Entry, parse_id, tag
from m365gw.spool.operations import Action, Done, Result, gone
from m365gw.spool.schedule import Schedule
from m365gw.spool.spool import Spool

SLICE = 20  # messages changed on disk in one turn of the reactor
HASTENED = 5  # the same of a flush, which may go on for minutes

_diagnostics = Logger()


@define(kw_only=True)
class Operations:
    """Acts on the queue of this process."""

    spool: Spool
    schedule: Schedule
    dispatch: Dispatch
    search: Search
    disk: Calls
    clock: IReactorTime
    log: EventLog

    def active(self) -> list[str]:
        """The messages that are being delivered now."""
        return self.dispatch.flights.queue_ids

    async def act(self, action: Action, queue_ids: Sequence[str], reason: str = "") -> list[Result]:
        """Do it to these messages; what is said to be done is durable. A result for each."""
        results = {queue_id: gone(queue_id) for queue_id in queue_ids}
        try:
            missing = await self._pass(action, list(results), reason, results)
            if missing:  # they moved while they were looked for
                await self._pass(action, missing, reason, results)
            done = await self.disk.call(operations.durable, self.spool, list(results.values()))
        except SpoolError as error:
            words = f"the spool cannot be read: {error.cause.strerror}"
            left = [one for one in results.values() if one.result is Done.GONE]
            results |= {one.queue_id: evolve(one, result=Done.FAILED, words=words) for one in left}
            done = list(results.values())
        return await self._with_wishes_kept(done)

    async def flush(self, mailbox: str = "") -> int:
        """Everything that waits for its time, of one mailbox or of all, goes now; how many.

        What stops a mailbox is looked into at once as well. The messages enter the schedule one
        after the other, the oldest first, while this has long returned.
        """
        parts = []
        for part in self.schedule.waiting(tag(mailbox) if mailbox else None):
            parts.append(part)
            await self._others()
        count = sum(map(len, parts))
        self.dispatch.probe(mailbox)
        hastening = Deferred.fromCoroutine(self._hasten(merge(*parts)))
        hastening.addErrback(lambda fault: _diagnostics.failure("flush", failure=fault))
        messages = "1 message is" if count == 1 else f"{count} messages are"
        note = f"{messages} tried at once, as an operator wanted"
        self.log.emit("queue.flushed", "postqueue", note=note, mailbox=mailbox or "all")
        return count

    async def _hasten(self, waiting: Iterator[int]) -> None:
        while numbers := list(islice(waiting, HASTENED)):
            if self.dispatch.is_stopping or self.spool.health.closed:
                return
            for number in numbers:
                entry = self.schedule.entry(number)
                if entry is not None:
                    self._change(Action.RETRY, entry, "")
            await self._others()

    async def _pass(
        self, action: Action, queue_ids: list[str], reason: str, results: dict[str, Result]
    ) -> list[str]:
        """Act on each message where it is now; gives those that moved meanwhile."""
        unknown = [each for each in queue_ids if not self._knows(each)]
        found: dict[str, Entry] = {}
        if unknown:
            found = await self.search.find(unknown)
        missing = []
        for count, queue_id in enumerate(sorted(queue_ids)):  # ids sort by arrival
            if count % SLICE == SLICE - 1:
                await self._others()
            result = self._act_on_one(action, queue_id, found.get(queue_id), reason)
            if result is None:
                missing.append(queue_id)
            else:
                results[queue_id] = result
                tell(self.log, action, result, reason)
        return missing

    def _knows(self, queue_id: str) -> bool:
        number = _number(queue_id)
        return number in self.schedule or number in self.dispatch.flights

    def _act_on_one(
        self, action: Action, queue_id: str, found: Entry | None, reason: str
    ) -> Result | None:
        """None: it is not where it was, or was never there."""
        number = _number(queue_id)
        flying = self.dispatch.flights.entry(number)
        if flying is not None:
            return self.dispatch.wishes.add(flying, action, reason)
        entry = self.schedule.entry(number) or found
        return None if entry is None else self._change(action, entry, reason)

    def _change(self, action: Action, entry: Entry, reason: str) -> Result | None:
        try:
            result, rests = operations.act(self.spool, action, entry, reason)
        except Gone:
            self.schedule.remove(entry.id)  # what it knows is out of date
            return None
        if result.result is Done.DONE:
            self.dispatch.wishes.drop(entry.id)
        if result.result is Done.DONE or rests is None:
            self.schedule.remove(entry.id)
        if result.result is Done.DONE and rests is not None:
            self.dispatch.accepted(rests)
        return result

    async def _with_wishes_kept(self, results: list[Result]) -> list[Result]:
        try:
            await self.dispatch.wishes.write_down()
        except SpoolError as error:
            more = f", unless the service ends before: the disk failed ({error.cause.strerror})"
            return [
                evolve(one, words=one.words + more) if one.result is Done.LATER else one
                for one in results
            ]
        return results

    async def _others(self) -> None:
        """Let the rest of the service have its turn."""
        await deferLater(self.clock, 0)


def _number(queue_id: str) -> int:
    """The number of a queue id; -1, which no message has, for what is none."""
    try:
        return parse_id(queue_id)
    except ValueError:
        return -1
