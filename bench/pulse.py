"""How long a service lets anybody wait: one session that says NOOP all the time.

A server with one reactor answers when the turn it is in has ended, so the longest wait is the
longest turn. Time for which the kernel gave the processor to somebody else is taken off: that is
the machine's, not the service's.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from threading import Event, Thread, get_native_id

from attrs import define, field

from bench.figures import percentile

EVERY = 0.004  # seconds between two NOOPs


@define
class Pulse:
    """`with Pulse(port, pid) as pulse:` then `worst` and `p99` of what was waited, in seconds."""

    port: int
    pid: int
    waits: list[float] = field(factory=list)
    _over: Event = field(factory=Event)
    _thread: Thread = field(init=False)

    def __enter__(self) -> Pulse:
        self._thread = Thread(target=self._feel)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def worst(self) -> float:
        """The longest wait."""
        return max(self.waits, default=0.0)

    @property
    def p99(self) -> float:
        """What 99 of 100 waits did not exceed."""
        return percentile(sorted(self.waits), 0.99) if self.waits else 0.0

    def _feel(self) -> None:
        ours = f"self/task/{get_native_id()}"
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.recv(512)
            while not self._over.wait(EVERY):
                queued = _queued(self.pid) + _queued(ours)
                began = time.perf_counter()
                client.sendall(b"NOOP\r\n")
                if not client.recv(512).startswith(b"250"):
                    return
                wait = time.perf_counter() - began
                queued = _queued(self.pid) + _queued(ours) - queued
                self.waits.append(max(0.0, wait - queued))


def _queued(process: int | str) -> float:
    """Seconds a thread was ready to run and had no processor."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
