"""Order, time and flow of one connection."""

from __future__ import annotations

import errno

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Listener
from m365gw.edge.session.pump import Pump
from m365gw.edge.session.timeouts import FAREWELL_SECONDS
from m365gw.smtp.envelope import Recipient
from tests.edge.conversation import MESSAGE, TRUSTED, Conversation, Gateway

LIMITS = Limits(command_timeout=300, data_timeout=180, tls_timeout=30, minimal_free_space=0)


class PumpTests(SynchronousTestCase):
    """What the pump promises whatever is said."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, limits=LIMITS)
        self.client = self.gateway.connect()

    def in_data(self) -> Conversation:
        self.client.envelope()
        self.client.say("DATA")
        return self.client

    def test_replies_of_a_batch_leave_in_one_write(self) -> None:
        """A pipelined batch costs one system call."""
        before = self.client.wire.writes
        replies = self.client.envelope("a@example.net", "b@example.net", "c@example.net")
        self.assertEqual(len(replies[-4:]), 4)
        self.assertEqual(self.client.wire.writes, before + 1)

    def test_slow_socket_gets_the_rest_in_order(self) -> None:
        """What a socket does not take at once follows by way of the reactor, and all after it."""
        taken: list[bytes] = []

        def take_some(octets: bytes) -> int:
            taken.append(octets[:5])
            return 5

        self.client.wire.writeSomeData = take_some
        self.client.pump._flow._writes_at_once = True
        rest = self.client.say("NOOP", "NOOP")
        self.assertEqual(taken, [b"250 2"])
        self.assertEqual(rest, [".0.0 Ok", "250 2.0.0 Ok"])
        self.assertEqual(self.client.say("NOOP"), ["250 2.0.0 Ok"])
        self.assertEqual(len(taken), 1)

    def test_any_split_gives_the_same_message(self) -> None:
        """A session octet by octet and the same session at once come to the same end."""
        said = (
            b"EHLO x\r\nMAIL FROM:<me@example.com>\r\nRCPT TO:<you@example.net>\r\nDATA\r\n"
            b"Subject: x\r\n\r\n..\r\n.\r\n"
            b"MAIL FROM:<me@example.com>\r\nRCPT TO:<you@example.net>\r\n"
            b"BDAT 8 LAST\r\n\r\n.\r\n.\r\nQUIT\r\n"
        )
        whole = self.client.send(said)
        other = self.gateway.connect()
        for position in range(len(said)):
            other.protocol.dataReceived(said[position : position + 1])
        pieces = other.heard()
        self.assertEqual([line[:9] for line in pieces], [line[:9] for line in whole])
        self.assertEqual(
            self.gateway.contents(), [b"Subject: x\r\n\r\n.\r\n", b"\r\n.\r\n.\r\n"] * 2
        )

    def test_silent_client_is_told_and_closed(self) -> None:
        """No command in time: 421 4.4.2, and closed."""
        self.gateway.clock.advance(300)
        self.assertEqual(self.client.heard(), ["421 4.4.2 Timeout: no command came in time"])
        self.assertTrue(self.client.wire.is_closing)

    def test_each_command_earns_another_wait(self) -> None:
        """The deadline is of one command, not of the session."""
        self.client.message()
        for _ in range(5):
            self.gateway.clock.advance(299)
            self.assertEqual(self.client.say("NOOP"), ["250 2.0.0 Ok"])

    def test_content_has_its_own_deadline(self) -> None:
        """No piece of the message in time: 421, and nothing is kept."""
        client = self.in_data()
        self.gateway.clock.advance(180)
        self.assertEqual(client.codes(), ["421"])
        self.assertEqual(self.gateway.messages(), [])

    def test_time_counts_again_after_we_worked(self) -> None:
        """A commit that took long does not count against the client, what follows does."""
        client = self.in_data()
        self.gateway.disk.is_stalled = True
        client.send(MESSAGE + b".\r\n")
        self.gateway.clock.pump([200] * 5)
        self.gateway.disk.run()
        self.assertEqual(client.codes(), ["250"])
        self.gateway.clock.advance(299)
        self.assertEqual(client.heard(), [])
        self.gateway.clock.advance(1)
        self.assertEqual(client.codes(), ["421"])

    def test_handshake_that_takes_too_long_is_aborted(self) -> None:
        """Within STARTTLS and on an implicit port alike."""
        for mode in ("starttls", "implicit"):
            listener = Listener(name="t", endpoint="tcp:0", tls=mode)
            client = Gateway(self, listener=listener, limits=LIMITS).connect()
            if mode == "starttls":
                client.say("STARTTLS")
                self.assertIsNone(client.wire.producer)
            client.gateway.clock.advance(29)
            self.assertFalse(client.wire.is_closing)
            client.gateway.clock.advance(1)
            self.assertTrue(client.wire.disconnected)

    def test_implicit_tls_is_silent_until_the_handshake(self) -> None:
        """Nothing is said or answered in the clear."""
        listener = Listener(name="t", endpoint="tcp:0", tls="implicit")
        client = Gateway(self, listener=listener).connect()
        self.assertEqual(client.greeting, [])
        client.pump.handshakeCompleted()
        self.assertEqual(client.codes(), ["220"])

    def test_closed_connection_leaves_no_timer(self) -> None:
        """However it ended, nothing of it is left in the reactor or in the counts."""
        self.client.drop()
        client = self.gateway.connect()
        client.say("QUIT")
        client.drop()
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])
        self.assertEqual(self.gateway.census.connections, 0)

    def test_nothing_is_read_behind_the_last_reply(self) -> None:
        """Commands behind QUIT are dropped."""
        replies = self.client.send(b"QUIT\r\nNOOP\r\n")
        self.assertEqual([reply[:3] for reply in replies], ["221"])
        self.assertEqual(self.client.send(b"NOOP\r\n" * 1000), [])
        self.assertEqual(self.client.pump.buffered, 6)

    def test_choked_peer_that_stays_so_is_closed(self) -> None:
        """A peer that reads nothing for the whole timeout is cut off."""
        self.client.wire.producer.pauseProducing()
        self.gateway.clock.advance(300)
        self.gateway.clock.advance(FAREWELL_SECONDS)
        self.assertTrue(self.client.wire.disconnected)

    def test_late_answer_to_a_client_that_left_is_dropped(self) -> None:
        """The answer of a slow policy finds nobody, and that is no error."""
        client = self.in_data()
        self.gateway.disk.is_stalled = True
        client.send(MESSAGE + b".\r\nNOOP\r\n")
        client.drop()
        self.gateway.disk.run()
        self.assertEqual(client.heard(), [])

    def test_memory_of_a_session_is_bounded(self) -> None:
        """Ten megabytes of content leave nothing in the pump."""
        client = self.in_data()
        for _ in range(160):
            client.send(b"x" * 65536)
            self.assertEqual(client.pump.buffered, 0)


class DrainTests(SynchronousTestCase):
    """Leaving in good order."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, limits=LIMITS)

    def stop(self) -> Deferred[None]:
        return self.gateway.factory.drain()

    def test_idle_client_is_told_at_once(self) -> None:
        """Between messages: 421 4.3.2 and closed."""
        client = self.gateway.connect()
        client.say("EHLO x")
        drained = self.stop()
        self.assertEqual(client.heard()[0][:9], "421 4.3.2")
        self.assertNoResult(drained)
        client.drop()
        self.successResultOf(drained)

    def test_message_in_hand_is_finished_first(self) -> None:
        """Who has begun a message gets its 250, and then the 421."""
        client = self.gateway.connect()
        client.envelope()
        self.stop()
        self.assertEqual(client.heard(), [])
        client.say("DATA")
        self.gateway.disk.is_stalled = True
        self.assertEqual(client.send(MESSAGE + b".\r\nMAIL FROM:<me@example.com>\r\n"), [])
        self.gateway.disk.run()
        self.assertEqual(client.codes(), ["250", "421"])
        self.assertTrue(client.wire.is_closing)

    def test_nobody_there_is_drained_at_once(self) -> None:
        """A listener without clients stops without waiting."""
        self.successResultOf(self.stop())

    def test_client_in_a_handshake_is_told_after_it(self) -> None:
        """A 421 cannot be said before TLS stands."""
        listener = Listener(name="t", endpoint="tcp:0", tls="implicit", networks=(TRUSTED.cidr,))
        self.gateway = Gateway(self, listener=listener)
        client = self.gateway.connect()
        self.stop()
        self.assertEqual(client.heard(), [])
        client.pump.handshakeCompleted()
        self.assertEqual(client.codes(), ["220", "421"])

    def test_abort_closes_what_is_left(self) -> None:
        """When the time is up the others are closed, and their messages were not promised."""
        client = self.gateway.connect()
        client.envelope()
        self.stop()
        self.gateway.factory.abort()
        self.assertTrue(client.wire.disconnected)


class FactoryTests(SynchronousTestCase):
    """Connections made and turned away."""

    def test_connection_too_many_is_told_and_closed(self) -> None:
        """421 4.7.0 for the connection over the limit of its address, logged; others may."""
        gateway = Gateway(self, limits=Limits(client_connection_limit=1))
        first = gateway.connect()
        second = gateway.connect()
        self.assertEqual(second.greeting[0][:9], "421 4.7.0")
        self.assertTrue(second.wire.is_closing)
        self.assertIn("Too many connections", gateway.output.getvalue())
        self.assertEqual(gateway.connect("192.0.2.8").greeting[0][:3], "220")
        first.drop()
        second.protocol.connectionLost()
        self.assertEqual(gateway.connect().greeting[0][:3], "220")

    def test_connections_too_many_are_logged_once_a_minute(self) -> None:
        """One line for each kind, and their number in the next."""
        gateway = Gateway(self, limits=Limits(client_connection_limit=1))
        gateway.connect()
        for _ in range(500):
            gateway.connect().protocol.connectionLost()
        lines = gateway.output.getvalue().splitlines()
        self.assertEqual(len([line for line in lines if "Too many" in line]), 1)
        gateway.clock.advance(60)
        gateway.connect()
        self.assertIn("(499 more like this", gateway.output.getvalue())

    def test_printers_come_in_through_a_crowd_of_strangers(self) -> None:
        """From fifty addresses, each with all it may have."""
        limits = Limits(connection_limit=100, connection_reserve=10, client_connection_limit=5)
        gateway = Gateway(self, limits=limits)
        crowd = [gateway.connect(f"198.51.{each}.1") for each in range(50) for _ in range(5)]
        codes = [client.greeting[0][:3] for client in crowd]
        self.assertEqual((codes.count("220"), codes.count("421")), (90, 160))
        self.assertEqual(gateway.connect().message()[0][:3], "250")

    def test_connection_too_many_with_implicit_tls_is_closed_without_words(self) -> None:
        """Words would cost a handshake."""
        listener = Listener(name="t", endpoint="tcp:0", tls="implicit")
        gateway = Gateway(self, listener=listener, limits=Limits(connection_limit=0))
        client = gateway.connect()
        self.assertEqual(client.greeting, [])
        self.assertTrue(client.wire.disconnected)

    def test_nobody_comes_in_while_the_disk_is_not_trusted(self) -> None:
        """421 4.3.0 in place of the greeting, and the client is not counted."""
        gateway = Gateway(self)
        gateway.spool.health.fail(OSError(errno.EIO, "broken"))
        client = gateway.connect()
        self.assertEqual(client.greeting[0][:9], "421 4.3.0")
        self.assertTrue(client.wire.is_closing)
        self.assertEqual(gateway.census.connections, 0)
        self.assertIn("421 4.3.0", gateway.output.getvalue())

    def test_pumps_are_told_apart(self) -> None:
        """Two clients at once have nothing in common."""
        gateway = Gateway(self)
        one, two = gateway.connect(), gateway.connect("192.0.2.9")
        one.envelope("one@example.net")
        two.envelope("two@example.net")
        for client in (two, one):
            client.say("DATA")
            client.send(MESSAGE + b".\r\n")
        found = [envelope.recipients for envelope, _ in gateway.messages()]
        self.assertEqual(found, [(Recipient("two@example.net"),), (Recipient("one@example.net"),)])
        self.assertIsInstance(one.protocol, Pump)
