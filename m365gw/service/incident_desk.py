"""Incidents, wired: who looks for them, who keeps them, who is told.

What was open when the last process ended is recalled at start; what nobody has found again after
an hour is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from m365gw.alerts.alerts import MAIL, Alerts, Trial
from m365gw.alerts.forecast import End, Forecast
from m365gw.alerts.history import History
from m365gw.alerts.mail import AlertMail
from m365gw.alerts.posting import HttpsPost
from m365gw.alerts.webhook import KEPT
from m365gw.config.settings import Client, Settings
from m365gw.directory.database import DirectoryError
from m365gw.directory.incident_book import IncidentBook
from m365gw.events import EventLog
from m365gw.incidents import Incident, Incidents, News
from m365gw.relay.queue.disk_watch import FAILED
from m365gw.service.damage_watch import DamageWatch
from m365gw.service.directory import Directory
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut
from m365gw.service.reload import REJECTED
from m365gw.service.room_watch import RoomWatch
from m365gw.service.status import lack_of_space
from m365gw.spool.spool import Spool

_CERTAINTY = {
    "known": "",
    "stated": "as client_secret_expires says",
    "hint": "if it is not renewed before, which happens by itself while it works",
    "unknown": "nobody has said when it ends",
}
SEEN_AGAIN = 3600.0  # seconds until what was recalled must have been found again


class IncidentDesk:
    """From `start` to `stop`; `apply` gives it new settings."""

    def __init__(
        self,
        *,
        settings: Settings,
        incidents: Incidents,
        spool: Spool,
        directory: Directory,
        mail_in: MailIn,
        mail_out: MailOut,
        reactor: Any,
        log: EventLog,
    ) -> None:
        self._settings = settings
        self._incidents = incidents
        self._reactor = reactor
        self._mail_in = mail_in
        self._mail_out = mail_out
        self._settling: Any = None
        self._book = IncidentBook(directory.database, settings.hostname)
        self._history = History(self._book, directory.calls, reactor, log, incidents)
        self._spool = spool
        self._room_watch = RoomWatch(self._lack, reactor, incidents)
        self._damage_watch = DamageWatch(spool, reactor, incidents)
        self.forecast = Forecast(self._ends, reactor, incidents)
        mail = AlertMail(
            spool=spool,
            mailboxes=mail_out.mailboxes,
            disk=mail_out.disk,
            clock=reactor,
            log=log,
            hostname=settings.hostname,
            accepted=mail_out.accepted,
            told=partial(self._history.told, MAIL),
        )
        self.alerts = Alerts(
            settings.alerts,
            mail,
            partial(HttpsPost, reactor),
            reactor,
            log,
            incidents,
            settings.hostname,
            self._history.told,
        )

    def start(self) -> None:
        """Recall what was open, tell, and look. To be called before anything else is opened."""
        known: list[tuple[Incident, dict[str, str]]] = []
        with suppress(DirectoryError):  # an incident says so (`directory_watch`)
            known = self._book.to_be_told(self._reactor.seconds() - KEPT)
            self._incidents.recall(incident for incident, _ in known if incident.is_open)
            self._incidents.listen(self._catch_up)
        self._incidents.listen(self._history.hear)
        self.alerts.start()
        for incident, told in known:
            self.alerts.catch_up(incident, told)
        for key in (FAILED, REJECTED):
            self._incidents.close(key, note="the service was started anew")
        self._room_watch.start()
        self._damage_watch.start()
        self.forecast.start()
        self._settling = self._reactor.callLater(SEEN_AGAIN, self._incidents.settle)

    def apply(self, settings: Settings) -> None:
        """Go on with new settings. It cannot fail."""
        self._settings = settings
        self.alerts.configure(settings.alerts)
        self.forecast.look()

    def open_ones(self) -> list[Incident]:
        """What is open now, the oldest first."""
        return list(self._incidents)

    async def history(self, limit: int) -> list[Incident]:
        """Open and closed ones, the newest first."""
        return await self._history.latest(limit)

    async def find(self, incident_id: str) -> Incident | None:
        """The incident of this id."""
        return await self._history.find(incident_id)

    async def test(self) -> list[Trial]:
        """Tell everybody a test."""
        return await self.alerts.test()

    async def credentials(self) -> list[dict[str, Any]]:
        """What will end, as JSON shows it."""
        return await self.forecast.known()

    async def stop(self) -> None:
        """Look no more, tell nothing more, and write what is not written yet."""
        for part in (self._room_watch, self._damage_watch, self.forecast):
            part.stop()
        await self.alerts.stop()
        if self._settling is not None and self._settling.active():
            self._settling.cancel()
        await self._history.stop()

    def _catch_up(self, news: News, incident: Incident) -> None:
        """What is open and not in the book was opened just before the last process ended."""
        if news is News.REMEMBERED:
            self.alerts.catch_up(incident, {})

    def _lack(self) -> dict[str, str]:
        return lack_of_space(self._spool, self._settings)

    async def _ends(self) -> list[End]:
        signed_in = [
            End(each.kind, each.mailbox, each.ends_at, _CERTAINTY[each.certainty])
            for each in await self._mail_out.way.tokens.credential_ends()
        ]
        return [*self._own_ends(), *signed_in]

    def _own_ends(self) -> Iterator[End]:
        for loaded in self._mail_in.certificates.loaded:
            yield End("tls-certificate", loaded.pair.certificate, loaded.ends_at.timestamp())
        for client in self._settings.client:
            yield from password_ends(client)


def password_ends(client: Client) -> Iterator[End]:
    """When the passwords of a login end; only the end of the last good one is told."""
    days: list[date] = [each.expires for each in client.password if each.expires is not None]
    is_kept = bool(client.password_hash) or len(days) < len(client.password)
    if days:
        over = datetime.combine(max(days) + timedelta(days=1), time(), UTC)
        yield End("password", client.login, over.timestamp(), is_told=not is_kept)
