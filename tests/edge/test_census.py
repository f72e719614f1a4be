"""Counting connections."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Limits
from m365gw.edge.census import Census


class CensusTests(SynchronousTestCase):
    """In all, and from each address."""

    def test_room_is_given_back(self) -> None:
        """A connection that closes makes room for the next, and nothing is remembered of it."""
        census = Census(Limits(client_connection_limit=1))
        here = ip_address("192.0.2.1")
        self.assertIsNone(census.enter(here))
        self.assertIsNotNone(census.enter(here))
        self.assertIsNone(census.enter(ip_address("192.0.2.2")))
        census.leave(here)
        self.assertIsNone(census.enter(here))
        census.leave(here)
        census.leave(ip_address("192.0.2.2"))
        self.assertEqual((census.connections, census._from), (0, {}))

    def test_denied_connection_is_not_counted(self) -> None:
        """Who was turned away takes no room."""
        census = Census(Limits(connection_limit=1))
        census.enter(None)
        for _ in range(3):
            self.assertIsNotNone(census.enter(ip_address("192.0.2.1")))
        self.assertEqual(census.connections, 1)

    def test_new_limits(self) -> None:
        """They hold for who comes next; who is in stays in and is counted."""
        census = Census(Limits())
        for _ in range(3):
            census.enter(ip_address("192.0.2.1"))
        census.configure(Limits(connection_limit=3))
        self.assertIsNotNone(census.enter(ip_address("192.0.2.2")))
        census.leave(ip_address("192.0.2.1"))
        self.assertIsNone(census.enter(ip_address("192.0.2.2")))
