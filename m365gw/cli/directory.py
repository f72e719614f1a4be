"""The directory as commands use it, without the service: its database, its vault, its key.

Only the owner of state_dir may, or root, who works as that user: files that another one made there
the service could not read. What keeps a command from its work ends it with words and 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
from attrs import frozen

from m365gw.cli.owner import as_owner
from m365gw.config.settings import Settings
from m365gw.directory.backup import BackupError
from m365gw.directory.database import Database, DirectoryError
from m365gw.directory.passphrase import NotOpened
from m365gw.directory.state_dir import NotOurs, claim
from m365gw.directory.vault import Vault, VaultError


@frozen
class Directory:
    """The database and the vault of a gateway."""

    database: Database
    vault: Vault


@contextmanager
def directory(settings: Settings) -> Iterator[Directory]:
    """The directory of these settings; what goes wrong inside ends the command."""
    with told(), as_owner_of(settings.state_dir):
        database = Database(settings.directory.url, settings.state_dir)
        try:
            yield Directory(database, Vault(database, settings.state_dir))
        finally:
            database.close()


@contextmanager
def as_owner_of(state_dir: str) -> Iterator[None]:
    """What root makes inside belongs to the user of the service. Raises `NotOurs`."""
    with as_owner(there(state_dir)):
        claim(state_dir)
        yield


def there(state_dir: str) -> str:
    """The folder, or while it is not there the nearest around it: whose that is, it will be."""
    return next(filter(os.path.exists, (state_dir, *map(str, Path(state_dir).parents))))


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong inside with files, database or keys ends the command with 1."""
    try:
        yield
    except (BackupError, DirectoryError, NotOpened, NotOurs, VaultError) as problem:
        end(str(problem))
    except OSError as problem:
        end(f"{problem.filename or 'The file'}: {problem.strerror}")


def end(words: str) -> NoReturn:
    """End the command with 1, saying why."""
    click.echo(words, err=True)
    raise click.exceptions.Exit(1)
