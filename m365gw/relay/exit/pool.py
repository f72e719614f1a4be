"""Connections that are kept for the next message, by mailbox.

A TLS handshake with sign-in costs as much as twenty messages, so a connection that carried one is
kept while the limits of `[governor]` allow. A connection never changes its mailbox. There are never
more of one mailbox than it may have, idle ones included; who wants one more waits.

Failures: `AttemptFailed` (no session) and `TokenUnavailable` (nothing to sign in with) from
`checkout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field
from twisted.internet.defer import Deferred

from m365gw.config.clouds import cloud_of
from m365gw.config.settings import Governor as Limits
from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.connection import AttemptFailed, Connection
from m365gw.relay.exit.dialer import Dialer
from m365gw.relay.exit.proof import Proofs
from m365gw.relay.limits.allowance import Allowance
from m365gw.smtp.replies import Reply


@define
class Line:
    """The connections of one mailbox."""

    open: int = 0  # being opened, in use, idle or being closed
    idle: list[Connection] = field(factory=list)  # the one used last is at the end
    all: set[Connection] = field(factory=set)
    changes: int = 0  # how often the mailbox was set up anew
    waiting: list[Deferred[None]] = field(factory=list)


class Pool:
    """Gives out connections and takes them back. `clouds` maps the names mailboxes use."""

    def __init__(
        self, proofs: Proofs, dialer: Dialer, clouds: Mapping[str, Cloud], limits: Limits
    ) -> None:
        self._proofs = proofs
        self._dialer = dialer
        self._clouds = clouds
        self._limits = limits
        self._lines: dict[str, Line] = {}
        self._is_closing = False

    def configure(
        self, clouds: Mapping[str, Cloud], limits: Limits, changed: Iterable[str]
    ) -> None:
        """From now on these are the clouds and limits.

        Connections of `changed` mailboxes signed in with what they had before: they end when the
        message they carry is through. Others keep the limits they were opened with.
        """
        self._clouds = clouds
        self._limits = limits
        for address in changed:
            line = self._lines.get(address)
            if line is not None:
                line.changes += 1
                for connection in line.all:
                    connection.retire()
                self._part_with(line)

    async def checkout(self, mailbox: Mailbox, *, fresh_token: bool = False) -> Connection:
        """A session of this mailbox for one delivery; give it back with `checkin` or `discard`.

        `fresh_token`: the old token was refused; a new one is fetched and a new session opened.
        """
        line = self._lines.setdefault(mailbox.address, Line())
        if fresh_token:
            self._part_with(line)
        while True:
            if self._is_closing:
                raise AttemptFailed(Phase.CONNECT, Reply(0, "", "the gateway is stopping"))
            if line.idle and not fresh_token:
                connection = line.idle.pop()
                if connection.is_reusable:
                    return connection
                Deferred.fromCoroutine(connection.quit())
            elif line.open < Allowance.of(self._limits, mailbox.exit).connections:
                return await self._open(mailbox, line, fresh_token)
            else:
                await self._turn(line)

    def checkin(self, mailbox: Mailbox, connection: Connection) -> None:
        """Take a connection back. It is kept when it can carry another message."""
        line = self._lines[mailbox.address]
        if connection.is_reusable and not self._is_closing:
            line.idle.append(connection)
            _next(line)
        else:
            Deferred.fromCoroutine(connection.quit())

    def discard(self, connection: Connection) -> None:
        """Close a connection that shall not be used again."""
        Deferred.fromCoroutine(connection.quit())

    async def close(self) -> None:
        """End the idle sessions now and the others as they come back; returns when all ended."""
        self._is_closing = True
        for line in self._lines.values():
            self._part_with(line)
            while line.open:
                await self._turn(line)

    async def _open(self, mailbox: Mailbox, line: Line, fresh_token: bool) -> Connection:
        line.open += 1
        changes = line.changes
        try:
            proof = await self._proofs.proof(mailbox, fresh=fresh_token)
            connection = await self._dialer.open(cloud_of(mailbox, self._clouds), proof)
        except BaseException:
            _left(line)
            raise
        line.all.add(connection)
        connection.on_closed(lambda: _left(line, connection))
        if line.changes != changes:
            connection.retire()
        return connection

    async def _turn(self, line: Line) -> None:
        """Wait until a connection came back or ended."""
        turn: Deferred[None] = Deferred()
        line.waiting.append(turn)
        await turn

    def _part_with(self, line: Line) -> None:
        """End all idle sessions of a mailbox."""
        idle, line.idle = line.idle, []
        for connection in idle:
            Deferred.fromCoroutine(connection.quit())


def _left(line: Line, connection: Connection | None = None) -> None:
    line.open -= 1
    if connection is not None:
        line.all.discard(connection)
    if connection in line.idle:
        line.idle.remove(connection)
    _next(line)


def _next(line: Line) -> None:
    """Who waits for a connection looks again, in the order they came."""
    waiting, line.waiting = line.waiting, []
    for turn in waiting:
        if not turn.called:  # else it was cancelled
            turn.callback(None)
