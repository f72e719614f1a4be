"""The directory, opened by a command that works on it itself, with the service running or stopped.

Root works as the user of the service. Ends the command: 69 when the directory cannot be used; 77
for any other user.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from m365gw.cli.directory import as_owner_of
from m365gw.cli.main import Invocation
from m365gw.cli.spool_dir import EX_NOPERM, EX_UNAVAILABLE, end
from m365gw.directory.database import Database, DirectoryError
from m365gw.directory.state_dir import NotOurs


@contextmanager
def opened(invocation: Invocation) -> Iterator[Database]:
    """The database, until the block ends."""
    settings = invocation.settings
    try:
        with (
            as_owner_of(settings.state_dir),
            closing(Database(settings.directory.url, settings.state_dir)) as database,
        ):
            yield database
    except NotOurs as problem:
        end(EX_NOPERM, str(problem))
    except DirectoryError as problem:
        end(EX_UNAVAILABLE, str(problem))


def by() -> str:
    """Who calls the command, as the audit names him."""
    return f"{getpass.getuser()} (uid {os.getuid()})"
