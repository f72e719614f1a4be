"""Mail about incidents, through a mailbox that works: another one than that which is broken.

The mail is our own: it goes into the spool as delivery reports do, so nothing is ever reported
about it and no loop can begin. What comes within some seconds goes in one mail, and then one mail
goes in five minutes at the most, with all that came meanwhile. When no mailbox may send, that is
said once in the log, and it is tried again until one may.

Failures: none leave here; what the spool cannot take now is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from m365gw.alerts.event import Event
from m365gw.alerts.mail_text import compose
from m365gw.events import EventLog
from m365gw.relay.delivery.recovery import REPORTS
from m365gw.relay.stops.stops import Standing, State
from m365gw.relay.threads import Calls
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool

GATHER = 5.0  # seconds from the first piece of news until the mail
PAUSE = 300.0  # seconds between two mails
AGAIN = 60.0  # seconds until it is tried again
MOST = 500  # pieces of news that wait; then the oldest are dropped

_diagnostics = Logger()


class Mailboxes(Protocol):
    """The mailboxes there are, and how they are."""

    @property
    def addresses(self) -> tuple[str, ...]: ...

    def standing(self, mailbox: str) -> Standing: ...


@define(kw_only=True)
class AlertMail:
    """Mails news to people. `accepted` sends a mail that was made; `told` hears what is in one."""

    spool: Spool
    mailboxes: Mailboxes
    disk: Calls
    clock: IReactorTime
    log: EventLog
    hostname: str
    accepted: Callable[[Entry], object]
    told: Callable[[Event], object]
    to: tuple[str, ...] = ()
    preferred: str = ""  # the mailbox it leaves by, if that may send
    _waiting: list[Event] = field(factory=list, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _sent_at: float = field(default=-PAUSE, init=False)
    _has_said: bool = field(default=False, init=False)
    _is_over: bool = field(default=False, init=False)

    def configure(self, to: Sequence[str], preferred: str) -> None:
        """From now on it goes to these, by this mailbox if that may send."""
        self.to, self.preferred = tuple(to), preferred

    def tell(self, event: Event) -> None:
        """Mail this, with what comes soon after."""
        if not self.to:
            return
        self._waiting = [*self._waiting[-MOST + 1 :], event]
        if self._timer is None and not self._is_over:
            next_mail = self._sent_at + PAUSE - self.clock.seconds()
            self._timer = self.clock.callLater(max(GATHER, next_mail), self._send)

    async def stop(self) -> None:
        """Put what waits into the spool if that can be, and nothing more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._is_over = True
        if self._waiting:
            await self._try()

    def mailbox_for(self, events: Iterable[Event]) -> str:
        """The mailbox it leaves by: one that is ready, and rather not one of those concerned.

        "" when none is ready.
        """
        broken = {dict(event.incident.subject).get("mailbox", "") for event in events}
        known = self.mailboxes.addresses
        wanted = [one for one in known if one.casefold() == self.preferred.casefold()]
        ready = [
            one for one in (*wanted, *known) if self.mailboxes.standing(one).state is State.READY
        ]
        return next((one for one in ready if one not in broken), ready[0] if ready else "")

    async def try_once(self, event: Event) -> str:
        """Mail this now, for a test; gives its queue id, "" when no mailbox is ready.

        Raises `SpoolError`.
        """
        mailbox = self.mailbox_for([event])
        return await self._mailed([event], mailbox) if mailbox else ""

    def _send(self) -> None:
        self._timer = None
        sending = Deferred.fromCoroutine(self._try())
        sending.addErrback(lambda fault: _diagnostics.failure("alert mail", failure=fault))

    async def _try(self) -> None:
        events, mailbox = self._waiting, self.mailbox_for(self._waiting)
        if mailbox:
            try:
                self._waiting = []
                await self._mailed(events, mailbox)
            except SpoolError as error:
                self._waiting = [*events, *self._waiting]
                self._say_once(f"the spool does not take it: {error.cause}")
            else:
                self._sent_at, self._has_said = self.clock.seconds(), False
                for event in events:
                    self.told(event)
        else:
            self._say_once("no mailbox may send now")
        if self._waiting and self._timer is None and not self._is_over:
            self._timer = self.clock.callLater(AGAIN, self._send)

    async def _mailed(self, events: Sequence[Event], mailbox: str) -> str:
        plain = all(address.isascii() for address in (mailbox, *self.to))
        envelope = Envelope(mailbox, tuple(map(Recipient, self.to)), smtputf8=not plain)
        origin = Origin("", protocol="", listener=REPORTS, mailbox=mailbox)
        draft = self.spool.draft(envelope, origin)
        draft.write(
            compose(
                events,
                hostname=self.hostname,
                sender=mailbox,
                addressees=self.to,
                queue_id=draft.queue_id,
                at=datetime.fromtimestamp(self.clock.seconds(), UTC),
            )
        )
        draft.finish()
        (entry,) = await self.disk.call(self.spool.commit, [draft])
        if isinstance(entry, SpoolError):
            raise entry
        keys = " ".join(event.incident.id for event in events[:20])
        note = f"mail about {len(events)} pieces of news of incidents ({keys}) by {mailbox}"
        self.log.emit("alert.mailed", "alerts", draft.queue_id, note=note)
        self.accepted(entry)
        return draft.queue_id

    def _say_once(self, why: str) -> None:
        if not self._has_said:
            self._has_said = True
            note = f"mail about incidents waits: {why}; tried again each minute"
            self.log.emit("alert.mail_waits", "alerts", level="warn", note=note)
