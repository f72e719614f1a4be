"""SMTP logins: who may send, as whom, and when each of their passwords was last used."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import carried_out
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.refused_lately import foreign_logins
from m365gw.admin.web.view import Answer, Redirect, View, page
from m365gw.directory.orders import ChangeClient, RemoveClient
from m365gw.log_tail import Entry, Filter
from m365gw.words import counted

SHOWN: Final = 200  # logins on one page; a search finds the others
LATELY: Final = 15  # lines of the log

# What the log calls what a login does; the rest is told in the words of the log.
TITLES: Final = {
    "message.queued": "Message accepted",
    "message.refused": "Message refused",
    "message.cut-off": "Message cut off",
    "login.failed": "Login failed",
    "login.refused": "Login refused",
    "command.refused": "Command refused",
    "client.refused": "Sent away",
}
Row = dict[str, Any]


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Clients", "/clients", "client")
    console.get("/clients", pages.all)
    console.get("/clients/<path:login>", pages.one)
    console.post("/clients/<path:login>/remove", pages.remove)
    console.post("/clients/<path:login>/allow", pages.allow)


def path_of(login: str, more: str = "") -> str:
    """The page of a login."""
    return f"/clients/{quote(login, safe='')}{more}"


def found(desk: Desk, login: str) -> Row:
    """The login of this name. Raises `Refusal`."""
    row = next((each for each in desk.registry.clients() if each["login"] == login), None)
    if row is None:
        raise Refusal(404, f"There is no login {login}.", "", "It may have been removed.")
    return row


def own(desk: Desk, login: str) -> Row:
    """The same, where it may be changed here. Raises `Refusal`."""
    row = found(desk, login)
    if row["origin"] == "file":
        raise Refusal(
            409,
            f"{login} stands in the configuration file.",
            "What is in the file is changed there, and shown here.",
            "Change it in the file, then: m365gw reload",
        )
    return row


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def all(self, view: View) -> Answer:
        wanted = view.query.get("q").casefold()
        rows = [each for each in self._desk.registry.clients() if _fits(each, wanted)]
        logins = {each["login"] for each in rows}
        refused = [each for each in foreign_logins(self._desk) if each.login in logins]
        return page(
            "clients.html",
            rows=[_listed(each) for each in rows[:SHOWN]],
            more=max(0, len(rows) - SHOWN),
            refused=refused[:5],
            query=view.query.get("q"),
        )

    def one(self, view: View) -> Answer:
        desk, row = self._desk, found(self._desk, view.names["login"])
        login = row["login"]
        refused = [each for each in foreign_logins(desk) if each.login == login]
        return page(
            "client.html",
            row=_listed(row),
            path=path_of(login),
            refused=refused,
            lately=[_told(each) for each in reversed(desk.tail.last(Filter(client=login), LATELY))],
            listeners=[one for one in desk.settings().listener if one.auth != "off"],
            hostname=desk.settings().hostname,
        )

    async def remove(self, view: View) -> Answer:
        row = own(self._desk, view.names["login"])
        await carried_out(self._desk, RemoveClient(row["login"]), view)
        return Redirect("/clients", f"{row['login']} may log in no more.")

    async def allow(self, view: View) -> Answer:
        """The quick way: one more sender, which was refused before."""
        row, sender = own(self._desk, view.names["login"]), view.form.get("sender")
        if sender not in row["senders"]:
            senders = [*row["senders"], sender]
            await carried_out(self._desk, ChangeClient(row["login"], {"senders": senders}), view)
        return Redirect(path_of(row["login"]), f"{row['login']} may send as {sender}.")


def _fits(row: Row, wanted: str) -> bool:
    said = (row["login"], row["mailbox"], *row["senders"])
    return not wanted or any(wanted in each.casefold() for each in said)


def _told(entry: Entry) -> Row:
    """A line of the log; where it has a reply, that is what the client heard."""
    return {
        "at": entry.at,
        "title": TITLES.get(entry.event, entry.event),
        "tone": {"warn": "warn", "error": "bad"}.get(entry.level, ""),
        "queue_id": entry.queue_id if len(entry.queue_id) == 13 else "",
        "words": entry.note or entry.words,
    }


def _listed(row: Row) -> Row:
    passwords = row["passwords"]
    used = [each for each in passwords if each["last_used"]]
    last = max(used, key=lambda each: str(each["last_used"]), default=None)
    expired = sum(each["is_expired"] for each in passwords)
    return row | {
        "path": path_of(row["login"]),
        "last": last,
        "is_locked": row["origin"] == "file",
        "trouble": "no password is good" if expired == len(passwords) else "",
        "count": counted(len(passwords), "password"),
    }
