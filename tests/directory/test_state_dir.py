"""The folder of secrets belongs to the service's user."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.state_dir import NotOurs, claim


class ClaimTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "state"

    def test_missing_is_made(self) -> None:
        """It is made with its parents, and nobody else may look into it."""
        claim(str(self.folder))
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)

    def test_ours_is_left_as_it_is(self) -> None:
        """Packages and systemd choose their own mode; it is theirs to choose."""
        self.folder.mkdir(parents=True, mode=0o755)
        claim(str(self.folder))
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o755)

    def test_of_another_user(self) -> None:
        """What root writes there the service could not read: whoever is not the owner is told."""
        claim(str(self.folder))
        stranger = os.geteuid() + 54_321
        self.patch(os, "geteuid", lambda: stranger)
        said = str(self.assertRaises(NotOurs, claim, str(self.folder)))
        self.assertIn(f"and this runs as {stranger}. Run it as ", said)

    def test_cannot_be_made(self) -> None:
        """The words say which folder, why, and the command that makes it."""
        self.folder.parent.mkdir(parents=True)
        self.folder.write_text("a file")
        said = str(self.assertRaises(NotOurs, claim, str(self.folder)))
        self.assertIn(f"state_dir {self.folder} cannot be used: File exists.", said)
        self.assertIn("install -d -m 0700 -o ", said)
