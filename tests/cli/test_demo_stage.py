"""The demo: two at once, and on a disk that is full."""

from __future__ import annotations

import os
from errno import ENOSPC
from pathlib import Path
from smtplib import SMTPDataError

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli import demo_stage
from m365gw.cli.demo import demo
from m365gw.cli.demo_stage import Stage
from m365gw.directory.database import DirectoryError


class FullDiskTests(SynchronousTestCase):
    def test_it_ends_in_words(self) -> None:
        """Whoever meets the full disk first, and however it is said."""
        for failure in (
            OSError(ENOSPC, "No space left on device", "m365gw.toml"),
            DirectoryError("The database state.db: the disk is full."),
            SMTPDataError(452, b"4.3.1 Insufficient system storage"),
        ):

            def fail(_: Stage, failure: Exception = failure) -> None:
                raise failure

            self.patch(Stage, "raise_curtain", fail)
            done = CliRunner().invoke(demo, ["--once", "--folder", self.mktemp()])
            self.assertEqual(done.exit_code, 1)
            self.assertEqual(done.output, f"The demo cannot go on:\n{failure}\n")


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
