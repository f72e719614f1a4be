"""Incidents while no service runs: those of the database.

Ends a command with 69 when the database cannot be read, 77 when this user may not.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

from m365gw.cli.main import Invocation
from m365gw.cli.spool_dir import EX_NOPERM, EX_UNAVAILABLE, end
from m365gw.directory.database import Database, DirectoryError
from m365gw.directory.incident_book import IncidentBook
from m365gw.directory.state_dir import NotOurs, claim

T = TypeVar("T")


def answered(invocation: Invocation, question: Callable[[IncidentBook], T]) -> T:
    """What the book of incidents in the database answers."""
    settings = invocation.settings
    try:
        claim(settings.state_dir)
        database = Database.open(settings.directory.url, settings.state_dir)
        return question(IncidentBook(database, settings.hostname or socket.getfqdn()))
    except NotOurs as problem:
        end(EX_NOPERM, str(problem))
    except DirectoryError as error:
        end(EX_UNAVAILABLE, str(error))
