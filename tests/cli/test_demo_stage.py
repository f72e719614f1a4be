"""Two demos at once: the ports people know go to one of them."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli import demo_stage
from m365gw.cli.demo_stage import Stage


class PortsTests(SynchronousTestCase):
    def test_one_demo_at_a_time_has_the_known_ports(self) -> None:
        """The second takes any, until the first has ended."""
        self.patch(demo_stage, "FIRST", f"\0m365gw-demo-test-{os.getpid()}")
        first, second, third = (Stage(Path(self.mktemp())) for _ in range(3))
        self.addCleanup(second.clear)
        self.addCleanup(third.clear)
        self.assertTrue(first._is_first())
        self.assertFalse(second._is_first())
        first.clear()
        self.assertTrue(third._is_first())
