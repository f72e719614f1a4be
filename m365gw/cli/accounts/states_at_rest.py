"""Mailboxes paused, resumed and retried while no service runs, under the paths of the API.

What stops mailboxes is changed where it is kept, under the spool's lock, so the next start begins
with it. Mail that waits for its time is due at that start, as it would be at once in a running
service.

Failures: `CannotAct`, with the exit code that says why.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from m365gw.cli.queue.actions import CannotAct, locked, told
from m365gw.config.settings import Settings
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.relay.limits.governor import Governor
from m365gw.relay.limits.overview import Overview
from m365gw.relay.stops import kept
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.pauses import paused
from m365gw.relay.stops.roster import accounts_of
from m365gw.spool import operations
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.ledger import LEDGER, Ledger
from m365gw.spool.names import State, tag
from m365gw.spool.spool import Spool

PAUSE, RESUME, RETRY = PATHS = ("/mailboxes/pause", "/mailboxes/resume", "/mailboxes/retry")


class StatesAtRest:
    """Says which mailboxes may send from the next start on; each call by this caller."""

    def __init__(self, settings: Settings, caller: str) -> None:
        self._settings = settings
        self._caller = caller

    def post(self, path: str, body: Mapping[str, str]) -> dict[str, Any]:
        """Pause, resume or retry a mailbox; gives it as it is then."""
        address = self._known(body["address"])
        socket = self._settings.control_socket
        with locked(self._settings.spool_dir, f"Nobody listens on {socket}.") as spool, told():
            mailboxes, now = stops_in(spool, self._settings), time.time()
            if path == PAUSE:
                mailboxes.resume(address, now)  # a new reason takes the place of the old one
                mailboxes.pause(address, paused(address, body["reason"], self._caller), now)
            elif path == RESUME:
                mailboxes.resume(address, now)
            else:
                mailboxes.probe(address, now)
            kept.write(spool, kept.octets(mailboxes, now))
            if path != PAUSE:
                operations.flush(spool, address)
            return self._plain(spool, mailboxes, address, now)

    def _known(self, address: str) -> str:
        """The mailbox of that address, as it is written."""
        addresses = [mailbox.address for mailbox in self._settings.mailbox]
        for each in addresses:
            if each.casefold() == address.casefold():
                return each
        known = ", ".join(addresses) or "none"
        raise CannotAct(f"There is no mailbox {address}. Known: {known}.", 1)

    def _plain(
        self, spool: Spool, mailboxes: Mailboxes, address: str, now: float
    ) -> dict[str, Any]:
        with _governor(spool, self._settings) as governor:
            uses, wait = governor.uses(address), governor.wait(address)
        entries = spool.entries(State.INCOMING, State.DEFERRED)
        due = [entry.due <= now for entry in entries if entry.mailbox == tag(address)]
        standing = mailboxes.standing(address)
        return Overview(address, standing, uses, wait, len(due), sum(due), now).plain()


def standings(settings: Settings) -> dict[str, dict[str, Any]]:
    """What stops mailboxes, by address, as the API shows it; nothing where it cannot be read."""
    try:
        spool = Spool.open(settings.spool_dir, hostname="", read_only=True)
    except Unusable:
        return {}
    try:
        mailboxes = stops_in(spool, settings)
    except SpoolError:
        return {}
    finally:
        spool.close()
    stopped = {each: mailboxes.standing(each) for each in mailboxes.addresses}
    return {
        address: standing.plain() for address, standing in stopped.items() if standing.diagnosis
    }


def stops_in(spool: Spool, settings: Settings) -> Mailboxes:
    """What stops mailboxes when the next service starts. A file that makes no sense stops none,
    as it would not then. Raises `SpoolError`."""
    log = EventLog(io.StringIO(), hostname="")  # what happens is said by that service
    mailboxes = Mailboxes(accounts_of(settings), log, Incidents(log, time.time))
    with suppress(kept.Unreadable):
        kept.restore(spool, mailboxes, time.time())
    return mailboxes


@contextmanager
def _governor(spool: Spool, settings: Settings) -> Iterator[Governor]:
    ledger = Ledger(os.path.join(settings.spool_dir, LEDGER), spool.health)
    try:
        yield Governor(settings.governor, ledger, accounts_of(settings))
    finally:
        ledger.close()
