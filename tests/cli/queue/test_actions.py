"""Acting on the queue from a command: by the service, or under the lock, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from m365gw.admin.control_socket import ControlSocket
from m365gw.admin.queue_api import MOST_IDS, add_queue
from m365gw.cli.control import ControlFailed, NotAllowed, NotRunning
from m365gw.cli.queue import actions as module
from m365gw.cli.queue.actions import ASKED_AT_ONCE, CannotAct, actions
from m365gw.spool.names import State
from m365gw.spool.operations import Action, Done, Result
from tests.admin.requests import Stage
from tests.admin.test_queue_api import ID, Queue
from tests.spool.mail import new_spool, put


class LockedTests(SynchronousTestCase):
    """No service runs."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.socket = "no.sock"
        self.spool = new_spool(self.path)
        self.addCleanup(self.spool.close)

    def refusal(self, path: str = "") -> CannotAct:
        with self.assertRaises(CannotAct) as raised, actions(path or self.path, self.socket):
            self.fail("there is a way to act")
        return raised.exception

    def test_acts_under_the_lock(self) -> None:
        """What is asked for is done to each message there is, and the lock is let go."""
        entry = put(self.spool)
        self.spool.close()
        with actions(self.path, self.socket) as acting:
            self.assertIn("in use", str(self.refusal()))
            self.assertEqual(acting.active(), frozenset())
            held = list(acting.act(Action.HOLD, [entry.queue_id, "0" * 13], "a test"))
            self.assertEqual([one.result for one in held], [Done.DONE, Done.GONE])
            self.assertEqual(acting.flush(), 0)
        again = new_spool(self.path)
        self.addCleanup(again.close)
        (found,) = again.entries(State.HOLD)
        self.assertEqual(again.claim(found).reason, "a test")

    def test_a_lock_somebody_else_has(self) -> None:
        """A service that does not listen is named, with what keeps it from being asked."""
        refusal = self.refusal()
        self.assertEqual(refusal.code, 75)
        self.assertIn("in use by another process", str(refusal))
        self.assertIn(self.socket, str(refusal))

    def test_no_spool_is_not_made(self) -> None:
        """A wrong folder is told, and stays as it is."""
        path = self.mktemp()
        self.assertEqual(self.refusal(path).code, 66)
        self.assertFalse(os.path.exists(path))

    def test_a_service_that_may_not_be_asked(self) -> None:
        """Who may not use the socket does not go round it; nor when the service fails."""
        for error, code in ((NotAllowed("no"), 77), (ControlFailed("broken"), 75)):

            def get(control: object, path: str, error: Exception = error) -> object:
                raise error

            self.patch(module.Control, "get", get)
            refusal = self.refusal()
            self.assertEqual((refusal.code, str(refusal)), (code, str(error)))

    def test_a_service_that_ends_meanwhile(self) -> None:
        """What was done is told, and that the rest is to be asked for again."""

        def post(control: object, path: str, body: object) -> object:
            raise NotRunning("It has ended.")

        self.patch(module.Control, "get", lambda control, path: {"active": []})
        self.patch(module.Control, "post", post)
        with actions(self.path, self.socket) as acting:
            ended = self.assertRaises(CannotAct, list, acting.act(Action.HOLD, [ID]))
        self.assertIn("do it again", str(ended))


class RootTests(SynchronousTestCase):
    """Root acts on a spool that belongs to the user of the service."""

    def test_acts_as_the_owner_of_the_spool(self) -> None:
        """While it is open, and no longer."""
        path = self.mktemp()
        new_spool(path).close()
        done: list[tuple[str, int]] = []
        owner = SimpleNamespace(st_uid=4711, st_gid=4712)
        self.patch(module.os, "stat", lambda path: owner)
        for name in ("geteuid", "getegid"):
            self.patch(module.os, name, lambda: 0)
        for name in ("seteuid", "setegid"):
            self.patch(module.os, name, lambda number, name=name: done.append((name, number)))
        opened = SimpleNamespace(close=lambda: done.append(("close", 0)))
        self.patch(module.Spool, "open", lambda *_, **__: opened)
        self.patch(module.os.path, "exists", lambda path: True)
        with actions(path, ""):
            self.assertEqual(done, [("setegid", 4712), ("seteuid", 4711)])
        self.assertEqual(done[2:], [("close", 0), ("seteuid", 0), ("setegid", 0)])


class ServiceTests(TestCase):
    """The service is asked."""

    async def test_asks_the_service(self) -> None:
        """In batches it takes; the results come back as they are."""
        folder = Path(tempfile.mkdtemp(prefix="m365gw-"))
        self.addCleanup(shutil.rmtree, folder)
        stage, queue = Stage(), Queue()
        add_queue(stage.api, queue)
        control = ControlSocket(reactor, str(folder / "sock"), 0o600, stage.api)
        control.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(control.close()))

        def act() -> tuple[list[Result], int, frozenset[str]]:
            with actions(str(folder / "spool"), str(folder / "sock")) as acting:
                results = list(acting.act(Action.HOLD, [ID] * 501, "why"))
                return results, acting.flush("abc"), acting.active()

        results, flushed, active = await deferToThread(act)
        self.assertEqual(results, [Result(ID, Done.LATER, "it flies")] * 501)
        self.assertEqual([len(ids) for _, ids, _ in queue.told], [500, 1])
        self.assertEqual((flushed, active), (3, frozenset({ID})))

    def test_batches_fit(self) -> None:
        """As many as are asked at once are taken at once."""
        self.assertLessEqual(ASKED_AT_ONCE, MOST_IDS)
