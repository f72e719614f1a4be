"""Logins as a table, and one login on a page, from what the registry says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from m365gw.cli.accounts.made_in import Row, made_in, made_in_column
from m365gw.cli.words import counted, escaped, short_span

_ROW = "%-24s  %-16s  %-6s  %-19s  %-10s  %-15s  %s"
_HEADS = ("LOGIN", "PASSWORD", "KIND", "EXPIRES", "LAST USE", "FROM", "MADE IN")
_PERMISSIONS = (
    ("Mailbox", "mailbox"),
    ("Senders", "senders"),
    ("Networks", "networks"),
    ("Realms", "realms"),
    ("Default From", "default_from"),
    ("Foreign sender", "foreign_sender"),
    ("Foreign From", "foreign_from"),
    ("Recipients", "recipients"),
    ("Not to", "deny_recipients"),
    ("In an hour", "messages_per_hour"),
    ("In a day", "recipients_per_day"),
)


def lines(found: Sequence[Row], now: float) -> Iterator[str]:
    """A line for each password; `now` in seconds since 1970."""
    if found:
        yield _ROW % _HEADS
    for row in found:
        login, origin = escaped(row["login"]), made_in_column(row)
        for password in row["passwords"]:
            said = _ROW % (
                login,
                escaped(password["label"]) or "-",
                password["kind"],
                _expiry(password),
                _ago(password["last_used"], now),
                password["last_address"] or "-",
                origin,
            )
            yield said.rstrip()
            login = origin = ""
    yield f"{counted(len(found), 'login')}." if found else "No logins."


def page(row: Row, now: float) -> Iterator[str]:
    """All of one login."""
    yield f"Login           {escaped(row['login'])}"
    yield from permissions(row)
    for password in row["passwords"]:
        label = f' "{escaped(password["label"])}"' if password["label"] else ""
        facts = [
            f"made {password['created']}" if password["created"] else "",
            f"good until {_expiry(password)}" if password["expires"] else "",
            f"from {', '.join(password['networks'])} only" if password["networks"] else "",
            f"used {_ago(password['last_used'], now)} from {password['last_address'] or 'a socket'}"
            if password["last_used"]
            else "not used yet",
        ]
        yield f"Password        {password['id']}{label}: {', '.join(filter(None, facts))}"


def permissions(row: Row) -> Iterator[str]:
    """What a rule permits, and where its entry is; what it does not say is left out."""
    for words, key in _PERMISSIONS:
        value = row.get(key)
        if value:
            said = ", ".join(value) if isinstance(value, list) else str(value)
            yield f"{words:<16}{escaped(said)}"
    yield f"{'Made in':<16}{made_in(row)}"


def _expiry(password: Row) -> str:
    return f"{password['expires'] or '-'}{' EXPIRED' if password['is_expired'] else ''}"


def _ago(at: str | None, now: float) -> str:
    return f"{short_span(now - datetime.fromisoformat(at).timestamp())} ago" if at else "-"
