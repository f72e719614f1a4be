"""One call of a Postfix command: its name and arguments, its streams, its spool.

Whatever stops a command is `Fatal`, which becomes Postfix's line on standard error and the exit
code. What came from outside is printed with a question mark for each control character, as
Postfix does it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from attrs import define, field

from m365gw.cli.postfix.options import BadOption, Options
from m365gw.config.places import Places
from m365gw.config.problems import ConfigError
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.spool import Spool

EX_UNAVAILABLE = 69
EX_TEMPFAIL = 75
EX_NOPERM = 77
EX_CONFIG = 78

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Fatal(Exception):
    """The command ends here: with these words on standard error, and this exit code."""

    def __init__(self, words: str, code: int = 1) -> None:
        super().__init__(words)
        self.code = code


@define
class Call:
    """What a command works with. `config` is the configuration file, None for the usual one."""

    name: str
    arguments: list[str]
    config: str | None = None
    stdin: BinaryIO = field(factory=lambda: sys.stdin.buffer)
    stdout: BinaryIO = field(factory=lambda: sys.stdout.buffer)
    stderr: BinaryIO = field(factory=lambda: sys.stderr.buffer)

    def options(
        self,
        letters: str,
        usage: Fatal,
        whole: Collection[str] = (),
        *,
        config: str = "c",
        complaints: int = 1,
    ) -> Iterator[tuple[str, str]]:
        """Each option with its value; then `arguments` is what follows them.

        The option `config` (a configuration file, or the folder of one) is taken care of. Raises
        `usage`, after so many complaints of getopt's, for a command line that cannot be read.
        """
        found = Options(self.arguments, letters, whole)
        try:
            for letter, value in found:
                if letter == config:
                    self.config = config_in(value)
                else:
                    yield letter, value
        except BadOption as error:
            for _ in range(complaints):
                self.say(str(error))
            raise usage from None
        self.arguments = found.rest

    def say(self, words: str) -> None:
        """One line on standard error, behind the name of the command."""
        line = CONTROL.sub("?", f"{self.name}: {words}")
        self.stderr.write(os.fsencode(line) + b"\n")
        self.stderr.flush()

    def warn(self, words: str) -> None:
        """One line on standard error: something is odd, and the command goes on."""
        self.say(f"warning: {words}")

    def place(self, setting: str) -> str:
        """A folder or socket the configuration names. Raises Fatal."""
        try:
            return Places(self.config).of(setting)
        except ConfigError as error:  # all that is wrong, on one line
            raise Fatal(" ".join(str(error).split()), EX_CONFIG) from None

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """The spool, to be read. Raises Fatal when it is not there or may not be read."""
        path = self.place("spool_dir")
        if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
            words = f"You may not read the spool {path}. Run this as the user of the service."
            raise Fatal(words, EX_NOPERM)
        if not os.path.exists(path):
            raise Fatal(f"There is no spool at {path}, so there is no mail.", EX_UNAVAILABLE)
        try:
            spool = Spool.open(path, hostname="", read_only=True)
        except Unusable as error:
            raise Fatal(str(error), EX_UNAVAILABLE) from None
        try:
            yield spool
        except SpoolError as error:
            raise Fatal(f"The spool {path} cannot be read: {error.cause}.") from None
        finally:
            spool.close()


def config_in(place: str) -> str:
    """The configuration file that -c names: Postfix's takes the folder that main.cf is in."""
    return os.path.join(place, "m365gw.toml") if os.path.isdir(place) else place
