"""The set-up's step for who may send: a first login, or a first network."""

from __future__ import annotations

from typing import Any, Final

from m365gw.admin.web.changing import tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.pages.passwords import ways_in
from m365gw.admin.web.set_up import Row, by_field, framed
from m365gw.admin.web.view import Answer, Page, Redirect, View
from m365gw.directory.orders import AddClient, AddNetwork, ChangeListener
from m365gw.directory.registry import Rejected


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/setup/senders", pages.show, role="operator")
    console.post("/setup/senders/client", pages.client)
    console.post("/setup/senders/network", pages.network)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, view: View) -> Answer:
        if not self._desk.settings().mailbox:
            return Redirect("/setup/mailbox", "First say by which mailbox mail leaves.", "note")
        return await self._page(view, {}, {}, [])

    async def client(self, view: View) -> Answer:
        """A login; its password is on the page that answers, and nowhere else."""
        said = view.form
        values = {"login": said.get("login"), **self._permissions(view)}
        try:
            made = await tried(self._desk, AddClient(values), view)
        except Rejected as rejected:
            return await self._page(view, _shown(view), *by_field(rejected.problems, _FIELDS))
        return await self._page(view, {}, {}, [], login=made["login"], password=made["password"])

    async def network(self, view: View) -> Answer:
        """A network, also on the listener its machines come to."""
        cidr, listener = view.form.get("cidr"), self._listener(view.form.get("listener"))
        try:
            if cidr not in listener.get("networks", ()) and listener.get("origin") == "directory":
                networks = [*listener["networks"], cidr]
                change = ChangeListener(listener["name"], {"networks": networks})
                await tried(self._desk, change, view)
            values = {"cidr": cidr, **self._permissions(view)}
            await tried(self._desk, AddNetwork(values), view)
        except Rejected as rejected:
            return await self._page(view, _shown(view), *by_field(rejected.problems, _FIELDS))
        where = listener.get("name", "its listener")
        return Redirect("/setup/test", f"{cidr} may send, at {where}.")

    def _permissions(self, view: View) -> dict[str, Any]:
        said = view.form
        senders = [each.strip() for each in said.get("senders").split(",") if each.strip()]
        first = self._desk.settings().mailbox[:1]
        mailbox = said.get("mailbox") or "".join(each.address for each in first)
        return {"senders": senders or [mailbox], "mailbox": mailbox}

    def _listener(self, name: str) -> Row:
        rows = self._desk.registry.listeners()
        return next((row for row in rows if row["name"] == name), rows[0] if rows else {})

    async def _page(
        self,
        view: View,
        values: dict[str, str],
        faults: dict[str, str],
        others: list[str],
        login: str = "",
        password: str = "",
    ) -> Page:
        settings = self._desk.settings()
        first = settings.mailbox[0].address
        rows = self._desk.registry.listeners()
        plain = next((row["name"] for row in rows if row["name"] == "smtp"), "")
        return await framed(
            self._desk,
            view,
            "senders",
            "setup_senders.html",
            422 if faults or others else 200,
            values={
                "login": "printer",
                "cidr": "",
                "senders": first,
                "mailbox": first,
                "listener": plain,
                "kind": "client",
                **values,
            },
            faults=faults,
            others=others,
            mailboxes=[(each.address, each.address) for each in settings.mailbox],
            listeners=[(row["name"], f"{row['name']} ({row['endpoint']})") for row in rows],
            clients=[each.login for each in settings.client],
            networks=[each.cidr for each in settings.network],
            hostname=settings.hostname,
            ways_in=ways_in(settings),
            login=login,
            password=password,
        )


def _shown(view: View) -> dict[str, str]:
    names = ("login", "cidr", "senders", "mailbox", "listener")
    kind = "network" if view.path.endswith("network") else "client"
    said = {name: view.form.get(name) for name in names if view.form.get(name)}
    return {**said, "kind": kind}


_FIELDS: Final = {
    r"  senders": "senders",
    r"  mailbox": "mailbox",
    r"  networks|  cidr|network": "cidr",
    r"  login|is there already|client": "login",
}
