"""Where a browser comes back to after a sign-in: a page on loopback (RFC 8252 7.3).

Only the last answer of a sign-in is waited for here; it is worth nothing without what the command
keeps to itself. What else knocks (a favicon, a stranger on this machine) gets 404.
"""

from __future__ import annotations

import select
import socket
import sys
from html import escape
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field

LONGEST_REQUEST = 16384  # octets; a code is about 1,500
PATIENCE = 5.0  # seconds a browser may take to send its request


@define
class Arrival:
    """A browser that came back, and waits for a page to show."""

    arguments: dict[str, str] = field(repr=False)  # the parameters of the address
    _connection: socket.socket

    def answer(self, words: str) -> None:
        """Show a sentence, and part."""
        _reply(self._connection, "200 OK", words)


class Loopback:
    """Listens on a free port of 127.0.0.1, and of ::1 where there is one."""

    def __init__(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        port = self._sockets[0].getsockname()[1]
        self.address = f"http://localhost:{port}"
        try:
            self._sockets.append(socket.create_server(("::1", port), family=socket.AF_INET6))
        except OSError:  # no IPv6 here, or the port is taken there: browsers then use IPv4
            return

    def __enter__(self) -> Loopback:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._sockets:
            each.close()

    def wait(self, seconds: float) -> Arrival | None:
        """The next browser that comes back; None: something was typed, or the time is over."""
        watched = [*self._sockets, *([sys.stdin] if sys.stdin.isatty() else [])]
        ready, _, _ = select.select(watched, [], [], seconds)
        for each in ready:
            if isinstance(each, socket.socket):
                connection, _ = each.accept()
                return _arrival(connection)
        return None


def address_pasted() -> dict[str, str] | None:
    """The parameters of an address that was typed; None when there is none to read."""
    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return None
    return parameters(sys.stdin.readline().strip())


def parameters(address: str) -> dict[str, str] | None:
    """The parameters of an address, or None when it has none."""
    try:
        found = dict(parse_qsl(urlsplit(address).query))
    except ValueError:
        return None
    return found if "state" in found else None


def _arrival(connection: socket.socket) -> Arrival | None:
    """The browser, if it brings the answer of a sign-in; others are sent away."""
    connection.settimeout(PATIENCE)
    try:
        request = b""
        while b"\r\n\r\n" not in request and len(request) < LONGEST_REQUEST:
            octets = connection.recv(4096)
            if not octets:
                break
            request += octets
    except OSError:
        connection.close()
        return None
    method, _, rest = request.partition(b" ")
    target = rest.split(b" ", 1)[0].decode("ascii", "replace")
    is_whole = b"\r\n\r\n" in request
    found = parameters(target) if is_whole and method == b"GET" else None
    if found is None:
        _reply(connection, "404 Not Found", "There is nothing here.")
        return None
    return Arrival(found, connection)


def _reply(connection: socket.socket, status: str, words: str) -> None:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>m365gw</title>'
        f"<p>{escape(words)}</p></html>"
    ).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(page)}\r\nCache-Control: no-store\r\n"
        "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n"
    )
    try:
        connection.sendall(head.encode() + page)
    except OSError:
        return  # it has left
    finally:
        connection.close()
