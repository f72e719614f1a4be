"""The load generator: its messages, and its dialogue with a server on loopback."""

from __future__ import annotations

import socket
import threading

from twisted.trial.unittest import SynchronousTestCase

from bench.load import Load, UnexpectedReply, content, measure


class Server:
    """A server in a thread, that answers each line of a client from a script."""

    def __init__(self, case: SynchronousTestCase, at_the_end: bytes = b"250 2.0.0 Ok\r\n") -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._at_the_end = at_the_end
        self.port = self._socket.getsockname()[1]
        self.heard: list[bytes] = []
        thread = threading.Thread(target=self._serve)
        thread.start()
        case.addCleanup(thread.join)
        case.addCleanup(self._socket.shutdown, socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                self._socket.close()
                return
            with connection, connection.makefile("rb") as lines:
                self._talk(connection, lines)

    def _talk(self, connection: socket.socket, lines: object) -> None:
        connection.sendall(b"220 test\r\n")
        in_content = False
        for line in lines:  # type: ignore[attr-defined]
            if in_content:
                in_content = line != b".\r\n"
                if not in_content:
                    connection.sendall(self._at_the_end)
                continue
            self.heard.append(line)
            if line.startswith(b"EHLO"):
                connection.sendall(b"250-test\r\n25")
                connection.sendall(b"0 SIZE\r\n")
            elif line == b"DATA\r\n":
                in_content = True
                connection.sendall(b"354 go\r\n")
            elif line == b"QUIT\r\n":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")


class LoadTests(SynchronousTestCase):
    """As many messages as asked for, each answered before the next."""

    def load(self, server: Server, messages: int, per_connection: int | None = None) -> Load:
        load = Load(server.port, content(1000), None, per_connection, messages)
        self.addCleanup(load.close)
        return load

    def test_message_has_its_size_and_its_end(self) -> None:
        """At least so many octets, and no line of it looks like the end."""
        message = content(10240)
        self.assertTrue(10240 <= len(message) < 10400)
        self.assertEqual(len(message) - 5, message.find(b"\r\n.\r\n"))

    def test_one_connection_for_all(self) -> None:
        """A session greets once, sends all its messages and says goodbye."""
        server = Server(self)
        result = measure(self.load(server, 3), 1, 0.0, None)
        self.assertEqual(3, result.messages)
        self.assertEqual(1, server.heard.count(b"EHLO bench.example.com\r\n"))
        self.assertEqual(3, server.heard.count(b"DATA\r\n"))
        self.assertEqual(b"QUIT\r\n", server.heard[-1])

    def test_one_connection_for_each(self) -> None:
        """A new connection for every message."""
        server = Server(self)
        measure(self.load(server, 3, per_connection=1), 1, 0.0, None)
        self.assertEqual(3, server.heard.count(b"EHLO bench.example.com\r\n"))
        self.assertEqual(3, server.heard.count(b"QUIT\r\n"))

    def test_refusal_ends_the_run(self) -> None:
        """A rate with refusals in it says nothing, so there is none; the refusal is told."""
        server = Server(self, at_the_end=b"452 4.3.1 full\r\n")
        load = self.load(server, 3)
        error = self.assertRaises(UnexpectedReply, measure, load, 1, 0.0, None)
        self.assertIn("452 4.3.1 full", str(error))
