"""One thing to be done to many messages: looked for, shown, done when somebody says so.

An order looks for its messages first and does nothing (`asked`); what it would touch is shown.
`do` then acts on them in slices through the operations of the running service, so that mail goes on
meanwhile. It can be broken off at any time; what was done stays done.

Failures: none leave here. A spool that cannot be read is said in the summary, and what could not be
done to a message is told with it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from m365gw.admin.queue_api import MOST_IDS
from m365gw.admin.queue_listing import Wish, matching
from m365gw.admin.queue_roll import Roll
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.rows import whom
from m365gw.admin.web.words import ACTIONS
from m365gw.spool.browse import look
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.names import parse_id, render_id
from m365gw.spool.operations import Action, Done
from m365gw.words import counted

SAMPLE: Final = 10  # messages that are shown before anything is done
TROUBLES: Final = 50  # messages whose failure is told one by one

_diagnostics = Logger()


@define(eq=False)
class BulkOrder:
    """One order. `state`: looking, asked, acting, done or stopped."""

    desk: Desk
    action: Action
    by: str
    began_at: float
    state: str = "looking"
    seen: int = 0  # messages looked at
    of: int = 0
    handled: int = 0
    sample: Sequence[dict[str, str]] = ()
    troubles: list[tuple[str, str]] = field(factory=list)
    _numbers: array[int] = field(factory=lambda: array("Q"))
    _results: Counter[Done] = field(factory=Counter)
    _fault: str = ""

    # -- what a page shows

    @property
    def title(self) -> str:
        return f"{ACTIONS[self.action].button} messages"

    @property
    def words(self) -> str:
        return f"{ACTIONS[self.action].button} {counted(self.count, 'message')}"

    @property
    def done(self) -> str:
        return ACTIONS[self.action].done

    @property
    def meaning(self) -> str:
        return ACTIONS[self.action].meaning

    @property
    def is_grave(self) -> bool:
        return ACTIONS[self.action].is_grave

    @property
    def is_busy(self) -> bool:
        return self.state in ("looking", "acting")

    @property
    def count(self) -> int:
        """How many messages it is about."""
        return len(self._numbers)

    @property
    def summary(self) -> str:
        """What became of it, in one sentence."""
        if self._fault:
            return self._fault
        to_be = "to be " if self.action in (Action.RETRY, Action.BOUNCE) else ""
        parts = [f"{counted(self._results[Done.DONE], 'message')} {to_be}{self.done}"]
        if self._results[Done.LATER]:
            parts.append(f"{self._results[Done.LATER]:,} when their delivery ends")
        for done, words in ((Done.GONE, "gone already"), (Done.UNCHANGED, "as they were")):
            if self._results[done]:
                parts.append(f"{self._results[done]:,} {words}")
        if self._results[Done.FAILED]:
            parts.append(f"{self._results[Done.FAILED]:,} failed")
        return ", ".join(parts) + "."

    # -- what happens

    def choose(self, queue_ids: Sequence[str]) -> None:
        """These messages, picked one by one. What is no queue id is left out."""
        for queue_id in queue_ids:
            try:
                self._numbers.append(parse_id(queue_id))
            except ValueError:
                continue
        self._go(self._show())

    def find(self, roll: Roll, wish: Wish) -> None:
        """All messages that fit a wish."""
        self.of = len(roll)
        self._go(self._find(roll, wish))

    def do(self) -> None:
        """Do it to all that were found."""
        if self.state == "asked":
            self.state = "acting"
            self.desk.audit(self.by, self.action.value, counted(self.count, "message"))
            self._go(self._act())

    def stop(self) -> None:
        """Go no further."""
        if self.state not in ("done", "stopped"):
            self.state = "stopped"

    def _go(self, steps: Any) -> None:
        Deferred.fromCoroutine(self._told(steps)).addErrback(
            lambda fault: _diagnostics.failure("bulk order", failure=fault)
        )

    async def _told(self, steps: Any) -> None:
        try:
            await steps
        except Unusable as error:
            self._fault, self.state = str(error), "stopped"
        except SpoolError as error:
            self._fault = f"The spool cannot be read: {error.cause.strerror}."
            self.state = "stopped"

    async def _find(self, roll: Roll, wish: Wish) -> None:
        def look_through() -> None:
            for entry in matching(self.desk.open_spool, roll, wish, self._seen):
                self._numbers.append(entry.id)

        await self.desk.calls.call(look_through)
        self.seen = self.of
        await self._show()

    def _seen(self, count: int) -> bool:
        self.seen = count
        return self.state == "looking"

    async def _show(self) -> None:
        self.sample = await self.desk.calls.call(self._look)
        if self.state == "looking":
            self.state = "asked"

    def _look(self) -> list[dict[str, str]]:
        """BLOCKING. The first few messages."""
        shown = []
        spool = self.desk.open_spool()
        try:
            found = spool.find_all(self._numbers[:SAMPLE])
            for number in sorted(found):
                queued = look(spool, found[number])
                if queued is not None:
                    shown.append(
                        {
                            "queue_id": render_id(number),
                            "state": queued.entry.state.value,
                            "sender": queued.envelope.sender or "<>",
                            "recipients": whom(queued),
                        }
                    )
        finally:
            spool.close()
        return shown

    async def _act(self) -> None:
        left = iter(self._numbers)
        reason = f"in the console, by {self.by}" if self.action is Action.HOLD else ""
        while self.state == "acting" and (numbers := list(islice(left, MOST_IDS))):
            ids = [render_id(number) for number in numbers]
            for one in await self.desk.queue.act(self.action, ids, reason):
                self._results[one.result] += 1
                if one.result is Done.FAILED and len(self.troubles) < TROUBLES:
                    self.troubles.append((one.queue_id, one.words))
            self.handled += len(numbers)
        self.desk.rolls.outdate()
        if self.state == "acting":
            self.state = "done"
