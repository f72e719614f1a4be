"""Tests for `m365gw.relay.exit.wire`."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.exit.lost import Lost, cause
from tests.relay.peer import Outcomes, Peer


class ReplyTests(SynchronousTestCase):
    """Waiting for replies."""

    def setUp(self) -> None:
        self.peer = Peer()

    def test_replies_in_order_whatever_the_pieces(self) -> None:
        """A reply that comes in two pieces is one, and what waits is given out in order."""
        first = Outcomes(self.peer.wire.reply(10))
        self.peer.wire.dataReceived(b"250 o")
        self.assertFalse(first.is_done)
        self.peer.wire.dataReceived(b"ne\r\n550 two\r\n")
        second = Outcomes(self.peer.wire.reply(10))
        self.assertEqual((first.value.text, second.value.code), ("one", 550))

    def test_silence_ends_the_wait_and_the_connection(self) -> None:
        """After the time of the phase the connection is aborted, and the words say why."""
        waits = Outcomes(self.peer.wire.reply(300))
        self.peer.clock.advance(299)
        self.assertFalse(waits.is_done)
        self.peer.clock.advance(2)
        self.assertIsInstance(waits.problem, Lost)
        self.assertIn("no answer within 300 seconds", str(waits.problem))
        self.assertEqual(self.peer.transport.ending, "aborted")

    def test_time_of_one_wait_does_not_count_for_the_next(self) -> None:
        """Each wait has its own limit, also when it is shorter than what was left."""
        Outcomes(self.peer.wire.reply(300))
        self.peer.clock.advance(200)
        self.peer.say("250 ok")
        waits = Outcomes(self.peer.wire.reply(120))
        self.peer.clock.advance(119)
        self.assertFalse(waits.is_done)
        self.peer.clock.advance(2)
        self.assertIsInstance(waits.problem, Lost)

    def test_time_we_take_ourselves_is_not_the_servers(self) -> None:
        """While nobody waits for the server no limit runs."""
        Outcomes(self.peer.wire.reply(300))
        self.peer.say("250 ok")
        self.peer.clock.advance(1000)
        self.assertEqual(self.peer.transport.ending, "")

    def test_last_words_before_the_end_are_heard(self) -> None:
        """A 421 followed at once by the end of the connection is still given out."""
        self.peer.say("421 4.3.2 closing")
        self.peer.hang_up()
        self.assertEqual(Outcomes(self.peer.wire.reply(10)).value.code, 421)
        self.assertIsInstance(Outcomes(self.peer.wire.reply(10)).problem, Lost)

    def test_reply_with_two_codes_ends_the_connection(self) -> None:
        """Fault of stock clients: the code of continuation lines must be the same."""
        waits = Outcomes(self.peer.wire.reply(10))
        self.peer.say("250-one", "550 two")
        self.assertIsInstance(waits.problem, Lost)
        self.assertEqual(self.peer.transport.ending, "aborted")

    def test_what_is_no_reply_ends_the_connection(self) -> None:
        """Fault of stock clients: 0xx and 999 are not replies, nor is HTTP."""
        for line in ("099 no", "999 no", "HTTP/1.1 400 Bad Request"):
            peer = Peer()
            waits = Outcomes(peer.wire.reply(10))
            peer.say(line)
            self.assertIsInstance(waits.problem, Lost)
            self.assertEqual(peer.transport.ending, "aborted")

    def test_long_reply_is_whole(self) -> None:
        """A reply of many long lines is kept whole: support asks for it."""
        waits = Outcomes(self.peer.wire.reply(10))
        self.peer.say(*[f"550-{'x' * 2000}"] * 10, "550 end")
        self.assertGreater(len(waits.value.text), 20000)

    def test_cancelled_wait_leaves_nothing_behind(self) -> None:
        """Who was cancelled gets CancelledError, and the next reply finds nobody waiting."""
        waits = Outcomes(self.peer.wire.reply(10))
        waits.deferred.cancel()
        self.assertIsInstance(waits.problem, CancelledError)
        self.peer.say("250 late")
        self.assertTrue(self.peer.wire.has_unread)

    def test_no_timer_is_left_after_the_end(self) -> None:
        """A connection that ended leaves no delayed call in the reactor."""
        Outcomes(self.peer.wire.reply(10))
        self.peer.hang_up()
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])


class EndTests(SynchronousTestCase):
    """Closing."""

    def test_peer_that_never_closes_is_cut_off(self) -> None:
        """A peer that does not end its side of TLS holds no connection open."""
        peer = Peer()
        peer.transport.loseConnection = lambda: None  # type: ignore[method-assign]  # it waits
        peer.wire.hang_up()
        self.assertEqual(peer.transport.ending, "")
        peer.clock.advance(11)
        self.assertEqual(peer.transport.ending, "aborted")
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_end_is_told_once_and_at_once(self) -> None:
        """Who asks to be told of the end is told, also when it is over already."""
        ended: list[str] = []
        peer = Peer()
        peer.wire.on_lost(lambda: ended.append("later"))
        peer.wire.abort("enough")
        peer.wire.abort("enough")
        peer.wire.on_lost(lambda: ended.append("at once"))
        self.assertEqual(ended, ["later", "at once"])

    def test_writing_after_the_end_is_harmless(self) -> None:
        """What is written into a connection that is gone goes nowhere."""
        peer = Peer()
        peer.hang_up()
        peer.wire.write(b"MAIL")
        self.assertEqual(peer.heard(), b"")


class StreamTests(SynchronousTestCase):
    """Writing no faster than the peer reads."""

    def setUp(self) -> None:
        self.peer = Peer()
        self.peer.wire.start_stream()

    def test_full_transport_is_waited_for(self) -> None:
        """`drained` waits while the transport is full and goes on when it has room."""
        self.peer.wire.pauseProducing()
        waits = Outcomes(self.peer.wire.drained(180))
        self.assertFalse(waits.is_done)
        self.peer.wire.resumeProducing()
        self.assertTrue(waits.value)

    def test_reply_wakes_a_writer(self) -> None:
        """A server that refuses and stops reading does not block us for three minutes."""
        self.peer.wire.pauseProducing()
        waits = Outcomes(self.peer.wire.drained(180))
        self.peer.say("552 5.3.4 too big")
        self.assertTrue(waits.value)

    def test_block_timeout(self) -> None:
        """A server that reads nothing for 180 seconds is given up (RFC 5321 4.5.3.2.5)."""
        self.peer.wire.pauseProducing()
        waits = Outcomes(self.peer.wire.drained(180))
        self.peer.clock.advance(181)
        self.assertIsInstance(waits.problem, Lost)

    def test_lost_connection_stops_a_writer(self) -> None:
        """Content is not written into a connection that is gone."""
        self.peer.hang_up()
        self.assertIsInstance(Outcomes(self.peer.wire.drained(180)).problem, Lost)


class SecretTests(SynchronousTestCase):
    """What the trace and the replies may show."""

    def test_secret_write_is_shown_as_words(self) -> None:
        """The trace holds the words that stand for a secret and not the secret."""
        peer = Peer()
        peer.wire.write(b"c2VjcmV0\r\n", shown="[XOAUTH2 response]")
        self.assertEqual(peer.trace, ["C: [XOAUTH2 response]"])
        self.assertEqual(peer.heard(), b"c2VjcmV0\r\n")

    def test_echoed_secret_is_blanked(self) -> None:
        """A server that repeats a piece of the token in its reply does not get it into our log."""
        peer = Peer()
        token = "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"
        peer.wire.hide(token)
        peer.say(f"500 5.3.3 Unrecognized command: {token[5:30]}...")
        reply = Outcomes(peer.wire.reply(10)).value
        self.assertIn("Unrecognized command: [hidden]", reply.text)
        self.assertNotIn(token[5:21], "".join(peer.trace))

    def test_echoed_secret_is_blanked_when_it_is_no_reply(self) -> None:
        """The same when the line is not even a reply."""
        peer = Peer()
        token = "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"
        peer.wire.hide(token)
        waits = Outcomes(peer.wire.reply(10))
        peer.say(token)
        self.assertIsInstance(waits.problem, Lost)
        self.assertNotIn(token[:16], str(waits.problem))

    def test_other_long_words_stay(self) -> None:
        """Host names and session ids in replies are kept: support asks for them."""
        peer = Peer()
        peer.wire.hide("EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA")
        peer.say("535 5.7.3 no [AM0PR01CA0001.eurprd01.prod.outlook.com 08DE2A1B2C3D4E5F]")
        reply = Outcomes(peer.wire.reply(10)).value
        self.assertIn("AM0PR01CA0001.eurprd01.prod.outlook.com", reply.text)


class CauseTests(SynchronousTestCase):
    """Failures in words."""

    def test_words(self) -> None:
        """Each kind of failure says what it is, in a word an administrator knows."""
        for problem, words in (
            (ConnectionDone(), "the other side closed"),
            (ConnectionRefusedError(), "refused"),
            (VerificationError(errors=[]), "certificate is for another host name"),
            (SSL.Error([("SSL", "", "certificate verify failed")]), "certificate verify failed"),
            (SSL.Error(), "handshake failed"),
            (ValueError(), "ValueError"),
        ):
            self.assertIn(words.lower(), cause(problem).lower())
