"""Counting connections."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.edge.listening.census import MINUTE, MOST_KNOWN, Census, Stay
from m365gw.smtp.replies import Reply

PRINTER = ip_address("10.1.0.1")
HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class CensusTestCase(SynchronousTestCase):
    """A census with small limits."""

    def setUp(self) -> None:
        self.clock = Clock()

    def census(self, **limits: int) -> Census:
        given = {"connection_reserve": 0, **limits}
        return Census(Limits(**given), self.clock)

    def assert_in(self, stay: Stay | Reply) -> Stay:
        assert isinstance(stay, Stay), stay
        return stay

    def assert_out(self, stay: Stay | Reply, words: str) -> None:
        assert isinstance(stay, Reply), stay
        self.assertEqual((stay.code, stay.status), (421, "4.7.0"))
        self.assertIn(words, stay.text)


class CountTests(CensusTestCase):
    """In all, from each address, from each network."""

    def test_room_is_given_back(self) -> None:
        """A connection that closes makes room for the next, and nothing is remembered of it."""
        census = self.census(client_connection_limit=1)
        stay = self.assert_in(census.enter(HERE, is_trusted=False))
        self.assert_out(census.enter(HERE, is_trusted=False), "your address; the limit is 1")
        other = self.assert_in(census.enter(THERE, is_trusted=False))
        stay.end()
        self.assert_in(census.enter(HERE, is_trusted=False)).end()
        other.end()
        self.assertEqual((census.connections, len(census._counts)), (0, 0))

    def test_denied_connection_is_not_counted(self) -> None:
        """Who was turned away takes no room."""
        census = self.census(connection_limit=1)
        census.enter(None, is_trusted=False)
        for _ in range(3):
            self.assert_out(census.enter(HERE, is_trusted=True), "to this server")
        self.assertEqual(census.connections, 1)

    def test_ipv6_is_counted_by_its_network(self) -> None:
        """Who has one address of a /64 has all of them."""
        census = self.census(client_connection_limit=2)
        for number in (1, 2):
            self.assert_in(census.enter(ip_address(f"2001:db8::{number}"), is_trusted=True))
        self.assert_out(census.enter(ip_address("2001:db8::3"), is_trusted=True), "your address")
        self.assert_in(census.enter(ip_address("2001:db8:0:1::1"), is_trusted=True))

    def test_strangers_are_counted_by_network(self) -> None:
        """A /24, or a /48 of IPv6; but not where the operator has named it."""
        census = self.census(network_connection_limit=2)
        for format in ("192.0.2.{}", "2001:db8:0:{}::1"):
            for number in (1, 2):
                self.assert_in(census.enter(ip_address(format.format(number)), is_trusted=False))
            third = ip_address(format.format(3))
            self.assert_out(census.enter(third, is_trusted=False), "your network; the limit is 2")
            self.assert_in(census.enter(third, is_trusted=True))

    def test_new_limits(self) -> None:
        """They hold for who comes next; who is in stays in and is counted."""
        census = self.census()
        stays = [self.assert_in(census.enter(HERE, is_trusted=False)) for _ in range(3)]
        census.configure(Limits(connection_limit=3, connection_reserve=0))
        self.assert_out(census.enter(THERE, is_trusted=False), "to this server")
        stays[0].end()
        self.assert_in(census.enter(THERE, is_trusted=False))

    def test_strangers_may_not_come_too_often(self) -> None:
        """However soon they leave; the next minute they may again. Who is known may always."""
        census = self.census(client_connection_rate_limit=2)
        for _ in range(2):
            self.assert_in(census.enter(HERE, is_trusted=False)).end()
        self.assert_out(census.enter(HERE, is_trusted=False), "in a minute")
        self.assert_in(census.enter(THERE, is_trusted=False))
        for _ in range(100):
            self.assert_in(census.enter(HERE, is_trusted=True)).end()
        self.clock.advance(MINUTE)
        self.assert_in(census.enter(HERE, is_trusted=False))


class ReserveTests(CensusTestCase):
    """An attack from outside locks nobody out who is known."""

    def test_strangers_do_not_get_all(self) -> None:
        """The printers of a trusted network, and where somebody logged in lately, come in."""
        census = self.census(connection_limit=5, connection_reserve=2)
        census.know(THERE)
        for number in range(3):
            self.assert_in(census.enter(ip_address(f"198.51.{number}.1"), is_trusted=False))
        self.assert_out(census.enter(HERE, is_trusted=False), "to this server")
        self.assert_in(census.enter(PRINTER, is_trusted=True))
        self.assert_in(census.enter(THERE, is_trusted=False))
        self.assert_out(census.enter(PRINTER, is_trusted=True), "to this server")

    def test_who_logged_in_long_ago_is_forgotten(self) -> None:
        """Memory is bounded; who logs in again is remembered anew."""
        census = self.census(connection_limit=1, connection_reserve=1)
        first, again = ip_address(1), ip_address(2)
        census.know(first)
        census.know(again)
        for number in range(3, MOST_KNOWN + 2):
            census.know(ip_address(number))
        census.know(again)
        census.know(ip_address(MOST_KNOWN + 2))
        self.assert_out(census.enter(first, is_trusted=False), "to this server")
        self.assert_in(census.enter(again, is_trusted=False))

    def test_strangers_are_pressed_while_few_places_are_left(self) -> None:
        """From four fifths on until there are three; who is known never is."""
        census = self.census(connection_limit=15, connection_reserve=5)
        printer = self.assert_in(census.enter(PRINTER, is_trusted=True))
        stays = [self.assert_in(census.enter(HERE, is_trusted=False)) for _ in range(7)]
        self.assertFalse(stays[0].is_pressed())
        stays.append(self.assert_in(census.enter(HERE, is_trusted=False)))
        self.assertEqual((stays[0].is_pressed(), printer.is_pressed()), (True, False))
        for _ in range(2):
            stays.pop().end()
        self.assertTrue(stays[0].is_pressed())
        stays.pop().end()
        self.assertFalse(stays[0].is_pressed())
