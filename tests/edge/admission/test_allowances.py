"""How much a client may send, and when it may send again."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client
from m365gw.edge.admission import allowances
from m365gw.edge.admission.allowances import Allowances
from m365gw.edge.admission.rules import Rule, client_rule
from m365gw.smtp.replies import Refused


def rule(**permissions: Any) -> Rule:
    return client_rule(Client(login="erp", senders=("*",), mailbox="r@example.com", **permissions))


class AllowancesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_010.0)
        self.allowances = Allowances(self.clock.seconds)

    def send(self, by: Rule, recipients: int = 1, client: str = "") -> str:
        """ "", or the words of the refusal."""
        try:
            self.allowances.of(by, client).spend(recipients)
        except Refused as refused:
            return str(refused.reply)
        return ""

    def test_without_a_limit_nothing_is_counted(self) -> None:
        """And nothing is remembered."""
        for _ in range(100):
            self.assertEqual(self.send(rule(), 1000), "")
        self.assertEqual(self.allowances._used, {})

    def test_messages_in_any_hour(self) -> None:
        """Never more, wherever the hour begins; the words say when to come again, and it holds."""
        limited = rule(messages_per_hour=3)
        sent: list[float] = []
        for _ in range(4 * 60):
            self.clock.advance(60.0)
            if not self.send(limited):
                sent.append(self.clock.seconds())
        self.assertEqual(len(sent), 3 * 4)
        for at in sent:
            self.assertLessEqual(len([each for each in sent if at <= each < at + 3600]), 3)

    def test_the_words_say_when(self) -> None:
        """450, who, the limit, the time to wait, and where it is set."""
        limited = rule(messages_per_hour=1)
        self.send(limited)
        said = self.send(limited)
        self.assertTrue(said.startswith('450 4.7.1 login "erp" may send 1 messages an hour'), said)
        self.assertIn('messages_per_hour of login "erp" (see m365gw client show erp)', said)
        minutes = int(said.partition("try again in ")[2].partition(" min")[0])
        self.clock.advance(minutes * 60 - 61)
        self.assertNotEqual(self.send(limited), "")
        self.clock.advance(61)
        self.assertEqual(self.send(limited), "")

    def test_recipients_in_any_day(self) -> None:
        """Those of all messages together."""
        limited = rule(recipients_per_day=10)
        self.assertEqual(self.send(limited, 6), "")
        self.assertIn("10 recipients in 24 hours", self.send(limited, 5))
        self.assertEqual(self.send(limited, 4), "")
        self.clock.advance(86400 - 60)
        self.assertIn("try again in", self.send(limited))
        self.clock.advance(3660)
        self.assertEqual(self.send(limited, 10), "")
        self.assertIn("try again in 25 h", self.send(limited, 11))

    def test_what_was_not_accepted_does_not_count(self) -> None:
        """The disk was full, say."""
        limited = rule(messages_per_hour=1, recipients_per_day=2)
        allowance = self.allowances.of(limited)
        allowance.spend(2)
        allowance.recover()
        allowance.recover()
        self.assertEqual(self.send(limited, 2), "")
        self.assertNotEqual(self.send(limited, 1), "")

    def test_each_client_of_a_network_by_itself(self) -> None:
        """One that storms does not use up what its neighbours have."""
        limited = rule(messages_per_hour=1)
        self.assertEqual(self.send(limited, client="192.0.2.1"), "")
        self.assertIn("192.0.2.1 of login", self.send(limited, client="192.0.2.1"))
        self.assertEqual(self.send(limited, client="192.0.2.2"), "")

    def test_new_limits_meet_what_was_used(self) -> None:
        """A reload forgives nothing."""
        self.send(rule(messages_per_hour=5))
        self.assertNotEqual(self.send(rule(messages_per_hour=1)), "")

    def test_memory_is_bounded(self) -> None:
        """Who sent longest ago is forgotten."""
        self.patch(allowances, "MOST_REMEMBERED", 3)
        limited = rule(messages_per_hour=1)
        for number in (1, 2, 3, 4):
            self.send(limited, client=str(number))
        self.assertEqual([client for _, client in self.allowances._used], ["2", "3", "4"])
