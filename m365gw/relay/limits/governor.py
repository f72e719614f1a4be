"""The governor: how much may be sent now, so that Microsoft's limits are never reached.

For each mailbox: connections at a time, messages a minute, recipients in any 24 hours, recipients
of one transaction. For each tenant, where that is set: external recipients in any 24 hours. And
what replies teach: after "too many connections" (432) a mailbox uses half as many, after "server
busy" all mailboxes of that host together do, and twice as many again each ten minutes; after "too
many recipients" transactions are smaller for a day.

All of it is counted in the ledger (`spool.ledger`): exact for several processes, over `kill -9`
and restarts, and whatever is done to the clock. Where the ledger is new, or may have lost
something by a power loss, the pace begins without burst credit.

Failures: `SpoolError` when the disk of the ledger fails; then no delivery may `begin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from math import inf

from attrs import frozen

from m365gw.config.settings import Governor as Limits
from m365gw.relay.limits.allowance import Allowance
from m365gw.relay.limits.budget import MINUTE, PUNCTUAL, Budget
from m365gw.relay.stops.stops import Account
from m365gw.spool.health import SpoolError
from m365gw.spool.ledger import Ledger


class Limit(Enum):
    """What a mailbox may have to wait for."""

    CONNECTIONS = "connections"
    HOST = "host"  # its connections, after "server busy"
    MINUTE = "minute"
    NEW_PACE = "new-pace"  # the minute after the pace was changed
    DAY = "day"
    TENANT = "tenant"


@frozen
class Wait:
    """Seconds a mailbox has to wait, and for which limit. `inf`: until one of its own deliveries
    has ended."""

    seconds: float = 0.0
    limit: Limit | None = None


@frozen
class Granted:
    """Leave for one transaction to the first `count` recipients that were asked for."""

    count: int
    external: int = 0
    at: float = 0.0  # the ledger's time


@frozen
class Use:
    """How much of one limit is used, and in how many seconds there is room (0: there is)."""

    used: int
    limit: float
    seconds: float = 0.0


@frozen
class Uses:
    """The budget of a mailbox, as shown to people."""

    connections: Use
    minute: Use
    day: Use
    tenant: Use | None
    recipients_per_message: int
    crowded: int = 0  # answers "too many connections" (432) in 24 hours


NOTHING = Granted(0)
LOOK_AGAIN = 1.0  # seconds; others use what is waited for, and do not say when they are done
DISK_PATIENCE = 60.0  # the same for a disk that failed


class Governor:
    """The budgets of all mailboxes, named by address."""

    def __init__(self, limits: Limits, ledger: Ledger, accounts: Iterable[Account]) -> None:
        self.ledger = ledger
        self._accounts: dict[str, Account] = {}
        self._on_host: dict[str, int] = {}  # deliveries under way, by host
        self.configure(limits, accounts)

    def configure(self, limits: Limits, accounts: Iterable[Account]) -> None:
        """From now on these are the limits and the mailboxes. What was used up stays used up."""
        self._limits = limits
        self._internal = {domain.lower() for domain in limits.internal_domains}
        self._accounts |= {account.address: account for account in accounts}
        exits = {account.exit for account in self._accounts.values()} | {"smtp"}
        self._allowances = {exit: Allowance.of(limits, exit) for exit in exits}

    def wait(self, mailbox: str) -> Wait:
        """How long the next message of this mailbox has to wait."""
        now = self.ledger.now()
        budget, allowance = self._budget(mailbox), self._allowance(mailbox)
        waits = []
        if self.ledger.leased(mailbox) >= budget.connections(allowance.connections, now):
            waits.append(Wait(inf, Limit.CONNECTIONS))
        if self._is_host_full(mailbox, now):
            waits.append(Wait(LOOK_AGAIN, Limit.HOST))
        paced = budget.due(allowance.pace, self.ledger.began, now)
        limit = Limit.NEW_PACE if budget.is_new(allowance.pace) else Limit.MINUTE
        waits.append(Wait(allowance.pace.wait(paced, now), limit))
        waits.append(Wait(budget.day.wait(allowance.day, now), Limit.DAY))
        if tenant := self._tenant(mailbox):
            most = self._limits.tenant_external_recipients_per_day
            waits.append(Wait(self._budget(tenant).day.wait(most, now), Limit.TENANT))
        longest = max(waits, key=lambda wait: wait.seconds)
        return longest if longest.seconds else Wait()

    def begin(self, mailbox: str) -> Wait:
        """A delivery takes a connection, if it need not wait; `end` it then."""
        try:
            wait = self.wait(mailbox)
            if wait.seconds:
                return wait
            most = self._allowance(mailbox).connections
            allowed = self._budget(mailbox).connections(most, self.ledger.now())
            if not self.ledger.lease(mailbox, int(allowed)):
                return Wait(LOOK_AGAIN, Limit.CONNECTIONS)  # another process has the last one
        except SpoolError:
            return Wait(DISK_PATIENCE)
        host = self._host(mailbox)
        self._on_host[host] = self._on_host.get(host, 0) + 1
        return wait

    def end(self, mailbox: str) -> None:
        """A delivery has ended and gives its connection back."""
        self._on_host[self._host(mailbox)] -= 1
        self.ledger.release(mailbox)

    def grant(self, mailbox: str, recipients: Sequence[str]) -> Granted:
        """Charges one transaction to as many of the first recipients as may go.

        A count of 0 means that no transaction may start now; `wait` says when.
        """
        limits, tenant = self._limits, self._tenant(mailbox)
        allowance = self._allowance(mailbox)
        pace = allowance.pace
        names = (mailbox, tenant) if tenant else (mailbox,)
        with self.ledger.drawing(*names) as records:
            now = self.ledger.now()
            budget = Budget.of(records[0])
            paced = budget.due(pace, self.ledger.began, now)
            left = allowance.day - budget.day.used(now)
            count = int(min(len(recipients), left, self._per_message(budget, now)))
            external = 0
            if tenant:
                of_tenant = Budget.of(records[1])
                most = limits.tenant_external_recipients_per_day - of_tenant.day.used(now)
                count, external = self._cut(recipients[: max(0, count)], most)
                of_tenant.day.add(external, now)
            if count <= 0 or pace.wait(paced, now):
                return NOTHING
            budget.paced, budget.pace = pace.charged(paced, now), pace
            budget.minute.add(1, now)
            budget.day.add(count, now)
            budget.put(records[0])
            if tenant:
                of_tenant.put(records[1])
        return Granted(count, external, now)

    def give_back(self, mailbox: str, granted: Granted) -> None:
        """The transaction never came to be: its recipients may be sent to.

        Its turn is gone. What it left room for may have been used since, so giving it to another
        could let too many go in one minute.
        """
        tenant = self._tenant(mailbox)
        names = (mailbox, tenant) if tenant else (mailbox,)
        with self.ledger.drawing(*names) as records:
            budget = Budget.of(records[0])
            budget.day.undo(granted.count, granted.at)
            budget.put(records[0])
            if tenant:
                of_tenant = Budget.of(records[1])
                of_tenant.day.undo(granted.external, granted.at)
                of_tenant.put(records[1])

    def late(self, mailbox: str, granted: Granted) -> float:
        """A message is ready for its final dot: the seconds it has to wait before it.

        Microsoft counts at the dot. What took long until then has missed its turn and takes
        another one now, else more could arrive in one minute than were let go in it.
        """
        if self.ledger.now() - granted.at <= PUNCTUAL:
            return 0.0
        pace = self._allowance(mailbox).pace
        with self.ledger.drawing(mailbox) as (record,):
            now, budget = self.ledger.now(), Budget.of(record)
            paced = budget.due(pace, self.ledger.began, now)
            budget.paced, budget.pace = pace.charged(paced, now), pace
            budget.put(record)
        return min(pace.wait(paced, now), MINUTE)

    def fewer_connections(self, mailbox: str) -> None:
        """Microsoft counted too many connections (432): half as many from now on, at least one."""
        with self.ledger.drawing(mailbox) as (record,):
            now, budget = self.ledger.now(), Budget.of(record)
            budget.crowded.add(1, now)
            budget.halve(self._allowance(mailbox).connections, now)
            budget.put(record)

    def busy(self, mailbox: str) -> None:
        """The host of this mailbox is busy: half as many deliveries at a time, of all mailboxes."""
        host = self._host(mailbox)
        with self.ledger.drawing(f"host {host}") as (record,):
            budget = Budget.of(record)
            budget.halve(max(2, self._on_host.get(host, 0)), self.ledger.now())
            budget.put(record)

    def fewer_recipients(self, mailbox: str, refused: int) -> None:
        """A transaction to `refused` recipients had too many: half as many for a day."""
        with self.ledger.drawing(mailbox) as (record,):
            budget = Budget.of(record)
            budget.smaller, budget.smaller_since = max(1, refused // 2), self.ledger.now()
            budget.put(record)

    def uses(self, mailbox: str) -> Uses:
        """What is used of each limit now."""
        now, limits, budget = self.ledger.now(), self._limits, self._budget(mailbox)
        allowance = self._allowance(mailbox)
        connections = int(budget.connections(allowance.connections, now))
        paced = budget.due(allowance.pace, self.ledger.began, now)
        tenant, of_tenant = self._tenant(mailbox), None
        if tenant:
            used, most = self._budget(tenant).day, limits.tenant_external_recipients_per_day
            of_tenant = Use(used.used(now), most, used.wait(most, now))
        return Uses(
            connections=Use(self.ledger.leased(mailbox), connections),
            minute=Use(budget.minute.used(now), allowance.rate, allowance.pace.wait(paced, now)),
            day=Use(budget.day.used(now), allowance.day, budget.day.wait(allowance.day, now)),
            tenant=of_tenant,
            recipients_per_message=self._per_message(budget, now),
            crowded=budget.crowded.used(now),
        )

    def by_hours(self, mailbox: str) -> list[int]:
        """Recipients sent to in each of the last hours, as the day's limit counts them."""
        return self._budget(mailbox).day.by_steps(self.ledger.now())

    # -- within

    def _budget(self, name: str) -> Budget:
        return Budget.of(self.ledger.read(name))

    def _allowance(self, mailbox: str) -> Allowance:
        account = self._accounts.get(mailbox)
        return self._allowances[account.exit if account is not None else "smtp"]

    def _per_message(self, budget: Budget, now: float) -> int:
        return budget.recipients_per_message(self._limits.recipients_per_message, now)

    def _host(self, mailbox: str) -> str:
        account = self._accounts.get(mailbox)
        return account.host if account is not None else ""

    def _is_host_full(self, mailbox: str, now: float) -> bool:
        host = self._host(mailbox)
        under_way = self._on_host.get(host, 0)
        return under_way > 0 and under_way >= self._budget(f"host {host}").connections(inf, now)

    def _tenant(self, mailbox: str) -> str:
        """The name of the tenant's record; "" when its recipients are not counted."""
        account = self._accounts.get(mailbox)
        if account is None or not self._limits.tenant_external_recipients_per_day:
            return ""
        return f"tenant {account.tenant.casefold()}"

    def _cut(self, recipients: Sequence[str], most: int) -> tuple[int, int]:
        """How many of the first recipients hold at most so many external ones; and how many."""
        external = 0
        for place, address in enumerate(recipients):
            is_external = address.rpartition("@")[2].lower() not in self._internal
            if is_external and external == most:
                return place, external
            external += is_external
        return len(recipients), external
