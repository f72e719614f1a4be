"""What is read when somebody asks for metrics: the state of the gateway at that moment.

Nothing is opened for it. How many messages lie where comes from the newest roll of their names
(`admin.queue_roll`), all else from memory; ends of credentials are looked up once in five minutes.
What cannot be known now is left out.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Final

import twisted
from m365gw import __version__
from m365gw.admin.queue_roll import PATIENCE, Roll, Rolls
from m365gw.metric_rules import Values
from m365gw.relay.stops.stops import State
from m365gw.service.parts import Parts
from m365gw.spool.health import SpoolError
from m365gw.spool.names import State as Place

Sample = tuple[str, Values, float]  # name, values of the labels, value

LOOK_AGAIN: Final = 300.0  # seconds between two looks at credentials
FIRST: Final = 5.0  # seconds the first roll is waited for; a scraper waits for ten

KINDS: Final = {  # of credentials, as metrics name them
    "secret": "client_secret",
    "certificate": "certificate",
    "client-certificate": "certificate",
    "sign-in": "refresh_token",
}
_UP: Final = (State.READY, State.THROTTLED)


class Gauges:
    """Reads them. `faults` gives why no mail is taken now, in words."""

    def __init__(self, parts: Parts, rolls: Rolls, faults: Callable[[], Sequence[str]]) -> None:
        self._parts = parts
        self._rolls = rolls
        self._faults = faults
        self._started_at = parts.reactor.seconds()
        self._looked_at = -inf
        self._ends: list[Sample] = []

    async def read(self) -> list[Sample]:
        """All of them."""
        await self._look_at_credentials()
        roll = await self._rolls.latest(patience=PATIENCE if self._rolls.roll else FIRST)
        return [
            *self._about(),
            *self._of_queue(roll),
            *self._of_accounts(),
            *self._of_spool(),
            *self._ends,
        ]

    def _about(self) -> Iterator[Sample]:
        parts = self._parts
        versions = (__version__, platform.python_version(), twisted.__version__)
        yield "m365gw_build_info", versions, 1
        yield "m365gw_node_info", (parts.settings.hostname, "gateway"), 1
        yield "m365gw_start_time_seconds", (), self._started_at
        yield "m365gw_ready", (), not self._faults()
        for listener, count in parts.mail_in.listening.clients().items():
            yield "m365gw_smtpd_connections", (listener,), count
        for kind, count in Counter(each.told.key for each in parts.incidents).items():
            yield "m365gw_incidents_open", (kind,), count
        ends = [each.ends_at.timestamp() for each in parts.mail_in.certificates.loaded]
        if ends:
            yield "m365gw_tls_certificate_expiry_timestamp_seconds", (), min(ends)

    def _of_queue(self, roll: Roll | None) -> Iterator[Sample]:
        name = "m365gw_queue_messages"
        yield name, ("active",), self._parts.mail_out.dispatch.in_flight
        if roll is None:
            return
        now = self._parts.reactor.seconds()
        for place in Place:
            yield name, (place.value,), roll.counts[place]
            age = max(0.0, now - roll.firsts.get(place, now))
            yield "m365gw_queue_oldest_message_age_seconds", (place.value,), age

    def _of_accounts(self) -> Iterator[Sample]:
        out, now = self._parts.mail_out, self._parts.reactor.seconds()
        for each in out.overview():
            account = each.address
            yield "m365gw_account_up", (account,), each.standing.state in _UP
            yield "m365gw_account_messages", (account,), each.waiting
            uses = each.uses
            budget = {"connections": uses.connections, "minute": uses.minute, "day": uses.day}
            for limit, use in budget.items():
                yield "m365gw_account_budget_used", (account, limit), use.used
                yield "m365gw_account_budget_limit", (account, limit), use.limit
        for mailbox in self._parts.settings.mailbox:
            seconds = out.way.tokens.ends_in(mailbox)
            if seconds is not None:
                address = mailbox.address
                yield "m365gw_token_expiry_timestamp_seconds", (address,), now + seconds

    def _of_spool(self) -> Iterator[Sample]:
        yield (
            "m365gw_spool_minimal_free_bytes",
            (),
            self._parts.settings.limits.minimal_free_space,
        )
        try:
            yield "m365gw_spool_free_bytes", (), self._parts.spool.free_space()
        except SpoolError:
            return

    async def _look_at_credentials(self) -> None:
        now = self._parts.reactor.seconds()
        if now - self._looked_at < LOOK_AGAIN:
            return
        self._looked_at = now
        self._ends = [
            (
                "m365gw_credential_expiry_timestamp_seconds",
                (end.mailbox, KINDS[end.kind]),
                end.ends_at,
            )
            for end in await self._parts.mail_out.way.tokens.credential_ends()
            if end.ends_at is not None
        ]
