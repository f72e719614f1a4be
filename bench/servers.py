"""A server under test, whichever it is: where it listens, what it runs as, what it logs."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from random import SystemRandom

from attrs import frozen

PATIENCE = 120.0  # seconds a server has to start
_chance = SystemRandom()


@frozen
class Server:
    """A server on loopback: its port, the root of its processes, and its log."""

    port: int
    pid: int
    log: Path  # lines as Postfix writes them


def free_port() -> int:
    """A TCP port of loopback that nobody has, for a server that is started with its number.

    It is below those that Linux gives out unasked (from 32768, ip_local_port_range of ip(7)), so
    that it is nobody's until the server has it, and again when the server is started once more.
    """
    while True:
        port = _chance.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def await_greeting(name: str, port: int, said: Path) -> None:
    """Wait until the server greets on its port. Raises TimeoutError, with what it said."""
    end = time.monotonic() + PATIENCE
    while not _greets(port):
        if time.monotonic() > end:
            words = said.read_text(errors="replace") if said.exists() else ""
            raise TimeoutError(f"{name} did not start within {PATIENCE:.0f} seconds\n{words}")
        time.sleep(0.02)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            return probe.recv(3) == b"220"
    except OSError:
        return False
