"""The control socket with its client: real sockets, in one process."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from m365gw.admin.body import Nothing
from m365gw.admin.control_socket import ControlSocket, ControlUnavailable
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from tests.admin.requests import Stage


class ControlSocketTestCase(TestCase):
    def setUp(self) -> None:
        # Not mktemp: the name of a socket must be short.
        folder = Path(tempfile.mkdtemp(prefix="m365gw-"))
        self.addCleanup(shutil.rmtree, folder)
        self.path = folder / "made" / "control.sock"
        self.stage = Stage("debug")

    def control(self, mode: int = 0o600) -> ControlSocket:
        return ControlSocket(reactor, str(self.path), mode, self.stage.api)

    def opened(self, mode: int = 0o600) -> ControlSocket:
        made = self.control(mode)
        made.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(made.close()))
        return made

    def get(self, path: str = "/status") -> Deferred[Any]:
        return deferToThread(Control(str(self.path), patience=10).get, path)


class AskingTests(ControlSocketTestCase):
    async def test_get_and_post(self) -> None:
        """The client gets what endpoints give, and the kernel says who it is."""
        asked: list[Any] = []

        def hold(body: Nothing, caller: Caller) -> Any:
            asked.append(caller.name)
            return {"results": []}

        self.stage.api.get("/status", lambda: {"pid": 7})
        self.stage.api.post("/queue/hold", Nothing, hold)
        self.opened()
        self.assertEqual(await self.get(), {"pid": 7})
        said = await deferToThread(Control(str(self.path)).post, "/queue/hold")
        self.assertEqual(said, {"results": []})
        self.assertEqual(len(asked), 1)
        self.assertIn(f"[{os.getpid()}]", asked[0])

    async def test_a_refusal_in_words(self) -> None:
        """What the service refuses is an error that says all of it."""

        def no() -> Any:
            raise Refusal(422, "No.", "Because.", "Do this.", problems=["one"])

        self.stage.api.get("/status", no)
        self.opened()
        error = await self.assertFailure(self.get(), ControlFailed)
        self.assertEqual((str(error), error.status), ("No. Because. Do this.", 422))
        self.assertEqual(error.answer["problems"], ["one"])

    async def test_nobody_listens(self) -> None:
        """No file, no folder, or a socket without a process: it is not running."""
        await self.assertFailure(self.get(), NotRunning)
        self.path.parent.mkdir()
        await self.assertFailure(self.get(), NotRunning)
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(self.path))
        dead.close()
        await self.assertFailure(self.get(), NotRunning)

    async def test_another_language(self) -> None:
        """An answer that is no HTTP, or none at all, is a failure in words."""
        self.path.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.path))
            other.listen()

            def babble() -> None:
                connection, _ = other.accept()
                connection.recv(100)
                connection.sendall(b"220 hello\r\n")
                connection.close()

            babbling = deferToThread(babble)
            await self.assertFailure(self.get(), ControlFailed)
            await babbling


class RightsTests(ControlSocketTestCase):
    async def test_mode(self) -> None:
        """The socket has the mode that was asked for, and goes with the service."""
        for mode in (0o600, 0o660):
            control = self.opened(mode)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), mode)
            await control.close()
            self.assertFalse(self.path.exists())

    def test_not_allowed(self) -> None:
        """EACCES is told as what it is."""
        error = Control("/s")._unreachable(PermissionError(13, "Permission denied"))
        self.assertIsInstance(error, NotAllowed)
        self.assertIn("sudo", str(error))


class PlaceTests(ControlSocketTestCase):
    async def test_left_by_a_dead_process(self) -> None:
        """It is replaced."""
        self.path.parent.mkdir()
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(self.path))
        dead.close()
        self.stage.api.get("/status", lambda: "alive")
        self.opened()
        self.assertEqual(await self.get(), "alive")

    async def test_of_a_living_process(self) -> None:
        """It is never touched, neither when we come nor when we go."""
        self.stage.api.get("/status", lambda: "first")
        self.opened()
        second = self.control()
        with self.assertRaisesRegex(ControlUnavailable, "another process"):
            second.open()
        await second.close()
        self.assertEqual(await self.get(), "first")

    async def test_taken_over_meanwhile(self) -> None:
        """What somebody else has put in its place is not taken away."""
        control = self.opened()
        self.path.unlink()
        self.path.write_text("other")
        await control.close()
        self.assertEqual(self.path.read_text(), "other")

    def test_a_file_of_another_kind(self) -> None:
        """It stays as it is."""
        self.path.parent.mkdir()
        self.path.write_text("notes")
        with self.assertRaisesRegex(ControlUnavailable, "not a socket"):
            self.control().open()
        self.assertEqual(self.path.read_text(), "notes")

    def test_no_folder(self) -> None:
        """A folder that cannot be made is said with what to do."""
        self.path.parent.write_text("a file")
        with self.assertRaisesRegex(ControlUnavailable, "RuntimeDirectory"):
            self.control().open()
