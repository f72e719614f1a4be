"""The crowd of `bench.slow_clients`: clients that hold connections and do next to nothing.

    python -m bench.slow_crowd --port 2525 --idle 2000 --dripping 500

They come from fifty addresses of loopback. The idle ones say nothing at all. Of the dripping ones
half send a command, half the content of a message, one octet a second, and never come to an end.
Who is turned away or cut off comes again five seconds later, for as long as this runs. When all
have tried once comes a line `ready`; a line of JSON (how many are connected, and how all
connections were answered so far) follows for each line on standard input, until that ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress

ADDRESSES = [f"127.7.{number}.1" for number in range(1, 51)]  # each in a network of its own
PACE = 0.002  # seconds between two clients of the beginning
AGAIN = 5.0  # seconds
ENVELOPE = b"EHLO slow.example\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n"


class Crowd:
    """What all clients share."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self._missing = 0  # have not tried yet
        self._all_tried = asyncio.Event()
        self.connected = 0
        self.answers: Counter[str] = Counter()

    async def gather(self, idle: int, dripping: int) -> None:
        """Have everybody come; returns when all have tried."""
        ways = [None] * idle + [b"", ENVELOPE] * (dripping // 2)
        self._missing = len(ways)
        for number, beginning in enumerate(ways):
            address = ADDRESSES[number % len(ADDRESSES)]
            self._tasks.append(asyncio.create_task(self._client(address, beginning)))
            await asyncio.sleep(PACE)
        await self._all_tried.wait()

    async def _client(self, address: str, beginning: bytes | None) -> None:
        while True:
            with suppress(OSError):
                await self._come(address, beginning)
            await asyncio.sleep(AGAIN)

    async def _come(self, address: str, beginning: bytes | None) -> None:
        """One connection, until the server ends it."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(address, 0)
        )
        said = await reader.readline()
        self.answers[said[:3].decode() or "closed"] += 1
        self._missing -= 1
        if self._missing <= 0:
            self._all_tried.set()
        self.connected += 1
        try:
            if beginning is None:
                await reader.read()
                return
            writer.write(beginning)
            while not reader.at_eof():
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(4096), 1.0)
                writer.write(b"x")
        finally:
            self.connected -= 1
            writer.close()

    def told(self) -> str:
        """How it stands."""
        return json.dumps({"connected": self.connected, "answers": self.answers})


async def run(port: int, idle: int, dripping: int) -> None:
    """Hold the connections until standard input ends."""
    crowd = Crowd(port)
    await crowd.gather(idle, dripping)
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(crowd.told(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "idle", "dripping"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(run(given.port, given.idle, given.dripping))


if __name__ == "__main__":
    main()
