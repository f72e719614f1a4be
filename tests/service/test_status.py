"""What is told of a running gateway."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Settings
from m365gw.service.status import lack_of_space
from m365gw.spool.spool import Spool


class SpaceTests(SynchronousTestCase):
    """The room left in the spool, told at the start and by the status."""

    def setUp(self) -> None:
        self.spool = Spool.open(self.mktemp(), hostname="relay.example.com")
        self.addCleanup(self.spool.close)

    def lack(self, least: int) -> dict[str, str]:
        settings = Settings(limits=Limits(minimal_free_space=least))
        return lack_of_space(self.spool, settings)

    def test_enough(self) -> None:
        """Nothing is told."""
        self.assertEqual(self.lack(0), {})

    def test_too_little(self) -> None:
        """What it means, the figures, and what to do."""
        told = self.lack(2**62)
        self.assertEqual(set(told), {"what", "why", "fix"})
        self.assertIn("4,611,686,018,427,387,904", told["why"])

    def test_too_few_files(self) -> None:
        """Space alone is not enough; a disk that sets no number has enough."""
        for files, is_enough in ((1000, False), (1001, True), (None, True)):
            self.patch(self.spool._files, "free_files", lambda files=files: files)
            self.assertEqual(self.lack(0) == {}, is_enough)

    def test_disk_that_cannot_be_asked(self) -> None:
        """It is told by whoever finds it failing, not as a lack of space."""

        def fail() -> int:
            raise OSError(5, "Input/output error")

        self.patch(self.spool._files, "free_space", fail)
        self.assertEqual(self.lack(2**62), {})
