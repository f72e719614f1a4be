"""Who is told of incidents: every webhook and, by mail, every address of `[alerts]`.

News of incidents below the level asked for is not told. What is open for long is told again, each
time `remind_after` is over, counted from its beginning, so that a restart changes nothing.

Failures: none leave here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial

from attrs import evolve, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from m365gw.alerts.event import OPENED, Event, Kind
from m365gw.alerts.mail import AlertMail
from m365gw.alerts.posting import Post
from m365gw.alerts.webhook import Webhook
from m365gw.config.alerts import Alerts as Settings
from m365gw.config.alerts import Webhook as WebhookSettings
from m365gw.directory.incident_book import EVERYBODY
from m365gw.events import EventLog
from m365gw.incidents import Incident, Incidents, News
from m365gw.log_lines import LEVELS
from m365gw.spool.health import SpoolError

MAIL = "mail"  # what the book calls mail
LOOK_EVERY = 60.0  # seconds between two looks for what is open for long

_KINDS = {News.OPENED: Kind.OPENED, News.CHANGED: Kind.CHANGED, News.CLOSED: Kind.CLOSED}


@frozen
class Trial:
    """What came of a test of one way to tell people."""

    way: str  # "webhook https://hooks.example.com/...", "mail ann@example.com"
    is_good: bool
    words: str


def channel_of(url: str) -> str:
    """What the book calls a webhook, whose address often is its secret."""
    return f"webhook {hashlib.blake2b(url.encode(), digest_size=16).hexdigest()}"


class Alerts:
    """Tells people. `post` gives what posts, trusting only the authority in a file, or all ("")."""

    def __init__(
        self,
        settings: Settings,
        mail: AlertMail,
        post: Callable[[str], Post],
        clock: IReactorTime,
        log: EventLog,
        incidents: Incidents,
        hostname: str,
        told: Callable[[str, Event], object],
    ) -> None:
        self._mail = mail
        self._post = post
        self._clock = clock
        self._log = log
        self._incidents = incidents
        self._hostname = hostname
        self._told = told
        self._reminders: dict[str, int] = {}  # how many each open incident should have had
        self._look: IDelayedCall | None = None
        self._webhooks: dict[WebhookSettings, Webhook] = {}
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """From now on these are told. What waits for a webhook that stays goes on."""
        self._settings = settings
        self._mail.configure(settings.mail_to, settings.mail_from)
        for gone in set(self._webhooks) - set(settings.webhook):
            webhook = self._webhooks.pop(gone)
            webhook.stop()
            self._incidents.close("webhook-fails", webhook=webhook.place)
        for wanted in settings.webhook:
            if wanted not in self._webhooks:
                self._webhooks[wanted] = Webhook(
                    wanted.url,
                    wanted.secret,
                    self._post(wanted.ca_file),
                    self._clock,
                    self._log,
                    self._incidents,
                    partial(self._told, channel_of(wanted.url)),
                )

    def start(self) -> None:
        """Hear of incidents, and look for those that are open for long."""
        self._incidents.listen(self.hear)
        self._remind()

    async def stop(self) -> None:
        """Tell nothing more; mail that waits goes into the spool."""
        if self._look is not None and self._look.active():
            self._look.cancel()
        for webhook in self._webhooks.values():
            webhook.stop()
        await self._mail.stop()

    def catch_up(self, incident: Incident, told: Mapping[str, str]) -> None:
        """Tell what of an incident has not been told; `told`: how far, by channel.

        Who hears of it for the first time, unlike others, need not know what is over.
        """
        if self._is_below(incident):
            return
        opened = evolve(incident, closed_at=None, note="")
        for channel, tell in self._channels():
            stage = told.get(channel, told.get(EVERYBODY))
            if stage is None and (incident.is_open or not told):
                tell(Event(Kind.OPENED, opened, self._hostname, incident.opened_at))
                stage = OPENED
            if incident.closed_at is not None and stage == OPENED:
                tell(Event(Kind.CLOSED, incident, self._hostname, incident.closed_at))

    def hear(self, news: News, incident: Incident) -> None:
        """A listener of the board."""
        if news in _KINDS:
            self._tell(_KINDS[news], incident)

    async def test(self) -> list[Trial]:
        """Send a test by each way, and say what came of it."""
        event = Event.test(self._hostname, self._clock.seconds())
        trials = []
        for webhook in self._webhooks.values():
            outcome = await webhook.try_once(event)
            trials.append(Trial(f"webhook {webhook.place}", outcome.is_taken, outcome.words))
        if self._settings.mail_to:
            trials.append(await self._tried_mail(event))
        return trials

    async def _tried_mail(self, event: Event) -> Trial:
        way = f"mail {', '.join(self._settings.mail_to)}"
        try:
            queue_id = await self._mail.try_once(event)
        except SpoolError as error:
            return Trial(way, False, f"The spool does not take it: {error.cause}.")
        if not queue_id:
            return Trial(way, False, "No mailbox is ready to send: m365gw status says why.")
        return Trial(way, True, f"It is in the queue: m365gw queue show {queue_id}")

    def _tell(self, kind: Kind, incident: Incident) -> None:
        event = Event(kind, incident, self._hostname, self._clock.seconds())
        channels = [] if self._is_below(incident) else self._channels()
        for _, tell in channels:
            tell(event)
        if not channels:
            self._told(EVERYBODY, event)

    def _is_below(self, incident: Incident) -> bool:
        return LEVELS[incident.level] < LEVELS[self._settings.level]

    def _channels(self) -> list[tuple[str, Callable[[Event], object]]]:
        """Each way to tell people, by the name under which the book knows it."""
        ways = [(channel_of(each.url), each.tell) for each in self._webhooks.values()]
        return [*ways, (MAIL, self._mail.tell)] if self._settings.mail_to else [*ways]

    def _remind(self) -> None:
        self._look = self._clock.callLater(LOOK_EVERY, self._remind)
        reminders: dict[str, int] = {}
        pace = self._settings.remind_after
        for incident in self._incidents if pace else ():
            due = int((self._clock.seconds() - incident.opened_at) // pace)
            reminders[incident.id] = due
            if due > self._reminders.get(incident.id, due):
                self._tell(Kind.REMINDER, incident)
        self._reminders = reminders
