"""What will end is told ahead, each time once."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.alerts.forecast import DAY, LOOK_EVERY, End, Forecast
from tests.alerts.news import BOX, START, Stage


class ForecastTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.ends: list[End] = []
        self.heard: list[tuple[str, str, str]] = []
        self.begin()

    def begin(self) -> None:
        async def ends() -> list[End]:
            return self.ends

        self.forecast = Forecast(ends, self.stage.clock, self.stage.incidents)
        self.stage.incidents.listen(
            lambda news, incident: self.heard.append(
                (news.value, incident.level, incident.told.what)
            )
        )
        self.forecast.start()
        self.addCleanup(self.forecast.stop)

    def test_each_stage_is_told_once(self) -> None:
        """30, 14, 7 and 1 days ahead, and when it has come; whatever ends."""
        kinds = ("tls-certificate", "certificate", "secret", "sign-in", "password")
        for kind in kinds:
            with self.subTest(kind=kind):
                self.heard.clear()
                self.ends = [End(kind, BOX, self.stage.clock.seconds() + 31 * DAY)]
                self.stage.wait(32 * DAY, 32 * 4)
                self.assertEqual(
                    [(news, level) for news, level, _ in self.heard],
                    [("opened", "warn"), *[("changed", "warn")] * 2, *[("changed", "error")] * 2],
                )
                for (_, _, what), words in zip(
                    self.heard,
                    ("30 days", "14 days", "7 days", "within a day", "ended at"),
                    strict=True,
                ):
                    self.assertIn(words, what)
                    self.assertIn(BOX, what)
                self.ends = []
                self.stage.wait(LOOK_EVERY)
                self.assertEqual(self.heard[-1][0], "closed")

    def test_a_restart_tells_nothing_twice(self) -> None:
        """The stage that was told is known by its words."""
        self.ends = [End("secret", BOX, START + 5 * DAY)]
        self.stage.wait(LOOK_EVERY)
        before = list(self.stage.incidents)
        self.forecast.stop()
        self.stage = Stage()
        self.stage.incidents.recall(before)
        self.heard.clear()
        self.begin()
        self.stage.incidents.settle()
        self.assertEqual(self.heard, [])

    def test_renewal_closes_it(self) -> None:
        """A later end of the same is no trouble any more."""
        self.ends = [End("sign-in", BOX, START + DAY / 2)]
        self.stage.wait(LOOK_EVERY)
        self.ends = [End("sign-in", BOX, START + 90 * DAY)]
        self.stage.wait(LOOK_EVERY)
        self.assertEqual([news for news, _, _ in self.heard], ["opened", "closed"])

    def test_what_nobody_knows_is_only_listed(self) -> None:
        """So is what something else takes the place of; the nearest comes first."""
        self.ends = [
            End("secret", BOX, None, "Microsoft does not tell"),
            End("password", "printer3", START + DAY, is_told=False),
        ]
        self.stage.wait(LOOK_EVERY)
        self.assertEqual(self.heard, [])
        known = self.successResultOf(Deferred.fromCoroutine(self.forecast.known()))
        self.assertEqual([each["name"] for each in known], ["printer3", BOX])
        self.assertEqual([each["warned"] for each in known], [None, None])
