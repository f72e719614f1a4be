"""The rounds of the doctor: who is examined when, one examination at a time.

Somebody asks for one, or it is time ([doctor] every), or a mailbox has stopped and needs somebody:
then that one is examined a minute later, if it is still so, and once an hour at most. At most
`MOST_WAITING` mailboxes wait for that; the next round sees the others. What is examined by itself
never sends mail.

Failures: none leave here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from m365gw.doctor.casebook import GATEWAY, Casebook
from m365gw.doctor.doctor import Heard
from m365gw.doctor.finding import Finding
from m365gw.events import EventLog
from m365gw.incidents import Incident, Incidents, News
from m365gw.relay.threads import Calls

FIRST: Final = 600.0  # seconds from a start to its first round, where the last is too long ago
DELAY: Final = 60.0  # seconds from an incident of a mailbox until it is examined
AGAIN: Final = 3600.0  # seconds between two examinations of one mailbox for that reason
MOST_WAITING: Final = 20
ITSELF: Final = "the gateway itself"

_diagnostics = Logger()


class Examines(Protocol):
    """Whoever examines: `service.examination`."""

    @property
    def mailboxes(self) -> Sequence[str]: ...

    async def __call__(
        self, addresses: Sequence[str], *, send: bool, heard: Heard
    ) -> dict[str, Any]: ...


class Rounds:
    """From `start` to `stop`. `every` says how long it is between two rounds; 0: none."""

    def __init__(
        self,
        *,
        examine: Examines,
        book: Casebook,
        every: Callable[[], float],
        calls: Calls,
        clock: IReactorTime,
        incidents: Incidents,
        log: EventLog,
    ) -> None:
        self._examine = examine
        self.book = book
        self._every = every
        self._calls = calls
        self._clock = clock
        self._incidents = incidents
        self._log = log
        self._turn = DeferredLock()
        self._next: IDelayedCall | None = None
        self._waiting: dict[str, IDelayedCall] = {}
        self._last: dict[str, float] = {}

    @property
    def mailboxes(self) -> Sequence[str]:
        """The addresses there are."""
        return self._examine.mailboxes

    @property
    def is_busy(self) -> bool:
        """Whether an examination is under way."""
        return bool(self._turn.locked)

    def start(self) -> None:
        """Go on with what is remembered, and begin to make rounds."""
        self.book.load()
        self._incidents.listen(self._hear)
        self._plan()

    def stop(self) -> None:
        """Begin nothing more."""
        for due in (self._next, *self._waiting.values()):
            if due is not None and due.active():
                due.cancel()

    def begin(self, addresses: Sequence[str], by: str, *, send: bool = False) -> None:
        """Examine in the background; what is found comes into the book as it is found."""
        doing = Deferred.fromCoroutine(self(addresses, send=send, by=by))
        doing.addErrback(lambda fault: _diagnostics.failure("the doctor", failure=fault))

    async def __call__(
        self, addresses: Sequence[str], *, send: bool, by: str = "the API"
    ) -> dict[str, Any]:
        """The report on these mailboxes, on all when none is named."""
        await self._turn.acquire()
        wanted = {each.casefold() for each in addresses}
        names = [each for each in self.mailboxes if not wanted or each.casefold() in wanted]
        self.book.begin((GATEWAY, *names), by, self._clock.seconds())
        try:
            report = await self._examine(addresses, send=send, heard=self._heard)
        finally:
            self.book.end((GATEWAY, *names), self.mailboxes)
            self._turn.release()
        await self._keep()
        self._tell(report, by)
        return report

    def _heard(self, address: str, finding: Finding) -> None:
        self.book.hear(address, finding.plain())

    async def _keep(self) -> None:
        try:
            await self._calls.call(self.book.keep)
        except OSError as problem:
            note = f"the findings are not kept over a restart: {problem.strerror}"
            self._log.emit("doctor.unkept", "control", level="warn", note=note)

    def _tell(self, report: dict[str, Any], by: str) -> None:
        found = [("", report["gateway"])]
        found += [(each["address"], each["findings"]) for each in report["mailboxes"]]
        failed = [
            f"{finding['id']} {address}".strip()
            for address, findings in found
            for finding in findings
            if finding["result"] == "fail"
        ]
        note = f"failed: {', '.join(failed[:20])}" if failed else "no check failed"
        level = "warn" if failed else "info"
        self._log.emit("doctor.examined", "control", level=level, by=by, note=note)

    # -- by itself

    def _plan(self) -> None:
        """The next round, or a look whether rounds are wanted by then."""
        every, known = self._every(), self.book.known.get(GATEWAY)
        since = self._clock.seconds() - known.at if known else every
        wait = max(FIRST, every - since) if every else AGAIN
        self._next = self._clock.callLater(wait, self._round)

    def _round(self) -> None:
        if self._every():
            self.begin((), ITSELF)
        self._next = self._clock.callLater(max(FIRST, self._every()), self._round)

    def _hear(self, news: News, incident: Incident) -> None:
        """A listener of the board of incidents."""
        address = dict(incident.subject).get("mailbox", "")
        if news is News.CLOSED and address in self._waiting:
            self._waiting.pop(address).cancel()
        is_worth_it = (
            news is News.OPENED
            and incident.told.who != "nobody"
            and incident.state not in ("", "paused")
            and address in self.mailboxes
            and bool(self._every())
        )
        now = self._clock.seconds()
        is_known = address in self._waiting or now - self._last.get(address, -AGAIN) < AGAIN
        if is_worth_it and not is_known and len(self._waiting) < MOST_WAITING:
            due = self._clock.callLater(DELAY, partial(self._visit, address))
            self._waiting[address] = due

    def _visit(self, address: str) -> None:
        del self._waiting[address]
        self._last[address] = self._clock.seconds()
        self.begin([address], f"{ITSELF}, as it has stopped")
