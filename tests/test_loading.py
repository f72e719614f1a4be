"""What loading leaves to Python's garbage collector."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase


class LoadingTests(SynchronousTestCase):
    def test_what_was_loaded_is_not_looked_through_for_garbage(self) -> None:
        """What comes after it is."""
        code = (
            "import gc, m365gw.loading\n"
            "print(gc.isenabled(), gc.get_freeze_count() > 100 * len(gc.get_objects()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        self.assertEqual("True True\n", done.stdout, done.stderr)
