"""What somebody types who only tries it: `make demo` and the package, on an empty Debian."""

from __future__ import annotations

import re

from tests.documents.pages import ROOT
from tests.machine.case import MachineTestCase

ARRIVED = "received  by the rehearsal Microsoft 365"
WHEELS = "/srv/wheels"


class TriedTests(MachineTestCase):
    def test_nothing_else_is_needed(self) -> None:
        """With the packages that README names, and by somebody who is not root."""
        self.root = self.reader("root", "/root")
        self.walk(self.see_the_demo, self.install_the_package)

    def see_the_demo(self) -> None:
        """README's first command: a message travels, and told to end all of it ends."""
        [needed] = re.findall(r"`(apt-get install make [^`]*)`", (ROOT / "README.md").read_text())
        self.root.type(needed)
        self.machine.run("useradd --create-home --shell /bin/bash ann")
        self.machine.run("cp authorities.pem /srv/")  # where ann can read them
        self.machine.environment["PIP_CERT"] = "/srv/authorities.pem"
        ann = self.reader("ann", "/home/ann")
        # What the demo fetches first is fetched with our network, the demo itself runs in its own.
        self.machine.run("make .venv/runtime", user="ann", folder=ann.folder, fetches=True)
        self.assertIn(ARRIVED, ann.follow("README.md", "make demo", only="make demo"))
        self.end_the_demo("demo-ann")

    def install_the_package(self) -> None:
        """PACKAGE.md: by its name, as from the index, with a wheel that was just built."""
        self.machine.run("python3 -m venv builder")
        build = f"~/builder/bin/pip wheel --no-deps --wheel-dir {WHEELS} ."
        self.machine.run(build, folder=self.root.folder, fetches=True)
        self.machine.environment["PIP_FIND_LINKS"] = WHEELS
        self.root.folder = "/root"  # where nothing of ours lies
        self.assertIn(ARRIVED, self.root.follow("PACKAGE.md", "pip install"))
        self.end_the_demo("demo-root")

    def end_the_demo(self, unit: str) -> None:
        """By the signal that ^C is; it says that it ends, and does."""
        ended = "Stopping: the gateway finishes what it has in hand."
        self.machine.run(f"systemctl kill --signal=INT --kill-whom=all {unit}")
        self.machine.wait_until(
            lambda: (
                ended in self.machine.journal(unit)
                and not self.machine.ends(f"systemctl is-active {unit}")
            ),
            f"{unit} does not end",
        )
