"""A day of ten mailboxes and 200,000 messages in a few minutes: are Microsoft's limits kept, and
do small senders get through beside large ones?

    python -m bench.simulated_day --picture docs/pictures/simulated-day.png

The loop of mail out, the schedule, the governor and its ledger are the real ones, on a clock that
is moved from one event to the next. What is pretended is the message (no file is written), the
network (each transaction takes its time, some very long) and Microsoft, which counts on its own,
at the final dot, and knows nothing of the governor.
"""

from __future__ import annotations

import io
import os
import random
import tempfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from math import ceil
from typing import Any, TypeVar, cast

import click
from attrs import define, evolve, field, frozen
from twisted.internet.task import Clock, deferLater

from m365gw.config.settings import Governor as Limits
from m365gw.config.settings import Queue
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.delivery.delivery import Delivery
from m365gw.relay.limits.governor import Governor
from m365gw.relay.queue.dispatch import Dispatch
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import Account
from m365gw.spool.ledger import LEDGER, Clocks, Ledger
from m365gw.spool.names import Entry, State, tag
from m365gw.spool.schedule import Schedule
from m365gw.spool.spool import Spool

START = 1_800_057_600.0  # midnight
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SHARES = (30, 20, 15, 10, 7.5, 6, 4.5, 3.5, 2.5, 1)  # of the mail, in per cent, by mailbox
BURST, CURVE, STEADY, SINGLE = 1, 2, 3, 4  # the sources: an ERP, a web shop, monitoring, a fax
MOST_SLOTS = 3  # one message of each other source

T = TypeVar("T")


@frozen
class Arrival:
    """A message handed in."""

    at: float
    mailbox: str
    source: int
    recipients: int


def mail(messages: int, chance: random.Random, length: float = DAY) -> list[Arrival]:
    """A day's mail: half in one burst for each mailbox, the rest by the hour, with a few faxes."""
    found = []
    for number, share in enumerate(SHARES):
        mailbox, count = f"box{number}@contoso.com", round(messages * share / 100)
        burst_at = length * (0.02 + 0.08 * number)
        faxes = min(48, count // 10)
        for place in range(count):
            if place < faxes:
                source, at = SINGLE, chance.uniform(0, length)
            elif place < count / 2:
                source, at = BURST, burst_at + place / 200
            elif place < count * 0.9:
                source, at = CURVE, chance.gauss(length * 0.6, length * 0.12) % length
            else:
                source, at = STEADY, chance.uniform(0, length)
            recipients = 1 if chance.random() < 0.995 else chance.randrange(2, 150)
            found.append(Arrival(START + at, mailbox, source, recipients))
    return sorted(found, key=lambda arrival: arrival.at)


@define
class Microsoft:
    """What arrives, counted on the other side."""

    dots: dict[str, list[tuple[float, int]]] = field(factory=lambda: defaultdict(list))
    connected: Counter[str] = field(factory=Counter)
    most_connected: Counter[str] = field(factory=Counter)

    def connect(self, mailbox: str, change: int) -> None:
        self.connected[mailbox] += change
        most = max(self.most_connected[mailbox], self.connected[mailbox])
        self.most_connected[mailbox] = most

    def most_messages(self, mailbox: str, span: float) -> int:
        """The most messages in any such span of time, from any message on."""
        times = [at for at, _ in self.dots[mailbox]]
        return max(
            (bisect_right(times, at + span) - place for place, at in enumerate(times)), default=0
        )

    def most_recipients(self, mailbox: str, span: float) -> int:
        """The most recipients in any such span of time."""
        most = recent = first = 0
        dots = self.dots[mailbox]
        for at, count in dots:
            recent += count
            while dots[first][0] < at - span:
                recent -= dots[first][1]
                first += 1
            most = max(most, recent)
        return most


@define
class Wait:
    """How long one message of a source that had nothing else in the queue took to be begun."""

    mailbox: str
    source: int
    at: float
    seconds: float
    slots: int  # messages of its mailbox that were begun before it


class NoDisk:
    """Nothing is made durable, and nothing found: the day is pretended."""

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return cast(T, ())


class SimulatedDay:
    """Everything of mail out, and the pretended world around it."""

    def __init__(self, folder: str, arrivals: list[Arrival], limits: Limits, seed: int = 1) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.chance = random.Random(seed)
        self.arrivals = arrivals
        self.microsoft = Microsoft()
        self.waits: list[Wait] = []
        self.lines = io.StringIO()
        self._left = {number: each.recipients for number, each in enumerate(arrivals)}
        self._begun: Counter[str] = Counter()  # messages, by mailbox
        self._unfinished: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        self._alone: dict[int, int] = {}  # message to what was begun when it came
        self._wire(folder, limits)

    def _wire(self, folder: str, limits: Limits) -> None:
        seconds = self.clock.seconds
        names = sorted({arrival.mailbox for arrival in self.arrivals})
        accounts = [Account(name, "contoso", "smtp.office365.com:587") for name in names]
        log = EventLog(self.lines, hostname="relay", format="json", level="info", clock=seconds)
        self.spool = Spool.open(folder, hostname="relay.example.com", clock=seconds)
        clocks = Clocks(seconds, seconds, "boot")
        self.ledger = Ledger(os.path.join(folder, LEDGER), self.spool.health, clocks)
        self.governor = Governor(limits, self.ledger, accounts)
        incidents = Incidents(log, seconds)
        self.mailboxes = Mailboxes(accounts, log, incidents)
        self.schedule = Schedule()
        self.dispatch = Dispatch(
            spool=self.spool,
            schedule=self.schedule,
            governor=self.governor,
            mailboxes=self.mailboxes,
            delivery=cast(Delivery, self),
            queue=Queue(),
            addresses=names,
            clock=self.clock,
            disk=NoDisk(),
            log=log,
            incidents=incidents,
            new_sign_ins=lambda stopped: [],
        )
        self.dispatch.start()

    def close(self) -> None:
        """Let go of the folder."""
        self.ledger.close()
        self.spool.close()

    def hold(self, mailbox: str, since: float, until: float) -> None:
        """The mailbox may not send between these times, and is mended then."""
        told = Diagnosis("held", "Consent was revoked.", "It was.", "Grant it.", "entra-admin")
        self.clock.callLater(
            since - self.clock.seconds(), lambda: self.mailboxes.pause(mailbox, told, since)
        )

        def mended() -> None:
            self.mailboxes.resume(mailbox, until)
            self.dispatch.probe(mailbox)

        self.clock.callLater(until - self.clock.seconds(), mended)

    def run(self, until: float) -> Iterator[float]:
        """Let time pass, from one event to the next; tells the time each simulated hour."""
        numbers = iter(range(len(self.arrivals)))
        coming = next(numbers, None)
        hour = self.clock.seconds() + HOUR
        while (now := self.clock.seconds()) < until:
            calls = self.clock.getDelayedCalls()
            ahead = min((call.getTime() for call in calls), default=until)
            if coming is not None:
                ahead = min(ahead, self.arrivals[coming].at)
            self.clock.advance(max(0.0, min(ahead, until) - now))
            while coming is not None and self.arrivals[coming].at <= self.clock.seconds():
                self._hand_in(coming)
                coming = next(numbers, None)
            if self.clock.seconds() >= hour:
                yield hour
                hour += HOUR

    def _hand_in(self, number: int) -> None:
        one = self.arrivals[number]
        if not self._unfinished[one.mailbox, one.source]:
            self._alone[number] = self._begun[one.mailbox]
        self._unfinished[one.mailbox, one.source].add(number)
        entry = Entry(number, State.INCOMING, 5000, 0, 0, tag(one.mailbox), one.source)
        self.dispatch.accepted(entry)

    # What dispatch believes to be a Delivery.

    async def deliver(self, entry: Entry) -> Entry | None:
        """One message: as many transactions as it may have now."""
        one, has_begun = self.arrivals[entry.id], False
        while self._left[entry.id]:
            wanted = ["to@example.net"] * self._left[entry.id]
            granted = self.governor.grant(one.mailbox, wanted)
            if not granted.count:
                due = ceil(self.clock.seconds())
                return evolve(entry, state=State.DEFERRED, due=due)
            if not has_begun:
                has_begun = True
                self._note_begun(entry.id, one)
            self.microsoft.connect(one.mailbox, 1)
            await self._pass(self._slowness())
            wait = self.governor.late(one.mailbox, granted)
            if wait:
                await self._pass(wait)
            self.microsoft.dots[one.mailbox].append((self.clock.seconds(), granted.count))
            await self._pass(self.chance.uniform(0.1, 0.6))
            self.microsoft.connect(one.mailbox, -1)
            if self.chance.random() < 0.01:  # "try again later", after all
                due = ceil(self.clock.seconds() + self.chance.uniform(270, 330))
                attempts = entry.attempts + 1
                return evolve(entry, state=State.DEFERRED, due=due, attempts=attempts)
            self._left[entry.id] -= granted.count
        self._unfinished[one.mailbox, one.source].discard(entry.id)
        return None

    def _slowness(self) -> float:
        """Seconds until the final dot: a new session, a large message, a bad line."""
        kind = self.chance.random()
        if kind < 0.9:
            return self.chance.uniform(0.2, 1.2)
        return self.chance.uniform(1.2, 5.0) if kind < 0.99 else self.chance.uniform(5.0, 90.0)

    async def _pass(self, seconds: float) -> None:
        await deferLater(self.clock, seconds)

    def _note_begun(self, number: int, one: Arrival) -> None:
        begun = self._alone.pop(number, None)
        if begun is not None:
            now = self.clock.seconds()
            slots = self._begun[one.mailbox] - begun
            self.waits.append(Wait(one.mailbox, one.source, one.at, now - one.at, slots))
        self._begun[one.mailbox] += 1


@click.command()
@click.option("--messages", default=200_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--picture", type=click.Path(dir_okay=False), help="Draw it, as PNG.")
def main(messages: int, seed: int, picture: str | None) -> None:
    """Simulate a day, say what Microsoft counted, and fail if a limit was exceeded."""
    limits = Limits()
    with tempfile.TemporaryDirectory() as folder:
        day = SimulatedDay(
            os.path.join(folder, "spool"), mail(messages, random.Random(seed)), limits, seed
        )
        day.hold("box4@contoso.com", START + 9 * HOUR, START + 12 * HOUR)
        for at in day.run(START + DAY):
            click.echo(f"{(at - START) / HOUR:3.0f} h  {len(day.schedule):7,} messages wait")
        day.close()
    faults = list(tell(day, limits, click.echo))
    if picture:
        from bench.simulated_day_picture import draw

        draw(day, limits, picture)
    for fault in faults:
        click.echo(fault, err=True)
    raise SystemExit(bool(faults))


def tell(day: SimulatedDay, limits: Limits, say: Callable[[str], object]) -> Iterator[str]:
    """Says what each mailbox did, line by line; gives what was exceeded."""
    say("mailbox             sent  a minute  recipients a day  connections  a fax waited at most")
    for mailbox, dots in sorted(day.microsoft.dots.items()):
        used = (
            (day.microsoft.most_messages(mailbox, MINUTE), limits.messages_per_minute, "a minute"),
            (day.microsoft.most_recipients(mailbox, DAY), limits.recipients_per_day, "a day"),
            (day.microsoft.most_connected[mailbox], limits.connections, "connections"),
        )
        faxes = [wait for wait in day.waits if (wait.mailbox, wait.source) == (mailbox, SINGLE)]
        slots = max((wait.slots for wait in faxes), default=0)
        minute, recipients, connections = (one[0] for one in used)
        say(
            f"{mailbox} {len(dots):7,} {minute:9} {recipients:17,} {connections:12}"
            f" {slots:13} turns"
        )
        for number, limit, what in used:
            if number > limit:
                yield f"{mailbox}: {number} {what}, allowed are {limit:g}"
    slots = max((wait.slots for wait in day.waits), default=0)
    say(f"a source with nothing else in the queue was begun after {slots} other messages at most")
    if slots > MOST_SLOTS:
        yield f"a source waited for {slots} others, promised are {MOST_SLOTS}"


if __name__ == "__main__":
    main()
