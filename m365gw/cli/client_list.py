"""The logins with their passwords, as plain values and as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from m365gw.cli.words import counted, escaped, short_span
from m365gw.config.logins import Password
from m365gw.config.settings import Client
from m365gw.directory.last_use import LastUse
from m365gw.directory.passwords import is_slow

Row = dict[str, Any]

_ROW = "%-24s  %-16s  %-6s  %-19s  %-10s  %s"
_HEADS = ("LOGIN", "PASSWORD", "KIND", "EXPIRES", "LAST USE", "FROM")


def rows(clients: Iterable[Client], uses: LastUse, today: date) -> Iterator[Row]:
    """Each login, with no hash in it; days are ISO 8601, times too and in UTC."""
    for client in clients:
        first = [Password(hash=client.password_hash)] if client.password_hash else []
        yield {
            "login": client.login,
            "mailbox": client.mailbox,
            "senders": list(client.senders),
            "networks": list(client.networks),
            "realms": list(client.realms),
            "passwords": [
                _password(client.login, each, uses, today) for each in (*first, *client.password)
            ],
        }


def lines(found: Sequence[Row], now: float) -> Iterator[str]:
    """The same as a table: a line for each password."""
    if found:
        yield _ROW % _HEADS
    for row in found:
        login = escaped(row["login"])
        for password in row["passwords"]:
            said = _ROW % (
                login,
                escaped(password["label"]) or "-",
                password["kind"],
                _expiry(password),
                _ago(password["last_used"], now),
                password["last_address"] or "-",
            )
            yield said.rstrip()
            login = ""
    yield f"{counted(len(found), 'login')}." if found else "No logins."


def _password(login: str, password: Password, uses: LastUse, today: date) -> Row:
    use = uses.of(login, password.hash)
    return {
        "label": password.label,
        "kind": "chosen" if is_slow(password.hash) else "made",
        "created": str(password.created) if password.created else None,
        "expires": str(password.expires) if password.expires else None,
        "is_expired": password.expires is not None and today > password.expires,
        "networks": list(password.networks),
        "last_used": datetime.fromtimestamp(use.at, UTC).isoformat("T", "seconds") if use else None,
        "last_address": use.address if use else None,
    }


def _expiry(password: Row) -> str:
    return f"{password['expires'] or '-'}{' EXPIRED' if password['is_expired'] else ''}"


def _ago(at: str | None, now: float) -> str:
    return f"{short_span(now - datetime.fromisoformat(at).timestamp())} ago" if at else "-"
