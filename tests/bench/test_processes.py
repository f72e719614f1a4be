"""What a tree of processes costs."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench.processes import parse_stat, processor_seconds, proportional_octets, tree


class ProcessesTests(SynchronousTestCase):
    """Read from /proc, of processes that are there."""

    def test_name_may_hold_anything(self) -> None:
        """Brackets and spaces in a program's name do not shift the fields."""
        fields = "S 42 7 7 0 -1 4194560 5 6 0 0 11 22 33 44 20 0 1 0 99"
        self.assertEqual((42, 110), parse_stat(f"812 (a) b (c) {fields}"))

    def test_tree_holds_children(self) -> None:
        """A child is found below its parent, and not below itself."""
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            self.assertIn(child.pid, tree(os.getpid()))
            self.assertEqual([child.pid], tree(child.pid))
            self.assertGreater(proportional_octets(child.pid), 0)
        finally:
            child.communicate(b"\n")
        self.assertNotIn(child.pid, tree(os.getpid()))

    def test_children_that_ended_are_counted(self) -> None:
        """Their time goes to the parent that waited for them, in whole ticks of the kernel."""
        before = processor_seconds(os.getpid())
        busy = "import time\nwhile time.process_time() < 0.2: pass"
        subprocess.run([sys.executable, "-c", busy], check=True)
        self.assertGreater(processor_seconds(os.getpid()) - before, 0.15)
