"""Microsoft's limits on submission, adjustable, and the meters that watch them for each mailbox.

A submission holds one of the places of its mailbox from MAIL FROM until its last reply. Who found
no place free may go on, and learns of it at the final dot. Messages and recipients are counted
when they are accepted, over sliding windows. What was used at most, and how often somebody wanted
more than a limit allows, is kept: `usage`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Literal

from attrs import asdict, define, field
from twisted.internet.interfaces import IReactorTime

DAY = 86400.0


@define(kw_only=True)
class Limits:
    """Every limit; 0 switches one off. Durations are seconds, sizes octets."""

    concurrent_submissions: int = 3  # for each mailbox; 432 at the final dot
    messages_per_minute: int = 30  # for each mailbox
    minute: float = 60.0  # seconds; shorter for rehearsals in a hurry
    rate_mode: Literal["delay", "refuse"] = "delay"  # sources disagree which it is
    recipients_per_day: int = 10_000  # for each mailbox, rolling
    recipients_at_rcpt: int = 1000  # for each message: 452 at RCPT TO
    graph_requests: int = 4  # at once, for each mailbox; 429 beyond
    graph_request_size: int = 4_194_304  # octets of a request to Graph, base64 included; 413 beyond
    message_size: int = 157_286_400  # what EHLO says; the mailbox has its own, lower one
    hops: int = 100  # Received fields
    field_size: int = 32_768  # one header field
    messages_per_connection: int = 0
    connection_seconds: float = 1200.0
    idle_seconds: float = 300.0
    errors: int = 10  # bad commands and failed logins of one connection
    tarpit_seconds: float = 5.0  # before the reply to a bad command or a failed login
    submission_seconds: float = 0.0  # how long the store takes before its reply to the final dot

    @classmethod
    def off(cls) -> Limits:
        """No limit on speed or amount and no delays: for measurements and quick tests."""
        return cls(
            concurrent_submissions=0,
            graph_requests=0,
            messages_per_minute=0,
            recipients_per_day=0,
            tarpit_seconds=0.0,
        )


@define
class Usage:
    """The most one mailbox has used of each limit, and how often it wanted more."""

    messages: int = 0
    recipients: int = 0
    most_at_once: int = 0
    most_in_a_minute: int = 0
    most_recipients_in_a_day: int = 0
    over_connections: int = 0
    over_rate: int = 0
    over_quota: int = 0


@define
class _Meter:
    """What one mailbox has going on and has sent."""

    usage: Usage = field(factory=Usage)
    arrivals: deque[float] = field(factory=deque)  # within the last minute

    places: set[Hashable] = field(factory=set)
    messages: deque[float] = field(factory=deque)
    recipients: deque[tuple[float, int]] = field(factory=deque)
    recipient_sum: int = 0


class Meters:
    """The meters of all mailboxes."""

    def __init__(self, limits: Limits, clock: IReactorTime) -> None:
        self.limits = limits
        self._clock = clock
        self._meters: dict[str, _Meter] = {}

    def _meter(self, mailbox: str) -> _Meter:
        meter = self._meters.get(mailbox.lower())
        if meter is None:
            meter = self._meters[mailbox.lower()] = _Meter()
        return meter

    def take_place(self, mailbox: str, session: Hashable) -> bool:
        """Takes a place for a submission, if one is free. Asking again does no harm."""
        places, limit = self._meter(mailbox).places, self.limits.concurrent_submissions
        if session not in places:
            if limit and len(places) >= limit:
                return False
            places.add(session)
            usage = self._meter(mailbox).usage
            usage.most_at_once = max(usage.most_at_once, len(places))
        return True

    def leave_place(self, mailbox: str, session: Hashable) -> None:
        """Frees the place of a submission, if it had one."""
        self._meter(mailbox).places.discard(session)

    def rate_wait(self, mailbox: str) -> float:
        """Seconds until the mailbox may send one more message by its rate; 0: now."""
        limit = self.limits.messages_per_minute
        messages, now = self._meter(mailbox).messages, self._clock.seconds()
        while messages and messages[0] <= now - self.limits.minute:
            messages.popleft()
        if not limit or len(messages) < limit:
            return 0.0
        return messages[len(messages) - limit] + self.limits.minute - now

    def count_message(self, mailbox: str) -> float:
        """Counts a message for the time the rate allows it; seconds until then."""
        wait, now = self.rate_wait(mailbox), self._clock.seconds()
        meter = self._meter(mailbox)
        meter.usage.messages += 1
        if self.limits.messages_per_minute:
            meter.messages.append(now + wait)
            meter.arrivals.append(now)
            while meter.arrivals[0] <= now - self.limits.minute:
                meter.arrivals.popleft()
            most = max(meter.usage.most_in_a_minute, len(meter.arrivals))
            meter.usage.most_in_a_minute = most
            meter.usage.over_rate += wait > 0
        return wait

    def over_quota(self, mailbox: str, recipients: int) -> bool:
        """Whether so many more recipients would be too many for the last 24 hours."""
        meter, now = self._meter(mailbox), self._clock.seconds()
        while meter.recipients and meter.recipients[0][0] <= now - DAY:
            meter.recipient_sum -= meter.recipients.popleft()[1]
        limit = self.limits.recipients_per_day
        return bool(limit) and meter.recipient_sum + recipients > limit

    def count_recipients(self, mailbox: str, recipients: int) -> None:
        """Counts the recipients of an accepted message."""
        meter = self._meter(mailbox)
        meter.usage.recipients += recipients
        if self.limits.recipients_per_day:
            meter.recipients.append((self._clock.seconds(), recipients))
            meter.recipient_sum += recipients
            most = max(meter.usage.most_recipients_in_a_day, meter.recipient_sum)
            meter.usage.most_recipients_in_a_day = most

    def note_excess(self, mailbox: str, limit: Literal["connections", "rate", "quota"]) -> None:
        """Somebody wanted more than this limit allows, and was refused."""
        usage = self._meter(mailbox).usage
        setattr(usage, f"over_{limit}", getattr(usage, f"over_{limit}") + 1)

    def usage(self) -> dict[str, dict[str, int]]:
        """What each mailbox has used, by address."""
        return {address: asdict(meter.usage) for address, meter in self._meters.items()}

    def forget(self) -> None:
        """Everything counted is forgotten; submissions that run keep their places."""
        for meter in self._meters.values():
            meter.usage = Usage()
            meter.arrivals.clear()
            meter.messages.clear()
            meter.recipients.clear()
            meter.recipient_sum = 0
