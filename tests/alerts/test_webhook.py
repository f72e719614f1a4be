"""One webhook: order, repetition, what is given up."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.alerts.event import Kind
from m365gw.alerts.posting import Outcome
from m365gw.alerts.webhook import FAILING, KEPT, MOST, REFUSALS, Webhook
from tests.alerts.news import Stage, event

URL = "https://hooks.example.com/services/s3cret-path"
TAKEN = Outcome(True, "HTTP status 200")
AWAY = Outcome(False, "HTTP status 503")


class WebhookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.posted: list[tuple[str, str, str]] = []  # event, incident, delivery
        self.outcomes: list[Outcome] = []
        self.known: list[str] = []  # ids of what need not be told any more
        self.hook = self.webhook()

    def webhook(self) -> Webhook:
        """The receiver, as a process speaks to it."""
        stage = self.stage
        return Webhook(
            URL,
            "",
            self.post,
            stage.clock,
            stage.log,
            stage.incidents,
            lambda event: self.known.append(event.id),
        )

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Outcome:
        self.assertEqual(url, URL)
        said = json.loads(content)
        self.posted.append((said["event"], said["incident"]["id"], headers["X-M365GW-Delivery"]))
        return self.outcomes.pop(0) if self.outcomes else TAKEN

    def told(self) -> list[str]:
        return [incident[-1] for _, incident, _ in self.posted]

    def test_news_is_posted_at_once_and_once(self) -> None:
        """Nothing is repeated that was taken."""
        self.hook.tell(event())
        self.stage.wait(KEPT, 10)
        self.assertEqual(self.told(), ["1"])

    def test_what_is_not_taken_is_repeated_and_the_rest_waits(self) -> None:
        """The order stays, and a repetition has the same delivery id."""
        self.outcomes = [AWAY, AWAY]
        self.hook.tell(event(number=1))
        self.hook.tell(event(number=2))
        self.hook.tell(event(Kind.CLOSED, number=1))
        self.assertEqual(self.told(), ["1"])
        self.stage.wait(4.9)
        self.assertEqual(self.told(), ["1"])
        self.stage.wait(0.2)
        self.assertEqual(self.told(), ["1", "1"])
        self.stage.wait(10)
        self.assertEqual(self.told(), ["1", "1", "1", "2", "1"])
        self.assertEqual(len({delivery for _, _, delivery in self.posted[:3]}), 1)
        self.assertEqual(len({delivery for _, _, delivery in self.posted}), 3)

    def test_another_process_tells_it_under_the_same_id(self) -> None:
        """So a receiver that has it already can leave it out; what was taken is known as told."""
        news = event(number=1)
        self.hook.tell(news)
        self.webhook().tell(event(number=1, at=news.at))
        ids = {delivery for _, _, delivery in self.posted}
        self.assertEqual((len(self.posted), ids), (2, {news.id}))
        self.assertEqual(self.known, [news.id, news.id])
        self.outcomes = [AWAY]
        self.hook.tell(event(Kind.CLOSED, number=1))
        self.assertEqual(len(self.known), 2)
        self.stage.wait(5)
        self.assertEqual(len(self.known), 3)

    def test_retry_after_is_heeded(self) -> None:
        """A receiver says when it wants to be asked again."""
        self.outcomes = [Outcome(False, "HTTP status 429", wait=120.0)]
        self.hook.tell(event())
        self.stage.wait(119, 119)
        self.assertEqual(len(self.posted), 1)
        self.stage.wait(2)
        self.assertEqual(len(self.posted), 2)

    def test_a_body_that_is_refused_stops_nothing_for_long(self) -> None:
        """It is given up after some refusals, and what follows goes."""
        self.outcomes = [Outcome(False, "HTTP status 400", is_refused=True)] * REFUSALS
        self.hook.tell(event(number=1))
        self.hook.tell(event(number=2))
        self.stage.wait(300, 300)
        self.assertEqual(self.told(), ["1"] * REFUSALS + ["2"])
        self.assertEqual(len(self.known), 2)
        self.assertEqual(len(self.stage.events("alert.given_up")), 1)

    def test_a_receiver_that_fails_is_an_incident(self) -> None:
        """Told to others, not to itself, and closed when it answers; no text shows its address."""
        heard: list[str] = []
        self.stage.incidents.listen(lambda news, incident: heard.append(news.value))
        self.outcomes = [AWAY] * 20
        self.hook.tell(event())
        self.stage.wait(FAILING + 700, 1600)
        self.assertEqual(heard, ["opened"])
        self.hook.tell(event(number=2, box="webhook"))
        self.outcomes.clear()
        self.stage.wait(700, 700)
        self.assertEqual(heard, ["opened", "closed"])
        self.assertIn("hooks.example.com", self.stage.lines.getvalue())
        self.assertNotIn("s3cret", self.stage.lines.getvalue())

    def test_after_a_day_news_is_old(self) -> None:
        """It is given up, and said so."""
        self.outcomes = [AWAY] * 1000
        self.hook.tell(event())
        self.stage.wait(KEPT + 700, 2000)
        self.assertEqual(len(self.stage.events("alert.given_up")), 1)

    def test_what_waits_is_bounded(self) -> None:
        """The oldest is given up; not the one that is on its way."""
        self.outcomes = [AWAY]
        for number in range(MOST + 5):
            self.hook.tell(event(number=number))
        self.assertEqual(len(self.stage.events("alert.given_up")), 5)
        self.stage.wait(10)
        self.assertEqual(len(self.posted), MOST + 1)

    def test_a_stop_leaves_nothing_behind(self) -> None:
        """No timer, and nothing is posted any more."""
        self.outcomes = [AWAY]
        self.hook.tell(event())
        self.hook.stop()
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_a_trial_says_what_came_of_it(self) -> None:
        """Once, whatever waits."""
        self.outcomes = [AWAY]
        outcome = self.successResultOf(Deferred.fromCoroutine(self.hook.try_once(event())))
        self.assertEqual((outcome, len(self.posted)), (AWAY, 1))
