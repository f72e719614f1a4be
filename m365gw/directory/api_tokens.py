"""Tokens of the API: by which programs ask and change things, without a person.

A token is 256 random bits, shown once when it is made. What is kept is a digest, by which nobody
can ask anything: so much chance needs no slow hash. One that has ended, or was removed, is good for
nothing within seconds. Every token made or removed has its line in `audit`.

Calls block. Failures: `DirectoryError`; `TokenExists` and `NoSuchToken`, in words.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from typing import Any, Final, cast

from attrs import frozen
from sqlalchemy import delete, insert, select, update

from m365gw.directory import audit, schema
from m365gw.directory.database import Database
from m365gw.directory.operators import Role

PREFIX: Final = "m365gw_"  # by which people, and programs that look for lost secrets, know one
NAME: Final = re.compile(
    r"[^\x00-\x20\x7f<>\"'&]{1,128}"
)  # letters, figures and the like; no space

_TOKEN: Final = re.compile(PREFIX + r"[0-9A-Za-z_-]{43}")


class NoSuchToken(Exception):
    """No token has this name. The text says so."""


class TokenExists(Exception):
    """A token has this name already. The text says so."""


@frozen
class ApiToken:
    """What is known of a token. Times are in seconds since 1970."""

    name: str
    role: Role
    made_at: float
    made_by: str
    ends_at: float | None = None  # None: when it is removed
    last_at: float = 0.0  # when it was last used; 0: never
    last_address: str = ""  # from where


class ApiTokens:
    """The tokens that programs use the API with. Blocking; raises `DirectoryError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[ApiToken]:
        """Every token, by name."""
        table = schema.api_tokens
        with self._database.reading() as connection:
            return [_known(row) for row in connection.execute(select(table).order_by("name"))]

    def add(self, name: str, role: Role, by: str, ends_at: float | None = None) -> str:
        """A new token, which nobody can be shown again. Raises `TokenExists`."""
        table, token = schema.api_tokens, PREFIX + secrets.token_urlsafe(32)
        with self._database.writing() as connection:
            if connection.execute(select(table.c.name).where(table.c.name == name)).first():
                raise TokenExists(f"There is a token {name} already.")
            connection.execute(
                insert(table).values(
                    name=name,
                    digest=digest_of(token),
                    role=role,
                    made_at=time.time(),
                    made_by=by,
                    ends_at=ends_at,
                    last_at=0.0,
                    last_address="",
                )
            )
            audit.note(connection, by, "token.added", name, {"role": role, "ends_at": ends_at})
        return token

    def remove(self, name: str, by: str) -> None:
        """It is good for nothing any more. Raises `NoSuchToken`."""
        table = schema.api_tokens
        with self._database.writing() as connection:
            if not connection.execute(delete(table).where(table.c.name == name)).rowcount:
                raise NoSuchToken(f"There is no token {name}. m365gw token list shows all.")
            audit.note(connection, by, "token.removed", name, {})

    def find(self, digest: str) -> ApiToken | None:
        """The token of this digest, ended or not; None when there is none."""
        table = schema.api_tokens
        with self._database.reading() as connection:
            row: Any = connection.execute(select(table).where(table.c.digest == digest)).first()
        return None if row is None else _known(row)

    def used(self, name: str, address: str, at: float) -> None:
        """Note when it was last used, and from where."""
        table = schema.api_tokens
        with self._database.writing() as connection:
            connection.execute(
                update(table).where(table.c.name == name).values(last_at=at, last_address=address)
            )


def digest_of(token: str) -> str:
    """What the directory knows a token by."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_token(text: str) -> bool:
    """Whether a text may be a token."""
    return _TOKEN.fullmatch(text) is not None


def _known(row: Any) -> ApiToken:
    return ApiToken(
        row.name,
        cast(Role, row.role),
        row.made_at,
        row.made_by,
        row.ends_at,
        row.last_at,
        row.last_address,
    )
