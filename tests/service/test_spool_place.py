"""A service that finds no spool where one has been does not make another."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from m365gw.service.spool_place import check, remember
from m365gw.spool.health import Unusable
from m365gw.spool.spool import Spool


class SpoolPlaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state, self.place = os.path.abspath(self.mktemp()), os.path.abspath(self.mktemp())
        os.mkdir(self.state, 0o700)
        check(self.state, self.place)  # the first start of all
        self.make(self.place)

    def make(self, place: str) -> None:
        Spool.open(place, hostname="test").close()
        remember(self.state, place)

    def test_a_disk_that_is_not_mounted(self) -> None:
        """Its empty mount point is not taken for a new spool, and the words say what to do."""
        check(self.state, self.place)
        os.rename(self.place, f"{self.place}.away")
        os.mkdir(self.place)
        refused = self.assertRaises(Unusable, check, self.state, self.place)
        self.assertIn("Is its disk mounted?", str(refused))
        os.remove(os.path.join(self.state, "spool-place"))
        check(self.state, self.place)

    def test_another_place_is_a_new_spool(self) -> None:
        """Whoever changes spool_dir in the configuration wants one there."""
        other = os.path.abspath(self.mktemp())
        check(self.state, other)
        self.make(other)
        check(self.state, other)
