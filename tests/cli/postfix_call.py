"""Runs a Postfix-compatible command as `m365gw` does, on a spool and a maildrop of the test's."""

from __future__ import annotations

import io
import os
from unittest.mock import patch

from attrs import frozen

from m365gw.cli.postfix.call import Call
from m365gw.cli.postfix.programs import run


@frozen
class Outputs:
    """What a command said."""

    code: int
    stdout: str
    stderr: str


class Output(io.BytesIO):
    """A stream of octets, which may be a terminal."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def call(
    name: str,
    *arguments: str,
    spool: str = "/nowhere",
    maildrop: str = "/nowhere",
    control: str = "/nowhere/control.sock",
    stdin: bytes = b"",
    is_terminal: bool = False,
) -> Outputs:
    """One call, to its end."""
    out, err = Output(is_terminal), io.BytesIO()
    made = Call(name, list(arguments), stdin=io.BytesIO(stdin), stdout=out, stderr=err)
    places = {
        "M365GW_SPOOL_DIR": spool,
        "M365GW_MAILDROP_DIR": maildrop,
        "M365GW_CONTROL_SOCKET": control,
    }
    with patch.dict(os.environ, places):
        code = run(made)
    return Outputs(code, out.getvalue().decode(), err.getvalue().decode())
