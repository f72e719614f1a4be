"""The Postfix-compatible commands as sub-commands: `m365gw mailq`, and `mailq` by a link.

Their command lines are not click's: everything behind the name belongs to the program.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from m365gw.cli.postfix.call import EX_TEMPFAIL, EX_UNAVAILABLE, Call, Fatal

# The module of each, and what it ends with when it is stopped by something unforeseen.
PROGRAMS = {
    "mailq": ("sendmail", EX_TEMPFAIL),
    "postcat": ("postcat", 1),
    "postqueue": ("postqueue", EX_UNAVAILABLE),
    "postsuper": ("postsuper", 1),
    "qshape": ("qshape", 1),
    "sendmail": ("sendmail", EX_TEMPFAIL),
}


def run(call: Call) -> int:
    """Run the program of this call; its exit code. What stops it is said on standard error."""
    module, failed = PROGRAMS[call.name]
    program: Any = getattr(importlib.import_module(f"m365gw.cli.postfix.{module}"), module)
    try:
        return int(program(call))
    except Fatal as fatal:
        call.say(f"fatal: {fatal}")
        return fatal.code
    except BrokenPipeError:
        raise
    except OSError as error:
        call.say(f"fatal: {error.strerror}: {error.filename or ''}".rstrip(" :"))
        return failed


class Program(click.Command):
    """One of the programs, as a sub-command of `m365gw`."""

    def __init__(self, name: str) -> None:
        super().__init__(name, add_help_option=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return []

    def invoke(self, ctx: click.Context) -> None:
        ctx.exit(run(Call(str(self.name), ctx.args, ctx.obj.config)))
