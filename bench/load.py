"""The load generator: some SMTP sessions in a closed loop, in one thread of a process of its own.

    python -m bench.load --port 2525 --sessions 10 --size 10240 --seconds 4

Each session says MAIL, RCPT and DATA one by one and waits for each answer, as `smtp-source` does:
no pipelining. It keeps its connection for all its messages, or makes a new one for each, in the
clear or with STARTTLS. The latency of a message is the time from when the last octet of its
content was handed to the kernel to when its final 250 was read.

First comes a warm-up that is not counted, then a line `begin`, and at the end of the measured time
a line of JSON (`Result`): who started it looks at the clocks of the server at these moments. With
--messages it sends so many, without a warm-up.

An answer that was not expected ends it with 1 and the answer on standard error: a rate with
refusals in it says nothing.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from attrs import asdict, define, field, frozen

from bench.figures import percentile

now = time.perf_counter

Wish = int  # EPOLLIN or EPOLLOUT: what a session waits for

HELLO = b"EHLO bench.example.com\r\n"
MAIL = b"MAIL FROM:<relay@contoso.example>\r\n"
RCPT = b"RCPT TO:<sink@example.net>\r\n"
HEADER = (
    b"From: <relay@contoso.example>\r\nTo: <sink@example.net>\r\nSubject: bench\r\n"
    b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <bench@example.com>\r\n\r\n"
)
LINE = b"Nothing in this line matters, but that it is as long as lines of mail are...\r\n"


class UnexpectedReply(Exception):
    """The server said something else than it should."""


@frozen
class Result:
    """What a run measured: times in seconds, of the measured part only."""

    messages: int
    seconds: float
    p50: float
    p99: float
    cpu: float  # used by the generator itself


def content(size: int) -> bytes:
    """A message of at least this many octets as it goes over the wire, end included."""
    lines = -(-(size - len(HEADER)) // len(LINE))
    return HEADER + LINE * lines + b".\r\n"


@define
class Load:
    """What all sessions share. None for a bound: there is none."""

    port: int
    content: bytes
    tls: ssl.SSLContext | None
    per_connection: int | None
    messages: int | None
    poll: select.epoll = field(factory=select.epoll)
    sessions: dict[int, Session] = field(factory=dict)  # by descriptor
    latencies: list[float] = field(factory=list)
    begun: int = 0
    is_over: bool = False

    def take_turn(self) -> bool:
        """Whether a session may send one more message; counts it."""
        if not self.may_go_on:
            return False
        self.begun += 1
        return True

    @property
    def may_go_on(self) -> bool:
        return not self.is_over and self.begun != self.messages

    def run(self, until: float | None = None) -> None:
        """Serve the sessions until this time, or (None) until all have ended."""
        sessions = self.sessions
        while sessions and (until is None or now() < until):
            for fd, _ in self.poll.poll(0.1):
                sessions[fd].go_on()

    def close(self) -> None:
        """Break off what is still open."""
        for session in self.sessions.values():
            session.close()
        self.poll.close()


class Session:
    """One client: one connection, or one after the other."""

    _wish: Wish

    def __init__(self, load: Load) -> None:
        self._load = load
        self._connect()
        self._steps = self._all_connections()
        self.go_on()

    def go_on(self) -> None:
        """What was waited for has come."""
        wish = next(self._steps, 0)
        if wish != self._wish and wish:
            self._load.poll.modify(self._socket, wish)
            self._wish = wish

    def close(self) -> None:
        """Break off."""
        self._socket.close()

    def _all_connections(self) -> Iterator[Wish]:
        yield from self._connection()
        while self._load.may_go_on:
            self._connect()
            yield from self._connection()

    def _connect(self) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect_ex(("127.0.0.1", self._load.port))
        self._wish = select.EPOLLIN
        self._load.poll.register(self._socket, self._wish)
        self._load.sessions[self._socket.fileno()] = self

    def _connection(self) -> Iterator[Wish]:
        """One connection, from the greeting to the farewell."""
        load = self._load
        yield from self._reply(b"220")
        yield from self._say(HELLO, b"250")
        if load.tls is not None:
            yield from self._say(b"STARTTLS\r\n", b"220")
            yield from self._encrypt(load.tls)
            yield from self._say(HELLO, b"250")
        left = load.per_connection
        while left != 0 and load.take_turn():
            left = None if left is None else left - 1
            yield from self._say(MAIL, b"250")
            yield from self._say(RCPT, b"250")
            yield from self._say(b"DATA\r\n", b"354")
            yield from self._send(load.content)
            sent_at = now()
            yield from self._reply(b"250")
            load.latencies.append(now() - sent_at)
        yield from self._say(b"QUIT\r\n", b"221")
        load.poll.unregister(self._socket)
        del load.sessions[self._socket.fileno()]
        self._socket.close()

    def _say(self, command: bytes, expected: bytes) -> Iterator[Wish]:
        yield from self._send(command)
        yield from self._reply(expected)

    def _send(self, octets: bytes) -> Iterator[Wish]:
        unsent = memoryview(octets)
        while unsent:
            with suppress(BlockingIOError, ssl.SSLWantWriteError):
                unsent = unsent[self._socket.send(unsent) :]
            if unsent:
                yield select.EPOLLOUT

    def _reply(self, expected: bytes) -> Iterator[Wish]:
        """Wait for a whole reply: only its last line has a space behind the code."""
        reply = b""
        while reply[-1:] != b"\n" or reply[reply.rfind(b"\n", 0, -1) + 4 :][:1] == b"-":
            yield select.EPOLLIN
            with suppress(BlockingIOError, ssl.SSLWantReadError):
                octets = self._socket.recv(4096)
                if not octets:
                    raise UnexpectedReply(f"closed, where {expected!r} should come: {reply!r}")
                reply += octets
        if reply[:3] != expected:
            raise UnexpectedReply(f"{expected!r} should come, and came: {reply!r}")

    def _encrypt(self, tls: ssl.SSLContext) -> Iterator[Wish]:
        encrypted = tls.wrap_socket(self._socket, do_handshake_on_connect=False)
        self._socket = encrypted  # the same descriptor
        while True:
            try:
                encrypted.do_handshake()
                return
            except ssl.SSLWantReadError:
                yield select.EPOLLIN
            except ssl.SSLWantWriteError:
                yield select.EPOLLOUT


def measure(load: Load, sessions: int, warm_up: float, seconds: float | None) -> Result:
    """Run the sessions, for so many seconds or (None) until the messages are sent."""
    for _ in range(sessions):
        Session(load)
    if seconds is not None:
        load.run(now() + warm_up)
    print("begin", flush=True)
    load.latencies.clear()
    started, cpu = now(), time.process_time()
    load.run(None if seconds is None else started + seconds)
    elapsed, cpu = now() - started, time.process_time() - cpu
    latencies = sorted(load.latencies)
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return Result(len(latencies), elapsed, p50, p99, cpu)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.load", description="SMTP load in a closed loop.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--size", type=int, default=10240, help="octets of a message")
    parser.add_argument("--per-connection", type=int, help="messages; all on one when not given")
    parser.add_argument("--starttls", action="store_true")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds not counted")
    span = parser.add_mutually_exclusive_group(required=True)
    span.add_argument("--seconds", type=float)
    span.add_argument("--messages", type=int)
    asked = parser.parse_args()
    tls = None
    if asked.starttls:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    load = Load(asked.port, content(asked.size), tls, asked.per_connection, asked.messages)
    try:
        result = measure(load, asked.sessions, asked.warm_up, asked.seconds)
        print(json.dumps(asdict(result)), flush=True)
        load.is_over = True
        load.run()  # what is in hand comes to its end: no connection is cut off
    except (UnexpectedReply, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
