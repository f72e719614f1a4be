"""One webhook: news goes to it in order, one at a time, and again until it is taken.

What is not taken is repeated with growing pauses, or the one the receiver asks for (Retry-After);
what follows waits, so that nobody reads of an end before its beginning. After a day a piece of
news is given up, as is one that the receiver refuses for what it is; and when too much waits, the
oldest. A receiver that fails for a quarter of an hour is an incident of its own, for others.

Failures: none leave here; they are logged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from m365gw.alerts.event import Event
from m365gw.alerts.payload import body, headers
from m365gw.alerts.posting import Outcome, Post, place_of
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis

FIRST_PAUSE = 5.0  # seconds; doubled by each failure
LONGEST_PAUSE = 600.0
KEPT = 86400.0  # seconds until a piece of news is given up
REFUSALS = 3  # of one body, until that is given up
MOST = 200  # pieces of news that wait
FAILING = 900.0  # seconds without success until it is an incident
FAILS = "webhook-fails"  # the key of that

_diagnostics = Logger()


@define
class _Waiting:
    event: Event
    content: bytes
    since: float
    refusals: int = 0


@define
class Webhook:
    """One receiver of news. `secret` signs; "" for no signature. `told` hears what need not be told
    any more: it was taken, or given up."""

    url: str
    secret: str
    post: Post
    clock: IReactorTime
    log: EventLog
    incidents: Incidents
    told: Callable[[Event], object]
    _waiting: deque[_Waiting] = field(factory=deque, init=False)
    _is_busy: bool = field(default=False, init=False)
    _again: IDelayedCall | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _failing_since: float = field(default=0.0, init=False)
    _is_over: bool = field(default=False, init=False)

    @property
    def place(self) -> str:
        """What it is called where people see it."""
        return place_of(self.url)

    def tell(self, event: Event) -> None:
        """Send this, behind what waits already."""
        if dict(event.incident.subject).get("webhook") == self.place:
            return  # that it fails is for others
        if len(self._waiting) >= MOST:
            self._give_up("too much news waits", 1 if self._is_busy else 0)
        self._waiting.append(_Waiting(event, body(event), self.clock.seconds()))
        if not self._is_busy and self._again is None:
            self._go_on()

    async def try_once(self, event: Event) -> Outcome:
        """Send this now, whatever waits, and only once: for a test."""
        return await self._posted(_Waiting(event, body(event), self.clock.seconds()))

    def stop(self) -> None:
        """Send nothing more."""
        self._is_over = True
        if self._again is not None and self._again.active():
            self._again.cancel()

    def _go_on(self) -> None:
        self._again = None
        sending = Deferred.fromCoroutine(self._send_all())
        sending.addErrback(lambda fault: _diagnostics.failure("webhook", failure=fault))

    async def _send_all(self) -> None:
        """Send what waits, until something is not taken."""
        self._is_busy = True
        try:
            while self._waiting and not self._is_over:
                first = self._waiting[0]
                outcome = await self._posted(first)
                if not outcome.is_taken:
                    self._put_off(first, outcome)
                    return
                self._waiting.popleft()
                self.told(first.event)
                self._succeeded()
        finally:
            self._is_busy = False

    def _put_off(self, first: _Waiting, outcome: Outcome) -> None:
        self._failed(outcome)
        first.refusals += outcome.is_refused
        if first.refusals >= REFUSALS:
            self._give_up(f"it was refused: {outcome.words}", 0)
        elif self.clock.seconds() - first.since >= KEPT:
            self._give_up(f"it could not be sent for a day: {outcome.words}", 0)
        if not self._is_over:
            pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 16), LONGEST_PAUSE)
            self._again = self.clock.callLater(max(pause, outcome.wait), self._go_on)

    async def _posted(self, one: _Waiting) -> Outcome:
        fields = headers(one.content, one.event.id, self.secret, self.clock.seconds())
        return await self.post(self.url, one.content, fields)

    def _succeeded(self) -> None:
        if self._failures:
            self._say("alert.sent_again", "info", f"{self.place} takes news again")
        self.incidents.close(FAILS, webhook=self.place)
        self._failures = 0

    def _failed(self, outcome: Outcome) -> None:
        now = self.clock.seconds()
        self._failures += 1
        if self._failures == 1:
            self._failing_since = now
            note = f"{self.place} takes no news of incidents: {outcome.words}; tried again"
            self._say("alert.not_sent", "warn", note)
        if now - self._failing_since >= FAILING:
            told = Diagnosis(
                FAILS,
                f"The webhook {self.place} takes no news of incidents.",
                f"The last attempt: {outcome.words}.",
                "Look whether the receiver runs and its address in [alerts] is right; m365gw"
                " incident test tries it. What waits is sent as soon as it answers, for a day.",
                "operator",
            )
            self.incidents.open(told, webhook=self.place)

    def _give_up(self, why: str, place: int) -> None:
        """One piece of news will not be sent: the oldest that is not on its way."""
        given_up = self._waiting[place].event
        del self._waiting[place]
        self.told(given_up)
        note = f"given up for {self.place}, as {why}: {given_up.headline}"
        self._say("alert.given_up", "error", note)

    def _say(self, event: str, level: str, note: str) -> None:
        self.log.emit(event, "alerts", level=level, note=note)
