"""The arithmetic of budgets: a pace (GCRA), a count over a span that rolls on, and what one record
of the ledger says. Pure: `now` is passed in, in seconds that never run backwards.

Nothing fails here.
"""

from __future__ import annotations

from math import inf

from attrs import Factory, define, frozen

MINUTE = 60.0
HOUR = 3600.0
MARGIN = 30 / 29  # the pace is kept this much slower, so that
PUNCTUAL = MINUTE * (MARGIN - 1)  # a message may reach Microsoft so many seconds late
SLACK = 1e-6  # seconds nobody can tell apart: what rounding leaves

REGROWTH = 600.0  # seconds until twice as many connections are allowed again after a 432
SAME_EVENT = 60.0  # seconds in which equal answers come from messages sent before the first
SMALLER_FOR = 86400.0  # seconds for which transactions stay smaller


@frozen
class Pace:
    """So many messages in any minute, by the generic cell rate algorithm (ITU-T I.371).

    A mailbox has one number, `paced`: the time by which all its messages so far would have been
    due, had they come evenly. A message may go while that is no further ahead than `tolerance`.
    """

    interval: float
    tolerance: float

    @classmethod
    def of(cls, rate: float, burst: int) -> Pace:
        """`rate` a minute, of which `burst` at once after a quiet time.

        The pace after a burst is so slow that both together stay within `rate` in any minute.
        """
        burst = max(1, int(min(burst, rate / 2)))
        interval = MINUTE / (rate - (burst - 1)) * MARGIN
        return cls(interval, (burst - 1) * interval)

    def wait(self, paced: float, now: float) -> float:
        """Seconds until one more message may go."""
        wait = paced - self.tolerance - now
        return wait if wait > SLACK else 0.0

    def charged(self, paced: float, now: float) -> float:
        """`paced` after one more message."""
        return max(paced, now) + self.interval


@define
class Rolling:
    """What was counted in the last `step * (len(counts) - 1)` seconds: never too few, and at most
    one `step` too long. `counts[k % len]` belongs to the k-th step of time, `last` is the newest.
    """

    step: float
    counts: list[float]
    last: float = 0.0

    @classmethod
    def over(cls, span: float, steps: int) -> Rolling:
        """An empty count over `span` seconds, which rolls on in so many steps."""
        return cls(span / steps, [0.0] * (steps + 1))

    def used(self, now: float) -> int:
        """The count as of now."""
        self._roll(now)
        return round(sum(self.counts))

    def add(self, count: int, now: float) -> None:
        """Counts something that happens now."""
        self._roll(now)
        self.counts[int(self.last) % len(self.counts)] += count

    def undo(self, count: int, at: float) -> None:
        """What was counted at that time never happened."""
        step = at // self.step
        if self.last - len(self.counts) < step <= self.last:
            place = int(step) % len(self.counts)
            self.counts[place] = max(0.0, self.counts[place] - count)

    def by_steps(self, now: float) -> list[int]:
        """The count of each step, the oldest first; the last has only begun."""
        self._roll(now)
        size = len(self.counts)
        return [round(self.counts[(int(self.last) + 1 + age) % size]) for age in range(size)]

    def wait(self, limit: float, now: float) -> float:
        """Seconds until less than `limit` is counted, if nothing more comes; 0: already so."""
        surplus = self.used(now) - limit
        if surplus < 0:
            return 0.0
        size = len(self.counts)
        for age in range(size - 1, -1, -1):  # from the oldest step
            step = self.last - age
            surplus -= round(self.counts[int(step) % size])
            if surplus < 0:
                return (step + size) * self.step - now
        return inf  # a limit of nought

    def _roll(self, now: float) -> None:
        """Forget what is too old. What was counted later than now counts as of now."""
        running, size = now // self.step, len(self.counts)
        if running < self.last or running >= self.last + size:
            kept = sum(self.counts) if running < self.last else 0.0
            self.counts = [0.0] * size
            self.counts[int(running) % size] = kept
        else:
            for step in range(int(self.last) + 1, int(running) + 1):
                self.counts[step % size] = 0.0
        self.last = running


@define
class Budget:
    """What one mailbox, tenant or host has used up, and what replies have taught about it."""

    paced: float = 0.0  # see Pace; 0: never drawn on
    pace: Pace = Pace(0.0, 0.0)  # at which `paced` was counted
    fewer: float = 0.0  # connections allowed when last taught; 0: never taught
    fewer_since: float = 0.0
    smaller: float = 0.0  # recipients of a transaction when last taught; 0: never taught
    smaller_since: float = 0.0
    minute: Rolling = Factory(lambda: Rolling.over(MINUTE, 12))  # messages
    day: Rolling = Factory(lambda: Rolling.over(24 * HOUR, 24))  # recipients
    crowded: Rolling = Factory(lambda: Rolling.over(24 * HOUR, 12))  # answers "too many" (432)

    @property
    def _counts(self) -> tuple[Rolling, ...]:
        return self.minute, self.day, self.crowded

    @classmethod
    def of(cls, cells: list[float]) -> Budget:
        """The budget a record of the ledger holds."""
        paced, interval, tolerance, fewer, fewer_since, smaller, smaller_since = cells[:7]
        pace = Pace(interval, tolerance)
        budget = cls(paced, pace, fewer, fewer_since, smaller, smaller_since)
        at = 7
        for rolling in budget._counts:
            size = len(rolling.counts)
            rolling.last, rolling.counts = cells[at], cells[at + 1 : at + 1 + size]
            at += 1 + size
        return budget

    def put(self, cells: list[float]) -> None:
        """Writes it into a record."""
        known = [self.paced, self.pace.interval, self.pace.tolerance]
        known += [self.fewer, self.fewer_since, self.smaller, self.smaller_since]
        for rolling in self._counts:
            known += [rolling.last, *rolling.counts]
        cells[: len(known)] = known

    def due(self, pace: Pace, known_since: float, now: float) -> float:
        """`paced` as it counts now, for this pace; what it cannot vouch for it gives no credit.

        That is all before `known_since`, all of a mailbox never heard of, and after a change of
        the pace all until a minute has passed.
        """
        if not self.paced:
            return now + pace.tolerance
        if self.is_new(pace):
            return now + pace.tolerance + self.minute.wait(1, now)
        return max(self.paced, known_since + pace.tolerance)

    def is_new(self, pace: Pace) -> bool:
        """Whether the last message went at another pace than this one."""
        return bool(self.paced) and self.pace != pace

    def connections(self, limit: float, now: float) -> float:
        """Connections allowed at a time: `limit`, or what is left of it after a 432."""
        if not self.fewer:
            return limit
        regrown = int(max(0.0, now - self.fewer_since) // REGROWTH)
        return min(limit, self.fewer * 2.0 ** min(regrown, 32))

    def halve(self, most: int, now: float) -> None:
        """Half as many connections from now on, at least one; `most` if it was never taught."""
        if not self.fewer or now - self.fewer_since >= SAME_EVENT:
            self.fewer = max(1, self.connections(most, now) // 2)
            self.fewer_since = now

    def recipients_per_message(self, limit: int, now: float) -> int:
        """Recipients of one transaction: `limit`, or what was taught within a day."""
        if self.smaller and now - self.smaller_since < SMALLER_FOR:
            return min(limit, int(self.smaller))
        return limit
