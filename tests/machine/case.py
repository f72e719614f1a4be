"""A test that walks pages on a machine: step by step, and it says what each step took."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.documents.examples import ON_A_MACHINE
from tests.documents.pages import ROOT
from tests.machine.machine import Machine
from tests.machine.reader import Reader


class MachineTestCase(SynchronousTestCase):
    """Each test has a machine of its own, which ends with it: an empty Debian."""

    def setUp(self) -> None:
        self.machine = Machine.booted()
        self.addCleanup(self.machine.end)
        self.followed: set[tuple[str, str]] = set()
        self.machine.run("apt-get update", fetches=True)

    def reader(self, user: str, home: str) -> Reader:
        """A user with a copy of the repository, which is what git knows as it stands here."""
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        known = subprocess.run(listed, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        there = [name for name in known.decode().split("\0") if name and Path(ROOT, name).exists()]
        folder = f"{home}/m365gw"
        self.machine.path(folder).mkdir()
        pack = ["tar", "--create", f"--directory={ROOT}", "--null", "--files-from=-"]
        names = "\0".join(there).encode()
        packed = subprocess.run(pack, input=names, stdout=subprocess.PIPE, check=True)
        unpack = ["tar", "--extract", f"--directory={self.machine.path(folder)}"]
        subprocess.run(unpack, input=packed.stdout, check=True)
        self.machine.run(f"chown -R {user}: {folder}")
        return Reader(self.machine, user, folder, self.followed)

    def walk(self, *steps: Callable[[], None]) -> None:
        """Take the steps; then every block that is said to be typed here has been."""
        module = type(self).__module__
        for step in steps:
            began = time.monotonic()
            step()
            took = time.monotonic() - began
            print(f"{module}: {step.__name__}, {took:.0f} s", file=sys.stderr, flush=True)
        self.assertEqual({*ON_A_MACHINE[module]}, self.followed)
