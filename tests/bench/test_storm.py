"""The storm of wrong logins, against a server that refuses them all."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import storm
from bench.certificate import certificate


class Clock:
    """Time that passes in sleep only, in which all that can happen does."""

    def __init__(self) -> None:
        self._now = 0.0
        self._yield = asyncio.sleep

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds
        for _ in range(20):
            await self._yield(0)


class StormTests(SynchronousTestCase):
    def rage(
        self, answers: dict[bytes, bytes], seconds: float = 0.1
    ) -> tuple[storm.Storm, list[bytes]]:
        """What the storm counted, and what a server heard that answers each verb so."""
        self.patch(storm, "ADDRESSES", ["127.0.1.1", "127.0.1.2"])
        self.patch(storm, "SESSIONS", 2)
        clock = Clock()
        self.patch(storm, "time", clock)
        self.patch(asyncio, "sleep", clock.sleep)
        folder = Path(self.mktemp())
        folder.mkdir()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(folder))
        heard: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 test\r\n")
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):  # the storm is over
                while line := await reader.readline():
                    heard.append(line)
                    writer.write(answers[line[:4]])
            writer.close()

        async def run() -> storm.Storm:
            async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
                made = storm.Storm(server.sockets[0].getsockname()[1])
                await made.rage(500, seconds)
                await asyncio.sleep(0)
            return made

        return asyncio.run(run()), heard

    def test_every_attempt_is_another_password(self) -> None:
        """All that were due are counted, and no two that were sent are alike."""
        made, heard = self.rage({b"EHLO": b"250-x\r\n250 y\r\n", b"AUTH": b"535 5.7.8 no\r\n"})
        said = [line for line in heard if line.startswith(b"AUTH PLAIN ")]
        self.assertEqual(len(said), len(set(said)))
        counted = made.answers
        self.assertEqual(counted["sent"] + counted["not sent: no session is free"], 50)
        self.assertGreater(counted["535"], 0)

    def test_session_that_ends_is_replaced(self) -> None:
        """A server that says 421 is connected to again, which takes a handshake."""
        made, heard = self.rage({b"EHLO": b"250 y\r\n", b"AUTH": b"421 4.7.0 go\r\n"}, 1.0)
        self.assertGreater(heard.count(b"EHLO storm.example\r\n"), 4)
        self.assertGreater(made.answers["421"], 4)
