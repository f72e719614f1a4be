"""The storm of `bench.auth_storm`: wrong logins at a fixed rate, from fifty addresses of loopback.

    python -m bench.storm --port 2465 --rate 1000 --seconds 20

Every address opens some TLS sessions beforehand: what many handshakes and connections cost a server
is another question. Then, after a line `begin`, it says AUTH PLAIN with a new wrong password in one
of them that has been answered, and opens another for each that ends. An attempt is due whatever
became of those before (open loop); one that finds no session free, as the server lets the answers
to all of them wait, is not sent, and counted. At the end comes a line of JSON: how many were sent,
and how they were answered.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import ssl
import time
from collections import Counter
from contextlib import suppress
from itertools import count

ADDRESSES = [f"127.0.1.{number}" for number in range(1, 51)]
SESSIONS = 15  # of one address
OPENING = 0.005  # seconds between two new sessions of the beginning
# A login that exists, one that does not, and one that is always another.
TARGETS = ("office", "nobody", "somebody{number}")


class Storm:
    """What all addresses share."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE
        self._number = count()
        self._free: dict[str, list[asyncio.Queue[bytes]]] = {each: [] for each in ADDRESSES}
        self._sessions: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.answers: Counter[str] = Counter()

    async def rage(self, rate: int, seconds: float) -> None:
        """Open the sessions; then attempts at this rate, for so long."""
        for address in ADDRESSES * SESSIONS:
            self._open(address)
            await asyncio.sleep(OPENING)
        print("begin", flush=True)
        begun = time.monotonic()
        for number in range(int(rate * seconds)):
            late = begun + number / rate - time.monotonic()
            if late > 0:
                await asyncio.sleep(late)
            self._attempt(ADDRESSES[number % len(ADDRESSES)])
        for task in self._tasks:
            task.cancel()

    def _attempt(self, address: str) -> None:
        if self._free[address]:
            number = next(self._number)
            login = TARGETS[number % len(TARGETS)].format(number=number)
            guess = f"\0{login}\0guess {number}".encode()
            self._free[address].pop().put_nowait(base64.b64encode(guess))
            self.answers["sent"] += 1
            return
        self.answers["not sent: no session is free"] += 1
        if self._sessions[address] < SESSIONS:
            self._open(address)

    def _open(self, address: str) -> None:
        self._sessions[address] += 1
        task = asyncio.create_task(self._session(address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _session(self, address: str) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._tls, local_addr=(address, 0)
            )
            orders: asyncio.Queue[bytes] = asyncio.Queue()
            await reader.readuntil()
            writer.write(b"EHLO storm.example\r\n")
            while (await reader.readuntil())[3:4] == b"-":
                pass
            code = b""
            while code != b"421":
                self._free[address].append(orders)
                writer.write(b"AUTH PLAIN " + await orders.get() + b"\r\n")
                code = (await reader.readuntil())[:3]
                self.answers[code.decode()] += 1
            writer.close()
        self._sessions[address] -= 1


def main() -> None:
    """Rage, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    storm = Storm(given.port)
    asyncio.run(storm.rage(given.rate, given.seconds))
    print(json.dumps(storm.answers), flush=True)


if __name__ == "__main__":
    main()
