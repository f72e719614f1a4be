"""D18: the directory: does it answer, how fast, with which schema; do its secrets open."""

from __future__ import annotations

from typing import Final

from m365gw.config.settings import Settings
from m365gw.directory.database import Database, DirectoryError
from m365gw.directory.migrating import revision_of
from m365gw.directory.vault import Vault, VaultError
from m365gw.doctor.finding import Seen, bad, doubtful, good
from m365gw.doctor.gateway import Gateway
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

SLOW: Final = 1.0  # seconds for all of it


async def look(gateway: Gateway) -> Seen:
    """D18."""
    settings, tools = gateway.settings, gateway.tools
    place = "PostgreSQL" if settings.directory.url else f"state.db of {settings.state_dir}"
    tried = f"reading {place}, and opening what is sealed in it"
    began = tools.reactor.seconds()
    try:
        words = await tools.calls.call(_read_all, settings)
    except (DirectoryError, VaultError) as problem:
        return _bad(tried, problem)
    seconds = tools.reactor.seconds() - began
    came_back = f"{words}, in {seconds * 1000:.0f} ms"
    if seconds > SLOW:
        diagnosis = Diagnosis(
            "directory-slow",
            "The directory answers slowly.",
            "Its disk, or the way to its database, is slow.",
            f"Look at the disk of {settings.state_dir}, or at the database server.",
            "operator",
        )
        return doubtful(tried, came_back, diagnosis)
    return good(tried, came_back)


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


def _read_all(settings: Settings) -> str:
    """The schema, and how many secrets there are; each is opened. Blocking."""
    database = Database.open(settings.directory.url, settings.state_dir)
    try:
        with database.reading() as connection:
            revision = revision_of(connection)
        vault = Vault(database, settings.state_dir)
        names = vault.names()
        for name in names:
            vault.load(name)
    finally:
        database.close()
    return f"schema {revision}, {len(names)} secrets sealed and opened"
