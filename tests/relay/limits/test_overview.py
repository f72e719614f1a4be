"""Tests for `m365gw.relay.limits.overview`."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.relay.limits.overview import overview
from tests.relay.stage import BOX, GENEROUS, START, TWIN, Stage, refuse

DAY = 86400.0


class OverviewTests(SynchronousTestCase):
    """What the API shows of mailboxes."""

    def seen(self, stage: Stage) -> dict[str, dict[str, Any]]:
        found = overview(stage.mailboxes, stage.governor, stage.schedule, stage.clock.seconds())
        plain: list[dict[str, Any]] = json.loads(json.dumps([one.plain() for one in found]))
        return {one["address"]: one for one in plain}

    def test_ready_mailbox(self) -> None:
        """One without trouble shows what it has used, and waits for nothing."""
        stage = Stage(self, limits=Limits())
        stage.send("a@example.net", "b@example.net")
        shown = self.seen(stage)[BOX]
        budget = shown.pop("budget")
        self.assertEqual(
            shown,
            {
                "address": BOX,
                "state": "ready",
                "since": None,
                "until": None,
                "diagnosis": None,
                "waits": 0,
                "why": "",
            },
        )
        self.assertEqual(budget["connections"], {"used": 0, "limit": 2, "until": None})
        self.assertEqual((budget["minute"]["used"], budget["day"]["used"]), (1, 2))
        self.assertGreater(budget["minute"]["until"], START)
        self.assertIsNone(budget["tenant_day"])
        self.assertEqual(self.seen(stage)[TWIN]["budget"]["day"]["used"], 0)

    def test_new_pace(self) -> None:
        """After a change of the pace it says why nothing goes for a while, and how long."""
        stage = Stage(self, limits=Limits())
        stage.send()
        stage.governor.configure(Limits(messages_per_minute=20), ())
        stage.send()
        why = self.seen(stage)[BOX]["why"]
        self.assertIn(f"the pace of {BOX} was changed to 20 messages a minute", why)
        self.assertIn("1 message waits, the first goes in about 6", why)
        stage.wait(90)
        self.assertEqual((self.seen(stage)[BOX]["why"], len(stage.pool.delivered)), ("", 2))

    def test_mailbox_without_budget(self) -> None:
        """One that has used up its day says so, with the numbers and the time."""
        stage = Stage(self, limits=evolve(GENEROUS, recipients_per_day=2))
        for _ in range(5):
            stage.send()
        shown = self.seen(stage)[BOX]
        self.assertEqual((shown["state"], shown["waits"]), ("ready", 3))
        self.assertIn(f"{BOX} has sent to 2 recipients in 24 hours", shown["why"])
        self.assertIn("3 messages wait", shown["why"])
        self.assertGreaterEqual(shown["budget"]["day"]["until"], START + DAY)

    def test_held_mailbox(self) -> None:
        """One that is held shows the diagnosis, since when, and when it is tried again."""
        stage = Stage(self)
        stage.pool.script = [refuse(550, "5.1.8", "Access denied, bad outbound sender")]
        stage.send()
        shown = self.seen(stage)[BOX]
        self.assertEqual((shown["state"], shown["since"]), ("needs_admin", START))
        self.assertEqual(shown["until"], START + 300)
        self.assertIn(BOX, shown["diagnosis"]["what"])
        self.assertEqual(set(shown["diagnosis"]), {"key", "what", "why", "fix", "who"})
        self.assertIn(shown["diagnosis"]["what"], shown["why"])

    def test_trouble_of_a_tenant_is_shown_for_each_mailbox(self) -> None:
        """Each mailbox of a tenant that is held shows its own command, not another's."""
        stage = Stage(self)
        words = "5.7.139 SmtpClientAuthentication is disabled for the Tenant."
        stage.pool.script = [refuse(550, "5.7.708", "traffic not accepted from this IP")]
        stage.send()
        shown = self.seen(stage)
        for box in (BOX, TWIN):
            self.assertEqual(shown[box]["state"], "needs_admin", words)
            self.assertIn("the tenant contoso", shown[box]["why"])
