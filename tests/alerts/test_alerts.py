"""Who is told of what, and who is reminded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.alerts.alerts import LOOK_EVERY, MAIL, Alerts, channel_of
from m365gw.alerts.event import Event, Kind
from m365gw.alerts.posting import Outcome, Post
from m365gw.config.alerts import Alerts as Settings
from m365gw.config.alerts import Webhook
from tests.alerts.news import BOX, GATEWAY, HELD, Stage, event

DAY = 86400.0
OPS = ("ops@contoso.com",)
HOOK = Webhook(url="https://hooks.example.com/a")


@define
class Mail:
    """Notes what it is given."""

    told: list[Event] = field(factory=list)
    to: tuple[str, ...] = ()

    def configure(self, to: tuple[str, ...], preferred: str) -> None:
        self.to = to

    def tell(self, event: Event) -> None:
        self.told.append(event)

    async def stop(self) -> None:
        """Nothing is under way."""

    async def try_once(self, event: Event) -> str:
        return "" if "nobody" in self.to[0] else "4Q7BX2K9M3PDW"


class AlertsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.mail: Any = Mail()
        self.posts: list[str] = []
        self.known: list[tuple[str, str]] = []  # who was told of what

    def begin(self, settings: Settings) -> Alerts:
        stage = self.stage
        alerts = Alerts(
            settings,
            self.mail,
            self.post,
            stage.clock,
            stage.log,
            stage.incidents,
            GATEWAY,
            lambda channel, event: self.known.append((channel, event.kind.value)),
        )
        alerts.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(alerts.stop()))
        return alerts

    @property
    def post(self) -> Callable[[str], Post]:
        async def post(url: str, content: bytes, headers: object) -> Outcome:
            self.posts.append(url)
            return Outcome("fails" not in url, "HTTP status 200")

        return lambda ca_file: post

    def told(self) -> list[str]:
        return [event.kind.value for event in self.mail.told]

    def test_all_ways_are_told_of_all_news(self) -> None:
        """Opened, changed and closed, each once."""
        self.begin(Settings(webhook=(HOOK,), mail_to=OPS))
        self.stage.incidents.open(HELD, mailbox=BOX)
        self.stage.incidents.open(HELD, mailbox=BOX, level="error")
        self.stage.incidents.close(HELD.key, mailbox=BOX)
        self.assertEqual(self.told(), ["opened", "changed", "closed"])
        self.assertEqual(len(self.posts), 3)

    def test_what_is_below_the_level_is_not_told(self) -> None:
        """It is in the log and the list all the same."""
        self.begin(Settings(level="error", mail_to=OPS))
        self.stage.incidents.open(HELD, mailbox=BOX)
        self.stage.incidents.open(HELD, level="error")
        self.assertEqual(self.told(), ["opened"])

    def test_what_is_open_for_long_is_told_again(self) -> None:
        """Each day, counted from its beginning, and not after it is closed."""
        self.begin(Settings(mail_to=OPS))
        self.stage.incidents.open(HELD, mailbox=BOX)
        self.stage.wait(DAY - 1, 20)
        self.assertEqual(self.told(), ["opened"])
        self.stage.wait(LOOK_EVERY + 1)
        self.assertEqual(self.told(), ["opened", "reminder"])
        self.stage.wait(DAY, 20)
        self.assertEqual(self.told(), ["opened", "reminder", "reminder"])
        self.stage.incidents.close(HELD.key, mailbox=BOX)
        self.stage.wait(2 * DAY, 20)
        self.assertEqual(self.told()[3:], ["closed"])

    def test_a_restart_reminds_of_nothing_by_itself(self) -> None:
        """The next reminder comes when it would have come."""
        self.stage.incidents.remember(HELD, self.stage.clock.seconds() - 1.5 * DAY, mailbox=BOX)
        self.begin(Settings(mail_to=OPS))
        self.stage.wait(DAY / 4, 20)
        self.assertEqual(self.told(), [])
        self.stage.wait(DAY / 2, 20)
        self.assertEqual(self.told(), ["reminder"])

    def test_nobody_wants_reminders(self) -> None:
        """0: never."""
        self.begin(Settings(remind_after=0.0, mail_to=OPS))
        self.stage.incidents.open(HELD)
        self.stage.wait(3 * DAY, 20)
        self.assertEqual(self.told(), ["opened"])

    def test_a_test_says_what_came_of_each(self) -> None:
        """Also of those that failed."""
        bad = Webhook(url="https://fails.example.com/b")
        alerts = self.begin(Settings(webhook=(HOOK, bad), mail_to=("ops@contoso.com",)))
        trials = self.successResultOf(Deferred.fromCoroutine(alerts.test()))
        self.assertEqual([each.is_good for each in trials], [True, False, True])
        self.assertEqual(trials[0].way, "webhook https://hooks.example.com/...")
        self.assertIn("4Q7BX2K9M3PDW", trials[2].words)

    def test_new_settings(self) -> None:
        """A webhook that is gone is told nothing more; one that stays keeps what waits."""
        alerts = self.begin(Settings(webhook=(HOOK,)))
        alerts.configure(Settings(webhook=(Webhook(url="https://other.example.com/"),)))
        self.stage.incidents.open(HELD)
        self.assertEqual(self.posts, ["https://other.example.com/"])

    def test_who_was_told_is_known(self) -> None:
        """By channel; where nobody is to be told, for all that may be there later."""
        alerts = self.begin(Settings(webhook=(HOOK,)))
        self.stage.incidents.open(HELD)
        self.assertEqual(self.known, [(channel_of(HOOK.url), "opened")])
        self.assertNotIn("hooks", self.known[0][0])
        alerts.configure(Settings(level="error", webhook=(HOOK,)))
        self.stage.incidents.close(HELD.key)
        self.assertEqual(self.known[1:], [("*", "closed")])

    def test_what_the_last_process_did_not_tell(self) -> None:
        """Each channel is told what it has not been told, and of what is over only the end."""
        hook, told = channel_of(HOOK.url), {channel_of(HOOK.url): "opened", MAIL: "opened"}
        is_open, is_over = event().incident, event(Kind.CLOSED).incident
        for incident, before, posted, mailed in (
            (is_open, {}, ["opened"], ["opened"]),
            (is_open, told, [], []),
            (is_open, {MAIL: "opened"}, ["opened"], []),
            (is_open, {"*": "opened"}, [], []),
            (is_over, {}, ["opened", "closed"], ["opened", "closed"]),
            (is_over, told, ["closed"], ["closed"]),
            (is_over, {hook: "closed", MAIL: "opened"}, [], ["closed"]),
            (is_over, {MAIL: "closed"}, [], []),
            (is_over, {"*": "opened"}, ["closed"], ["closed"]),
            (is_over, {"*": "closed"}, [], []),
        ):
            with self.subTest(incident=incident, before=before):
                self.known.clear()
                self.mail.told.clear()
                alerts = self.begin(Settings(webhook=(HOOK,), mail_to=OPS))
                alerts.catch_up(incident, before)
                self.assertEqual([kind for channel, kind in self.known], posted)
                self.assertEqual(self.told(), mailed)
