"""One client that pipelines much lets the others have their turn."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.edge.session.pump import MOST_BUFFERED
from m365gw.edge.session.turns import MOST_STEPS, Turns
from tests.edge.conversation import MESSAGE, Gateway


class TurnsTests(SynchronousTestCase):
    """Turns given away, and had again."""

    def test_others_have_their_turn_first(self) -> None:
        """The client's own comes again with the reactor's next round."""
        clock, again = Clock(), []
        turns = Turns(clock, lambda: again.append(turns.is_others))
        for _ in range(3):
            self.assertFalse(turns.is_others)
            turns.pass_on()
            self.assertTrue(turns.is_others)
            clock.advance(0)
        self.assertEqual(again, [False] * 3)

    def test_stopped_turns_never_come(self) -> None:
        """A client that has left is not called again."""
        clock, again = Clock(), []
        turns = Turns(clock, lambda: again.append(turns.is_others))
        turns.pass_on()
        turns.stop()
        clock.advance(0)
        self.assertEqual(again, [])


class PipelineTests(SynchronousTestCase):
    """Turns as a session has them."""

    def setUp(self) -> None:
        limits = Limits(command_limit=100_000, minimal_free_space=0)
        self.gateway = Gateway(self, limits=limits)
        self.client = self.gateway.connect()

    def test_flood_is_answered_turn_by_turn(self) -> None:
        """A thousand commands in one segment are answered by the hundred, all and in order."""
        heard = self.client.say(*["NOOP"] * 990, "QUIT")
        self.assertEqual(len(heard), MOST_STEPS)
        before = self.client.wire.writes
        self.gateway.clock.advance(0)  # this clock lets turn follow turn; a reactor does not
        heard += self.client.heard()
        self.assertEqual(self.client.wire.writes, before + 9)
        self.assertEqual([line[:3] for line in heard], ["250"] * 990 + ["221"])
        self.assertTrue(self.client.wire.is_closing)

    def test_short_turns_cost_no_timer(self) -> None:
        """Clients that do not flood never meet any of this."""
        before = len(self.gateway.clock.getDelayedCalls())
        self.client.say(*["NOOP"] * (MOST_STEPS - 1))
        self.assertEqual(len(self.gateway.clock.getDelayedCalls()), before)

    def test_flood_is_not_buffered_without_bound(self) -> None:
        """While the others have their turn the flooding client is read from only so far."""
        self.client.send(b"NOOP\r\n" * (MOST_BUFFERED // 6 + MOST_STEPS + 1))
        self.assertEqual(self.client.wire.producerState, "paused")
        self.gateway.clock.advance(0)
        self.assertEqual(self.client.wire.producerState, "producing")

    def test_octets_between_turns_come_in_order(self) -> None:
        """What arrives during the others' turn waits behind what came before."""
        self.client.say(*["NOOP"] * 150)
        self.assertEqual(self.client.say("RSET", "QUIT"), [])
        self.gateway.clock.advance(0)
        self.assertEqual(self.client.codes(), ["250"] * 51 + ["221"])

    def test_message_behind_a_flood_is_whole(self) -> None:
        """A turn that ends just before or inside the content changes nothing of it."""
        for before in range(MOST_STEPS - 6, MOST_STEPS + 1):
            client = self.gateway.connect()
            heard = client.send(
                b"RSET\r\n" * before
                + b"EHLO x\r\nMAIL FROM:<me@example.com>\r\nRCPT TO:<you@example.net>\r\n"
                + b"BDAT %d LAST\r\n" % len(MESSAGE)
                + MESSAGE
            )
            self.gateway.clock.advance(0)
            heard += client.heard()
            self.assertIn("queued", heard[-1])
        self.assertEqual(self.gateway.contents(), [MESSAGE] * 7)

    def test_client_that_leaves_between_turns(self) -> None:
        """Nothing of it is left."""
        self.client.say(*["NOOP"] * 150)
        self.client.drop()
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])
