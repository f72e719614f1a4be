"""Mailboxes with more mail than budget: said once when it begins and once when it is over.

While a mailbox cannot keep up its messages do not age (`Mailboxes.wants`): that they wait is our
own doing. What takes less than a minute is no shortage, it is the pace.

Failures: `SpoolError` when the budgets cannot be read.
"""

from __future__ import annotations

from attrs import define, field, frozen

from m365gw.events import EventLog
from m365gw.relay.limits.governor import Governor, Limit, Uses, Wait
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.spool.names import tag
from m365gw.spool.schedule import Schedule

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

_LONG = frozenset({Limit.DAY, Limit.TENANT})
_KINDS = {  # as they are counted
    Limit.CONNECTIONS: "concurrency",
    Limit.HOST: "concurrency",
    Limit.MINUTE: "rate",
    Limit.NEW_PACE: "rate",
    Limit.DAY: "recipients",
    Limit.TENANT: "recipients",
}


@frozen
class _Shortage:
    limit: Limit
    since: float


@define
class Shortages:
    """What mailboxes with mail that is due wait for."""

    governor: Governor
    mailboxes: Mailboxes
    schedule: Schedule
    log: EventLog
    _known: dict[str, _Shortage] = field(factory=dict)

    def met(self, mailbox: str, wait: Wait, now: float) -> None:
        """A mailbox with mail that is due has to wait."""
        if wait.limit is not None:
            self.log.count("budget.met", mailbox=mailbox, limit=_KINDS[wait.limit])
        known = self._known.get(mailbox)
        if wait.limit is None or (known is not None and known.limit is wait.limit):
            return
        if wait.limit not in _LONG:
            enough = self.governor.uses(mailbox).minute.limit
            if wait.limit is not Limit.MINUTE or known or self._waiting(mailbox) < enough:
                return
        since = known.since if known is not None else now
        self._known[mailbox] = _Shortage(wait.limit, since)
        self.mailboxes.wants(mailbox, now)
        note = in_words(mailbox, wait, self.governor.uses(mailbox), self._waiting(mailbox))
        level = "warn" if wait.limit in _LONG else "info"
        self.log.emit("budget.waiting", "qmgr", level=level, mailbox=mailbox, note=note)

    def look(self, now: float) -> None:
        """See what is over: nothing waits any longer. Once a second is enough."""
        for mailbox, shortage in list(self._known.items()):
            if not self._waiting(mailbox):
                del self._known[mailbox]
                self.mailboxes.has_enough(mailbox, now)
                note = f"{mailbox} has caught up after {_duration(now - shortage.since)}"
                self.log.emit("budget.enough", "qmgr", mailbox=mailbox, note=note)
            elif shortage.limit in _LONG and self.governor.wait(mailbox).limit not in _LONG:
                self._known[mailbox] = _Shortage(Limit.MINUTE, shortage.since)

    def _waiting(self, mailbox: str) -> int:
        return self.schedule.ready(tag(mailbox))


def in_words(mailbox: str, wait: Wait, uses: Uses, waiting: int) -> str:
    """What a mailbox waits for, and for how long; "" when it need not wait."""
    messages = "1 message waits" if waiting == 1 else f"{waiting} messages wait"
    if wait.limit is Limit.MINUTE:
        return (
            f"{mailbox} sends as fast as is allowed, {uses.minute.limit:g} messages a minute"
            f" ({uses.minute.used} in the last one); {messages}, the last goes in about"
            f" {_duration(_until_last(uses, waiting))}"
        )
    if wait.limit is Limit.NEW_PACE:
        return (
            f"the pace of {mailbox} was changed to {uses.minute.limit:g} messages a minute; it"
            " begins when none of the old pace is in its last minute, so that both together stay"
            f" within the limit; {messages}, the first goes in about {_duration(wait.seconds)}"
        )
    if wait.limit is Limit.DAY:
        return (
            f"{mailbox} has sent to {uses.day.used} recipients in 24 hours; Microsoft allows no"
            f" more than {uses.day.limit:g}; {messages}, the first goes in about"
            f" {_duration(wait.seconds)}. To do: nothing, or spread its senders over more mailboxes"
        )
    if wait.limit is Limit.TENANT and uses.tenant is not None:
        return (
            f"the tenant of {mailbox} has sent to {uses.tenant.used} external recipients in 24"
            f" hours; tenant_external_recipients_per_day is {uses.tenant.limit:g}; of {mailbox}"
            f" {messages}, the first goes in about {_duration(wait.seconds)}"
        )
    if wait.limit is Limit.CONNECTIONS:
        return f"{mailbox} has all of its {uses.connections.limit:g} connections in use"
    if wait.limit is Limit.HOST:
        return "Microsoft's host was busy; fewer connections are used for a while"
    return ""


def _until_last(uses: Uses, waiting: int) -> float:
    """Seconds until so many messages of one recipient each have gone, by rate and by day."""
    by_rate = waiting / (uses.minute.limit * 0.9) * MINUTE
    left = uses.day.limit - uses.day.used
    by_day = (waiting - left) / uses.day.limit * DAY if left < waiting else 0.0
    return max(by_rate, by_day)


def _duration(seconds: float) -> str:
    for unit, size in (("days", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} s"
