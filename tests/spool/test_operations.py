"""What is done to messages under the spool's lock; the rest is tested through the commands."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool import operations
from m365gw.spool.names import State
from tests.spool.mail import NOW, new_spool, put


class FlushTests(SynchronousTestCase):
    def test_only_what_was_done_counts(self) -> None:
        """A message whose file cannot be renamed waits as before, and is not counted."""
        spool = new_spool(self.mktemp())
        self.addCleanup(spool.close)
        for _ in range(2):
            spool.defer(spool.claim(put(spool)), int(NOW) + 300)
        rename, tried = spool._files.rename, []

        def rename_one(*names: str) -> None:
            tried.append(names)
            if len(tried) > 1:
                raise OSError(5, "Input/output error")
            rename(*names)

        self.patch(spool._files, "rename", rename_one)
        self.assertEqual(operations.flush(spool), 1)
        dues = sorted(entry.due for entry in spool.entries(State.DEFERRED))
        self.assertEqual(dues, [0, int(NOW) + 300])
