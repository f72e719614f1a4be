"""Operators: who may sign in to the console, and whether he may change anything or only look.

Passwords are kept as argon2id hashes. A new password, another role, or the end of an operator ends
his sessions in the same transaction. Every change has its line in `audit`.

Calls block. Failures: `DirectoryError`; `NoSuchOperator` and `OperatorExists`, in words.
"""

from __future__ import annotations

import re
import time
from typing import Any, Literal, cast

from attrs import field, frozen
from sqlalchemy import Connection, delete, insert, select, update

from m365gw.directory import audit, schema
from m365gw.directory.database import Database

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = ("operator", "viewer")
SHORTEST = 10  # characters of a password that somebody chose
LOGIN = re.compile(r"[^\x00-\x20\x7f<>\"'&]{1,128}")  # letters, figures, @ and the like; no space


class NoSuchOperator(Exception):
    """Nobody has this login. The text says so."""


class OperatorExists(Exception):
    """Somebody has this login already. The text says so."""


@frozen
class Operator:
    """Somebody who may sign in. Times are in seconds since 1970."""

    login: str
    password_hash: str = field(repr=False)
    role: Role = "operator"
    made_at: float = 0.0
    last_at: float = 0.0  # of the last sign-in; 0: none yet
    last_address: str = ""  # where it came from


class Operators:
    """Those who may sign in to the console. Blocking; raises `DirectoryError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Operator]:
        """Everybody, by login."""
        table = schema.operators
        with self._database.reading() as connection:
            return [_operator(row) for row in connection.execute(select(table).order_by("login"))]

    def add(self, login: str, password_hash: str, role: Role, by: str) -> None:
        """A new one. Raises `OperatorExists`."""
        table, now = schema.operators, time.time()
        with self._database.writing() as connection:
            if connection.execute(select(table).where(table.c.login == login)).first():
                raise OperatorExists(f"There is an operator {login} already.")
            values = {"login": login, "password_hash": password_hash, "role": role}
            connection.execute(
                insert(table).values(**values, made_at=now, last_at=0.0, last_address="")
            )
            audit.note(connection, by, "operator.added", login, {"role": role})

    def set_password(self, login: str, password_hash: str, by: str) -> None:
        """Another password; who is signed in by the old one is signed out. `NoSuchOperator`."""
        self._change(login, {"password_hash": password_hash}, by, "operator.password-set", {})

    def set_role(self, login: str, role: Role, by: str) -> None:
        """Another role, from his next sign-in on. Raises `NoSuchOperator`."""
        self._change(login, {"role": role}, by, "operator.role-set", {"role": role})

    def remove(self, login: str, by: str) -> None:
        """He may not sign in any more, and is signed out. Raises `NoSuchOperator`."""
        table = schema.operators
        with self._database.writing() as connection:
            if not connection.execute(delete(table).where(table.c.login == login)).rowcount:
                raise _nobody(login)
            _end_sessions(connection, login)
            audit.note(connection, by, "operator.removed", login, {})

    def signed_in(self, login: str, address: str, at: float) -> None:
        """Note a sign-in."""
        table = schema.operators
        with self._database.writing() as connection:
            connection.execute(
                update(table).where(table.c.login == login).values(last_at=at, last_address=address)
            )

    def _change(
        self, login: str, values: dict[str, Any], by: str, action: str, detail: dict[str, Any]
    ) -> None:
        table = schema.operators
        with self._database.writing() as connection:
            changed = connection.execute(
                update(table).where(table.c.login == login).values(**values)
            )
            if not changed.rowcount:
                raise _nobody(login)
            _end_sessions(connection, login)
            audit.note(connection, by, action, login, detail)


def _end_sessions(connection: Connection, login: str) -> None:
    table = schema.web_sessions
    connection.execute(delete(table).where(table.c.login == login))


def _operator(row: Any) -> Operator:
    return Operator(
        row.login,
        row.password_hash,
        cast(Role, row.role),
        row.made_at,
        row.last_at,
        row.last_address,
    )


def _nobody(login: str) -> NoSuchOperator:
    return NoSuchOperator(f"There is no operator {login}. m365gw operator list shows all.")
