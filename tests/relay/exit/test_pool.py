"""Tests for `m365gw.relay.exit.pool`."""

from __future__ import annotations

from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.connection import AttemptFailed, Connection
from m365gw.relay.exit.dialer import Dialer
from m365gw.relay.exit.pool import Pool
from m365gw.relay.exit.proof import Bearer, Proof, Proofs
from m365gw.smtp.replies import Reply
from tests.relay.entra import CLOUD, mailbox
from tests.relay.exit.test_connection import AFTER, BEFORE, OPTIONS
from tests.relay.peer import Outcomes, Peer

BOX = mailbox()
OTHER = mailbox(address="alarm@contoso.com")


class Dial:
    """Opens real sessions to peers of its own; or fails, or waits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.peers: list[Peer] = []
        self.clouds: list[Cloud] = []
        self.proofs: list[Proof] = []
        self.failure: Exception | None = None
        self.gate: Deferred[None] | None = None

    async def proof(self, mailbox: Mailbox, *, fresh: bool = False) -> Proof:
        return Bearer(mailbox.address, "fresh" if fresh else "token")

    async def open(self, cloud: Cloud, proof: Proof) -> Connection:
        self.clouds.append(cloud)
        self.proofs.append(proof)
        if self.gate is not None:
            await self.gate
        if self.failure is not None:
            raise self.failure
        peer = Peer()
        self.peers.append(peer)
        connection = Connection(peer.wire, "host", "relay.contoso.com", self.limits)
        opening = Outcomes(connection.open(OPTIONS, proof))
        for lines in (("220 x",), BEFORE, ("220 go",), AFTER, ("334 ",), ("235 ok",)):
            peer.say(*lines)
        assert opening.value, opening.problem
        peer.heard()
        return connection


class PoolCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.limits = Limits(connections=2)
        self.dial = Dial(self.limits)
        self.pool = Pool(
            cast(Proofs, self.dial), cast(Dialer, self.dial), {"worldwide": CLOUD}, self.limits
        )

    def checkout(self, box: Mailbox = BOX, **keywords: Any) -> Outcomes:
        return Outcomes(self.pool.checkout(box, **keywords))


class PoolTests(PoolCase):
    """Connections kept for the next message."""

    def test_connection_is_reused(self) -> None:
        """A connection that came back carries the next message."""
        first = self.checkout().value
        self.pool.checkin(BOX, first)
        self.assertIs(self.checkout().value, first)
        self.assertEqual(len(self.dial.peers), 1)

    def test_mailboxes_share_nothing(self) -> None:
        """A connection is never used for another mailbox than the one that signed in."""
        first = self.checkout().value
        self.pool.checkin(BOX, first)
        self.assertIsNot(self.checkout(OTHER).value, first)

    def test_never_more_than_allowed(self) -> None:
        """Who wants one more than allowed waits for one that comes back."""
        first = self.checkout().value
        self.checkout()
        third = self.checkout()
        self.assertFalse(third.is_done)
        self.pool.checkin(BOX, first)
        self.assertIs(third.value, first)
        self.assertEqual(len(self.dial.peers), 2)

    def test_place_of_a_closed_connection_is_free(self) -> None:
        """A connection that ended makes room, also when it ended by itself."""
        self.checkout()
        second = self.checkout().value
        third, fourth = self.checkout(), self.checkout()
        self.dial.peers[0].hang_up()
        self.assertTrue(third.is_done)
        self.assertFalse(fourth.is_done)
        self.pool.discard(second)
        self.assertFalse(fourth.is_done)  # until QUIT is answered it is still a connection
        self.dial.peers[1].say("221 bye")
        self.assertTrue(fourth.is_done)

    def test_waiting_may_be_cancelled(self) -> None:
        """Who no longer waits does not take the place of those who do."""
        first = self.checkout().value
        self.checkout()
        third, fourth = self.checkout(), self.checkout()
        third.deferred.cancel()
        self.assertIsInstance(third.problem, CancelledError)
        self.pool.checkin(BOX, first)
        self.assertIs(fourth.value, first)

    def test_failure_gives_the_place_back(self) -> None:
        """A connection that could not be opened takes no place."""
        self.dial.failure = AttemptFailed(Phase.CONNECT, Reply(0, "", "refused"))
        for _ in range(5):
            self.assertIsInstance(self.checkout().problem, AttemptFailed)
        self.dial.failure = None
        self.assertTrue(self.checkout().value)

    def test_cancelled_opening_gives_the_place_back(self) -> None:
        """The same when the one who wanted it gave up."""
        for _ in range(3):
            self.dial.gate = Deferred()
            self.checkout().deferred.cancel()
        self.dial.gate = None
        self.assertTrue(self.checkout().value)

    def test_idle_connection_that_ended_is_not_given_out(self) -> None:
        """A peer that closed or said something while idle costs no message."""
        first = self.checkout().value
        self.pool.checkin(BOX, first)
        self.dial.peers[0].say("421 4.4.1 Connection timed out")
        self.assertIsNot(self.checkout().value, first)

    def test_spent_connection_is_closed_at_its_return(self) -> None:
        """A connection that carried its messages gets QUIT and is not kept."""
        first = self.checkout().value
        first.messages = self.limits.messages_per_connection
        self.pool.checkin(BOX, first)
        self.assertEqual(self.dial.peers[0].heard(), b"QUIT\r\n")
        self.assertIsNot(self.checkout().value, first)

    def test_fresh_token_means_a_new_session(self) -> None:
        """After a refused token idle sessions are parted with and a new one signs in anew."""
        first, second = self.checkout().value, self.checkout().value
        self.pool.checkin(BOX, first)
        self.pool.checkin(BOX, second)
        again = self.checkout(fresh_token=True)
        self.assertEqual(self.dial.peers[0].heard(), b"QUIT\r\n")
        self.dial.peers[0].say("221 bye")
        self.assertTrue(again.value)
        tokens = [proof.token for proof in self.dial.proofs if isinstance(proof, Bearer)]
        self.assertEqual(tokens, ["token", "token", "fresh"])

    def test_close(self) -> None:
        """Closing parts with idle connections, waits for the others and takes no new work."""
        first, second = self.checkout().value, self.checkout().value
        self.pool.checkin(BOX, first)
        closing = Outcomes(self.pool.close())
        self.assertEqual(self.dial.peers[0].heard(), b"QUIT\r\n")
        self.dial.peers[0].say("221 bye")
        self.assertIsInstance(self.checkout().problem, AttemptFailed)
        self.assertFalse(closing.is_done)
        self.pool.checkin(BOX, second)
        self.dial.peers[1].say("221 bye")
        self.assertTrue(closing.value)

    def test_close_of_an_empty_pool(self) -> None:
        """Nothing open, nothing to wait for."""
        self.assertTrue(Outcomes(self.pool.close()).value)


class NewSettingsTests(PoolCase):
    """A mailbox is set up anew while mail flows."""

    def configure(self, *changed: str, connections: int = 2) -> None:
        self.pool.configure({"worldwide": CLOUD}, Limits(connections=connections), changed)

    def test_changed_mailbox_signs_in_anew(self) -> None:
        """Idle connections end at once, one in use when its message is through."""
        used, idle = self.checkout().value, self.checkout().value
        self.pool.checkin(BOX, idle)
        self.configure(BOX.address)
        self.assertEqual(self.dial.peers[1].heard(), b"QUIT\r\n")
        self.assertEqual(self.dial.peers[0].heard(), b"")
        self.pool.checkin(BOX, used)
        self.assertEqual(self.dial.peers[0].heard(), b"QUIT\r\n")
        for peer in self.dial.peers[:2]:
            peer.say("221 bye")
        self.assertNotIn(self.checkout().value, (used, idle))

    def test_others_keep_their_connections(self) -> None:
        """A change of one mailbox is none of another's."""
        first = self.checkout().value
        self.pool.checkin(BOX, first)
        self.configure(OTHER.address)
        self.assertIs(self.checkout().value, first)

    def test_change_while_it_signs_in(self) -> None:
        """A session that began to sign in before the change carries one message at most."""
        self.dial.gate = Deferred()
        opening = self.checkout()
        self.configure(BOX.address)
        self.dial.gate.callback(None)
        self.pool.checkin(BOX, opening.value)
        self.assertEqual(self.dial.peers[0].heard(), b"QUIT\r\n")

    def test_more_connections(self) -> None:
        """A larger limit holds for the next."""
        for _ in range(2):
            self.checkout()
        self.configure(connections=3)
        self.assertTrue(self.checkout().value)


class ConnectorTests(PoolCase):
    """A mailbox that leaves by an inbound connector."""

    def test_it_is_dialled_at_the_host_of_the_tenant(self) -> None:
        """Its own host, and as many connections as a connector may have."""
        box = Mailbox(
            address="relay@contoso.com", flow="address", tenant="contoso.com", exit="connector"
        )
        cloud = evolve(CLOUD, mx="TENANT.mx.example")
        self.pool.configure({"worldwide": cloud}, Limits(connector_connections=3), ())
        for _ in range(3):
            self.assertTrue(self.checkout(box).value)
        self.assertFalse(self.checkout(box).is_done)
        self.assertEqual({each.smtp_host for each in self.dial.clouds}, {"contoso-com.mx.example"})
