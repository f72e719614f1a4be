"""D18: the directory: does it answer, how fast, with which schema; do its secrets open.

Of a database on another machine also whether its clock and ours agree: sessions, incidents and the
audit trail of gateways that share it are in one order only then. And whether the running service
works with the entries as they are, or with older ones.
"""

from __future__ import annotations

from time import time as _now
from typing import Final

from attrs import frozen

from m365gw.config.settings import Settings
from m365gw.directory.database import Database, DirectoryError
from m365gw.directory.entries import Entries
from m365gw.directory.migrating import revision_of
from m365gw.directory.vault import Vault, VaultError
from m365gw.doctor.case import Gateway
from m365gw.doctor.finding import Seen, bad, doubtful, good
from m365gw.doctor.tools import Facts
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

SLOW: Final = 1.0  # seconds for all of it
APART: Final = 60.0  # seconds between our clock and that of the database's server

_slow: Final = Diagnosis(
    "directory-slow",
    "The directory answers slowly.",
    "Its disk, or the way to its database, is slow.",
    "Look at the disk of state_dir, or at the database server.",
    "operator",
)
_apart: Final = Diagnosis(
    "directory-clock",
    "The clock of the database's server and that of this machine differ.",
    "Nothing sets one of them. What gateways write there together is then in no order.",
    "Enable NTP on both (timedatectl set-ntp true).",
    "operator",
)
_older: Final = Diagnosis(
    "directory-entries-older",
    "The running service does not work with all entries of the directory.",
    "The database could not be read when it looked last, or some of its entries cannot be used.",
    "m365gw incident list says which; m365gw reload reads them again.",
    "operator",
)


@frozen
class _Read:
    words: str
    revision: int  # of the entries
    off: float | None  # seconds the server's clock is ahead of ours; None: it is ours


async def look(gateway: Gateway) -> Seen:
    """D18."""
    settings, tools = gateway.settings, gateway.tools
    place = "PostgreSQL" if settings.directory.url else f"state.db of {settings.state_dir}"
    tried = f"reading {place}, and opening what is sealed in it"
    began = tools.reactor.seconds()
    try:
        read = await tools.calls.call(_read_all, settings)
    except (DirectoryError, VaultError) as problem:
        return _bad(tried, problem)
    seconds = tools.reactor.seconds() - began
    facts = tools.facts()
    came_back = f"{read.words}, in {seconds * 1000:.0f} ms{_clock(read)}{_lag(read, facts)}"
    doubts = [
        *([_older] if facts.is_running and facts.revision is None else []),
        *([_apart] if read.off is not None and abs(read.off) >= APART else []),
        *([_slow] if seconds > SLOW else []),
    ]
    if doubts:
        fixes = [Remedy(each.why, each.fix, "", "operator", "at once") for each in doubts]
        return doubtful(tried, came_back, doubts[0], *fixes)
    return good(tried, came_back)


def _clock(read: _Read) -> str:
    return "" if read.off is None else f"; its clock is {read.off:+.1f} s from ours"


def _lag(read: _Read, facts: Facts) -> str:
    """How far the service is behind; it looks each five seconds."""
    if not facts.is_running or facts.revision == read.revision:
        return ""
    return f"; revision {read.revision}, of which the service knows {facts.revision or 'none'}"


def _bad(tried: str, problem: Exception) -> Seen:
    key = "vault-failed" if isinstance(problem, VaultError) else "directory-unreachable"
    diagnosis = Diagnosis(
        key,
        "The directory cannot be used.",
        f"{problem}",
        "Put what is named right, or restore a backup (m365gw restore FILE).",
        "operator",
    )
    fix = Remedy(diagnosis.why, diagnosis.fix, "", "operator", "at once")
    return bad(tried, str(problem), diagnosis, fix)


def _read_all(settings: Settings) -> _Read:
    """The schema, and how many secrets there are; each is opened. BLOCKING."""
    database = Database.open(settings.directory.url, settings.state_dir)
    try:
        with database.reading() as connection:
            schema = revision_of(connection)
        vault = Vault(database, settings.state_dir)
        revision = Entries(database, vault).revision()
        there = database.server_time()
        off = None if there is None else there - _now()
        names = vault.names()
        for name in names:
            vault.load(name)
    finally:
        database.close()
    return _Read(f"schema {schema}, {len(names)} secrets sealed and opened", revision, off)
