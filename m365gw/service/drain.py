"""Draining: no more mail is taken, what is due is delivered, then the service stops.

Listeners close, and clients are told 421 as soon as they have no message in hand. Mail that is due
now goes out as fast as the governor lets it, within a bound; what is due later, or cannot go within
the bound, stays in the spool. Once begun, a drain ends with the end of the service; to ask again
changes the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from m365gw.events import EventLog
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut

LOOK_EVERY = 0.5  # seconds

_diagnostics = Logger()


class Drain:
    """The drain of one gateway. `stop` ends the service."""

    def __init__(
        self,
        mail_in: MailIn,
        mail_out: MailOut,
        reactor: Any,
        log: EventLog,
        stop: Callable[[], object],
    ) -> None:
        self._in = mail_in
        self._out = mail_out
        self._reactor = reactor
        self._log = log
        self._stop = stop
        self._look: IDelayedCall | None = None
        self._is_closed = False  # whether nobody can hand in mail any more
        self.until: float | None = None  # seconds since 1970; None when there is none

    def begin(self, seconds: float) -> None:
        """Drain, within so many seconds."""
        is_first = self.until is None
        self.until = self._reactor.seconds() + seconds
        note = f"no more mail is taken; what is due goes out within {seconds:g} s"
        self._log.emit("service.draining", "master", note=note)
        if is_first:
            closing = Deferred.fromCoroutine(self._in.close())
            closing.addErrback(lambda fault: _diagnostics.failure("closing", failure=fault))
            closing.addBoth(self._closed)
            self._look_again()

    def cancel(self) -> None:
        """The service ends anyway."""
        if self._look is not None and self._look.active():
            self._look.cancel()

    def _closed(self, _done: object) -> None:
        self._is_closed = True

    def _look_again(self) -> None:
        assert self.until is not None
        is_over = self._reactor.seconds() >= self.until
        if is_over or (self._is_closed and self._out.is_drained(self.until)):
            in_flight = self._out.dispatch.in_flight
            words = f"the time is over, {in_flight} in flight" if is_over else "nothing is due"
            self._log.emit("service.drained", "master", note=f"{words}; the service stops")
            self._stop()
        else:
            self._look = self._reactor.callLater(LOOK_EVERY, self._look_again)
