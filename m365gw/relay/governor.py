"""The governor: how much a mailbox may send now, so that Microsoft's limits are never reached.

Four limits for each mailbox: connections at a time, messages a minute (GCRA, with a small burst),
recipients in any 24 hours (hourly buckets), recipients of one transaction. Two are learned from
replies: after "too many connections" (432) fewer are used and one more is allowed each ten
minutes; after "too many recipients" transactions are smaller for a day.

Pure: `now` is passed in, in seconds since the epoch, because the budgets outlive the process
(`state` and `restore` speak plain values). Whoever restores them starts without burst credit. A
clock that was set back delays nothing for longer than one burst, or than the limit it concerns.

Nothing fails here; a mailbox that may not send gets a time at which it may.
"""

from __future__ import annotations

from math import inf
from typing import Any

from attrs import define, field

from m365gw.config.settings import Governor as Limits

MINUTE = 60.0
HOUR = 3600
HOURS_COUNTED = 25  # the running hour and the 24 before it: never too few
MARGIN = 30 / 29  # the pace is kept this much slower: a message may reach Microsoft a little late
REGROWTH = 600.0  # seconds until one more connection is allowed after a 432
SMALLER_FOR = 86400.0  # seconds for which transactions stay smaller


@define
class Budget:
    """What one mailbox has used up, and what replies have taught about it."""

    paced_until: float  # GCRA: the time by which all messages so far would have been due
    connections: int = 0  # in use now; not kept over a restart
    hours: dict[int, int] = field(factory=dict)  # hour since the epoch -> recipients
    fewer: int = 0  # connections allowed when last taught; 0: never taught
    fewer_since: float = 0.0
    smaller: int = 0  # recipients of a transaction when last taught; 0: never taught
    smaller_since: float = 0.0

    def used(self, now: float) -> int:
        """Recipients of the last 24 hours, never too few; forgets what is older.

        What was counted in hours to come, before the clock was set back, counts as of this hour.
        """
        running = int(now // HOUR)
        if self.hours and (min(self.hours) <= running - HOURS_COUNTED or max(self.hours) > running):
            known, self.hours = self.hours, {}
            for hour, count in known.items():
                if hour > running - HOURS_COUNTED:
                    self.hours[min(hour, running)] = self.hours.get(min(hour, running), 0) + count
        return sum(self.hours.values())


class Governor:
    """The budgets of all mailboxes. Mailboxes are named by address."""

    def __init__(self, limits: Limits) -> None:
        self._budgets: dict[str, Budget] = {}
        self._take(limits)

    def configure(self, limits: Limits, now: float) -> None:
        """From now on these are the limits. A change of the pace brings no credit."""
        if limits == self._limits:
            return
        self._take(limits)
        for budget in self._budgets.values():
            budget.paced_until = max(budget.paced_until, now + self._tolerance)

    def _take(self, limits: Limits) -> None:
        rate = limits.messages_per_minute
        burst = max(1, int(min(limits.burst, rate / 2)))
        # So slow that a burst and the pace after it together stay within `rate` in any minute.
        self._interval = MINUTE / (rate - (burst - 1)) * MARGIN
        self._tolerance = (burst - 1) * self._interval
        self._limits = limits

    def next_start(self, mailbox: str, now: float) -> float:
        """When the next message may start: `now` or earlier means at once.

        `inf` means that all connections are in use and one must end first.
        """
        budget = self._budget(mailbox, now)
        if budget.connections >= self.connections(mailbox, now):
            return inf
        return max(self._paced(budget, now) - self._tolerance, self._day_allows(budget, now))

    def begin(self, mailbox: str, now: float) -> None:
        """A delivery starts and takes a connection."""
        self._budget(mailbox, now).connections += 1

    def end(self, mailbox: str, now: float) -> None:
        """A delivery has ended and gives its connection back."""
        self._budget(mailbox, now).connections -= 1

    def grant(self, mailbox: str, wanted: int, now: float) -> int:
        """Charges one transaction to at most `wanted` recipients; returns how many it may have.

        0 means that no transaction may start now; `next_start` says when.
        """
        budget = self._budget(mailbox, now)
        paced = self._paced(budget, now)
        left = self._limits.recipients_per_day - budget.used(now)
        granted = min(wanted, left, self.recipients_per_message(mailbox, now))
        if granted <= 0 or paced - self._tolerance > now:
            return 0
        budget.paced_until = max(paced, now) + self._interval
        hour = int(now // HOUR)
        budget.hours[hour] = budget.hours.get(hour, 0) + granted
        return granted

    def give_back(self, mailbox: str, granted: int, now: float) -> None:
        """Undoes a grant whose transaction never came to be."""
        budget = self._budget(mailbox, now)
        budget.paced_until -= self._interval
        hour = int(now // HOUR)
        budget.hours[hour] = max(0, budget.hours.get(hour, 0) - granted)

    def connections(self, mailbox: str, now: float) -> int:
        """Connections the mailbox may have at a time, as set and as learned."""
        budget = self._budget(mailbox, now)
        allowed = self._limits.connections
        if budget.fewer:
            budget.fewer_since = min(budget.fewer_since, now)
            regrown = int((now - budget.fewer_since) // REGROWTH)
            allowed = min(allowed, budget.fewer + regrown)
        return allowed

    def recipients_per_message(self, mailbox: str, now: float) -> int:
        """Recipients one transaction may have, as set and as learned."""
        budget = self._budget(mailbox, now)
        allowed = self._limits.recipients_per_message
        if budget.smaller:
            budget.smaller_since = min(budget.smaller_since, now)
            if now - budget.smaller_since < SMALLER_FOR:
                allowed = min(allowed, budget.smaller)
        return allowed

    def fewer_connections(self, mailbox: str, now: float) -> None:
        """Microsoft counted too many connections (432): half as many from now on, at least one."""
        budget = self._budget(mailbox, now)
        budget.fewer = max(1, self.connections(mailbox, now) // 2)
        budget.fewer_since = now

    def fewer_recipients(self, mailbox: str, refused: int, now: float) -> None:
        """A transaction to `refused` recipients had too many: half as many for a day."""
        budget = self._budget(mailbox, now)
        budget.smaller = max(1, refused // 2)
        budget.smaller_since = now

    def state(self) -> dict[str, Any]:
        """All budgets as plain values, for a file."""
        return {
            address: {
                "paced_until": budget.paced_until,
                "hours": {str(hour): count for hour, count in budget.hours.items() if count},
                "fewer": [budget.fewer, budget.fewer_since],
                "smaller": [budget.smaller, budget.smaller_since],
            }
            for address, budget in self._budgets.items()
        }

    def restore(self, state: dict[str, Any], now: float) -> None:
        """Takes back what `state` gave, without burst credit.

        Raises ValueError, TypeError or LookupError for what `state` never gave; nothing is
        taken then.
        """
        budgets = {}
        for address, kept in state.items():
            (fewer, fewer_since), (smaller, smaller_since) = kept["fewer"], kept["smaller"]
            budgets[str(address)] = Budget(
                paced_until=max(float(kept["paced_until"]), now + self._tolerance),
                hours={int(hour): int(count) for hour, count in kept["hours"].items()},
                fewer=int(fewer),
                fewer_since=float(fewer_since),
                smaller=int(smaller),
                smaller_since=float(smaller_since),
            )
        self._budgets.update(budgets)

    def _budget(self, mailbox: str, now: float) -> Budget:
        budget = self._budgets.get(mailbox)
        if budget is None:
            budget = self._budgets[mailbox] = Budget(paced_until=now + self._tolerance)
        return budget

    def _paced(self, budget: Budget, now: float) -> float:
        """The GCRA time, but never further ahead than the pace itself can have put it."""
        return min(budget.paced_until, now + self._tolerance + self._interval)

    def _day_allows(self, budget: Budget, now: float) -> float:
        """When the day's recipients leave room for at least one more."""
        surplus = budget.used(now) - self._limits.recipients_per_day
        if surplus < 0:
            return now
        for hour in sorted(budget.hours):
            surplus -= budget.hours[hour]
            if surplus < 0:
                return float((hour + HOURS_COUNTED) * HOUR)
        return inf  # a daily limit of 0: nothing may be sent at all
