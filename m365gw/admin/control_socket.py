"""The control socket: the API on a UNIX socket, for whoever may open it.

Permissions decide: connecting needs the right to write to the socket, which is its owner's alone,
or its group's as well. Who has connected is asked of the kernel, for the log.

A socket that a process left behind when it died is replaced. One that another process listens on
is never touched, nor is a file of another kind. Failures: `ControlUnavailable`, in words.
"""

from __future__ import annotations

import os
import pwd
import socket
import stat
import struct
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError

from m365gw.admin.api import Api
from m365gw.admin.http import ApiRequest, Caller, site

_BACKLOG = 16
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred, unix(7)


class ControlUnavailable(Exception):
    """The control socket cannot be had. The text says why, and what to do."""


class ControlSocket:
    """The API on a UNIX socket. `mode` is that of the socket: 0o600 or 0o660."""

    def __init__(self, reactor: Any, path: str, mode: int, api: Api) -> None:
        self._reactor = reactor
        self._path = path
        self._mode = mode
        self._site = site(api.resource(_who), reactor)
        self._port: Any = None
        self._made: tuple[int, int] | None = None  # device and inode of our socket

    def open(self) -> None:
        """Listen. Raises `ControlUnavailable`."""
        try:
            os.makedirs(os.path.dirname(self._path) or ".", mode=0o755, exist_ok=True)
            _clear(self._path)
            # It has its mode before it listens, so nobody slips in.
            self._port = self._reactor.listenUNIX(
                self._path, self._site, backlog=_BACKLOG, mode=self._mode
            )
            self._made = _identity(self._path)
        except CannotListenError as error:
            raise self._unavailable(error.socketError) from error
        except OSError as error:
            raise self._unavailable(error) from error

    async def close(self) -> None:
        """Answer nobody any more. The socket goes, unless somebody else's is in its place."""
        port, self._port = self._port, None
        if port is None:
            return
        if self._is_ours():
            await maybeDeferred(port.stopListening)
        else:  # Twisted would take away whatever bears the name
            port.stopReading()
            self._site.doStop()  # type: ignore[no-untyped-call]  # Twisted's

    def _is_ours(self) -> bool:
        try:
            return self._made == _identity(self._path)
        except OSError:
            return False

    def _unavailable(self, error: OSError) -> ControlUnavailable:
        return ControlUnavailable(
            f"control_socket {self._path} cannot be made: {error.strerror or error}. Its folder"
            " must belong to the user of the service (systemd: RuntimeDirectory=m365gw), or name"
            " another place."
        )


def _clear(path: str) -> None:
    """Remove what a dead process left; raises ControlUnavailable for what is alive or no socket."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ControlUnavailable(
            f"control_socket {path} is not a socket but something else, which stays as it is. Move"
            " it away, or name another place."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog is a living process too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise ControlUnavailable(
        f"control_socket {path} belongs to another process that runs, perhaps another gateway. Each"
        " needs a control_socket of its own."
    )


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _who(request: ApiRequest) -> Caller:
    """The user at the other end, as the kernel knows it. Whoever could connect, may."""
    connection: Any = request.channel.transport
    credentials = connection.getHandle().getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    pid, uid, _ = _CREDENTIALS.unpack(credentials)
    try:
        return Caller(f"{pwd.getpwuid(uid).pw_name}[{pid}]")
    except KeyError:
        return Caller(f"uid {uid}[{pid}]")
