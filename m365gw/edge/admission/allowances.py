"""How much a client may still send: messages in any hour, recipients in any 24 hours.

What was accepted counts, for each login and local user, and for each address of a network by
itself. An hour is kept as twelfths, a day as hours: what was sent counts for its whole time, and up
to a part longer, so that the limit holds in every hour and every day, wherever one begins to count.
Kept in memory: a restart forgives. Memory is bounded: who sent longest ago is forgotten.

Failures: Refused with 450 4.7.1, and words that say when to come again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Final

from attrs import define, field

from m365gw.edge.admission.rules import Rule
from m365gw.smtp.replies import Refused, Reply

MOST_REMEMBERED: Final = 10_000  # clients
_HOUR_PARTS: Final = 12
_DAY_PARTS: Final = 24


@define
class Window:
    """What was used up of a limit in the last `parts` stretches of `length` seconds."""

    length: float
    parts: int
    used: int = 0
    _stretches: deque[list[int]] = field(factory=deque)  # number of the stretch, used in it

    def wait(self, limit: int, wanted: int, now: float) -> float:
        """Seconds until so much more fits under the limit; 0 when it does."""
        self._forget(now)
        over = self.used + wanted - limit
        if over <= 0:
            return 0.0
        last = self._number(now)  # for what is more than the limit by itself
        for number, used in self._stretches:
            over -= used
            if over <= 0:
                last = number
                break
        return (last + self.parts + 1) * self.length - now

    def add(self, count: int, now: float) -> None:
        """So much (less than 0: given back) is used up."""
        self._forget(now)
        if not self._stretches or self._stretches[-1][0] != self._number(now):
            self._stretches.append([self._number(now), 0])
        self._stretches[-1][1] += count
        self.used += count

    def _number(self, now: float) -> int:
        return int(now // self.length)

    def _forget(self, now: float) -> None:
        while self._stretches and self._stretches[0][0] < self._number(now) - self.parts:
            self.used -= self._stretches.popleft()[1]


@define
class _Used:
    """What one client has used up."""

    messages: Window = field(factory=lambda: Window(3600.0 / _HOUR_PARTS, _HOUR_PARTS))
    recipients: Window = field(factory=lambda: Window(86400.0 / _DAY_PARTS, _DAY_PARTS))


class Allowances:
    """What every client has used up. `clock` gives seconds that only go forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[tuple[str, str], _Used] = {}  # the last to send comes last

    def of(self, rule: Rule, client: str = "") -> Allowance:
        """That of one client, for one message; `client` where each client of the rule counts."""
        limits = rule.permissions
        if not (limits.messages_per_hour or limits.recipients_per_day):
            return Allowance(rule, client, None, self._clock)
        key = (rule.name, client)
        used = self._used[key] = self._used.pop(key, _Used())
        if len(self._used) > MOST_REMEMBERED:
            del self._used[next(iter(self._used))]
        return Allowance(rule, client, used, self._clock)


@define
class Allowance:
    """What one client may still send: asked at each step of a message, spent at its end."""

    _rule: Rule
    _client: str
    _used: _Used | None  # None: it is not limited
    _clock: Callable[[], float]
    _spent: int = 0  # recipients of the message

    def check(self, recipients: int) -> None:
        """Raises Refused when a message to so many is too much now."""
        if self._used is None:
            return
        now, limits = self._clock(), self._rule.permissions
        for name, window, wanted, what in (
            ("messages_per_hour", self._used.messages, 1, "messages an hour"),
            ("recipients_per_day", self._used.recipients, recipients, "recipients in 24 hours"),
        ):
            limit = getattr(limits, name)
            wait = window.wait(limit, wanted, now) if limit else 0.0
            if wait:
                raise Refused(_too_much(self._rule, self._client, f"{limit} {what}", name, wait))

    def spend(self, recipients: int) -> None:
        """Count a message that is about to be stored. Raises Refused, and counts nothing then."""
        self.check(recipients)
        self._count(1, recipients)
        self._spent = recipients

    def recover(self) -> None:
        """What was spent, if it was, is not used after all: the message is not accepted."""
        if self._spent:
            self._count(-1, -self._spent)
            self._spent = 0

    def _count(self, messages: int, recipients: int) -> None:
        if self._used is not None:
            now = self._clock()
            self._used.messages.add(messages, now)
            self._used.recipients.add(recipients, now)


def _too_much(rule: Rule, client: str, limit: str, name: str, wait: float) -> Reply:
    minutes = ceil(wait / 60)
    when = f"{minutes} min" if minutes < 120 else f"{ceil(minutes / 60)} h"
    who = f"{client} of {rule.name}" if client else rule.name
    words = (
        f"{who} may send {limit}, and has done so; try again in {when}. "
        f"The gateway's operator sets the limit: {name} of {rule.place}"
    )
    return Reply(450, "4.7.1", words)
