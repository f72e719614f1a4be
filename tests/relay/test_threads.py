"""Tests for `m365gw.relay.threads`."""

from __future__ import annotations

import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from m365gw.relay.threads import Threads


class ThreadsTests(TestCase):
    """Blocking calls beside the reactor."""

    async def test_calls_run_elsewhere(self) -> None:
        """A call runs in one of the named threads and its result and error come back."""
        threads = Threads(reactor, 2, "entra")
        try:
            name = await threads.call(lambda: threading.current_thread().name)
            self.assertIn("entra", name)
            self.assertEqual(await threads.call(divmod, 7, 2), (3, 1))
            with self.assertRaises(ZeroDivisionError):
                await threads.call(divmod, 1, 0)
        finally:
            await threads.stop()

    async def test_no_thread_before_the_first_call(self) -> None:
        """Threads that nobody needs are not started, and stopping them is no error."""
        before = threading.active_count()
        threads = Threads(reactor, 2, "entra")
        self.assertEqual(threading.active_count(), before)
        await threads.stop()

    async def test_calls_that_may_be_left_are_left(self) -> None:
        """A call that hangs keeps nobody from stopping, and its thread nobody from ending."""
        let_go = threading.Event()
        threads = Threads(reactor, 1, "entra", may_be_left=True)
        left = Deferred.fromCoroutine(threads.call(let_go.wait, 60))
        daemons = [each for each in threading.enumerate() if "entra" in each.name]
        self.assertEqual([each.daemon for each in daemons], [True])
        await threads.stop()
        let_go.set()
        self.assertTrue(await left)
        await threads.stop()
