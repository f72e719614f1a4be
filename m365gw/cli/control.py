"""Speaking to the running service over its control socket.

Failures: `NotRunning` when nothing listens there, `NotAllowed` when the socket may not be opened,
`ControlFailed` for anything the service refuses or cannot answer; all in words for the terminal.
"""

from __future__ import annotations

import json
import socket
from typing import Any

PREFIX = "/api/v1"
PATIENCE = 60.0  # seconds without an answer; whatever takes long is asked in parts


class NotRunning(Exception):
    """There is no service at the control socket."""


class NotAllowed(Exception):
    """The control socket belongs to somebody else."""


class ControlFailed(Exception):
    """The service said no, or could not say anything.

    `status` is that of HTTP, 0 without an answer; `answer` is all it said, None without.
    """

    def __init__(self, words: str, status: int = 0, answer: Any = None) -> None:
        super().__init__(words)
        self.status = status
        self.answer = answer


class Control:
    """The control socket of a service."""

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience

    def get(self, path: str) -> Any:
        """What the service answers to GET /api/v1{path}."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """What the service answers to POST /api/v1{path} with this value as its body."""
        return self._ask("POST", path, json.dumps({} if body is None else body))

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        # Imported here: most commands that could ask never do.
        from http.client import HTTPConnection, HTTPException

        connection = HTTPConnection("control", timeout=self._patience)
        connection.sock = self._connected()
        try:
            connection.request(
                method, PREFIX + path, body, {"content-type": "application/json"} if body else {}
            )
            answer = connection.getresponse()
            octets = answer.read()
            said = json.loads(octets)
        except TimeoutError:
            raise ControlFailed(
                f"The service did not answer within {self._patience:g} seconds. Its log says what"
                " it does."
            ) from None
        except (OSError, HTTPException, ValueError) as error:
            raise ControlFailed(
                f"The service broke off its answer ({type(error).__name__}). Is it just stopping?"
            ) from None
        finally:
            connection.close()
        if answer.status >= 400:
            told = said.get("error", {})
            words = " ".join(filter(None, (told.get(key) for key in ("what", "why", "fix"))))
            raise ControlFailed(words or f"HTTP status {answer.status}", answer.status, said)
        return said

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._patience)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise self._unreachable(error) from None
        return connection

    def _unreachable(self, error: OSError) -> Exception:
        if not self._path:
            return NotRunning("control_socket is empty, so the service cannot be asked.")
        if isinstance(error, PermissionError):
            return NotAllowed(
                f"You may not use {self._path}. Run this as the user of the service or as root"
                " (sudo -u m365gw ...)."
            )
        if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
            return NotRunning(
                f"The service is not running: nothing listens on {self._path}. If it should run,"
                " its log says why it does not (journalctl --unit m365gw, docker logs)."
            )
        return ControlFailed(f"{self._path} cannot be reached: {error.strerror or error}.")
