"""The set-up's step for the mailbox mail leaves by: which one, and how it signs in."""

from __future__ import annotations

from typing import Any, Final

from m365gw.admin.states_api import Addressed, Pausing
from m365gw.admin.web.changing import caller, tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.set_up import NOBODY, PAUSED, Row, by_field, framed
from m365gw.admin.web.view import Answer, Fields, Page, Redirect, View
from m365gw.config.settings import Mailbox
from m365gw.directory.certificates import new_certificate
from m365gw.directory.orders import AddMailbox, ChangeMailbox
from m365gw.directory.registry import Rejected
from m365gw.microsoft.clouds import PRESETS

# The ways to sign in that the set-up knows, the best one first.
WAYS: Final = {
    "certificate": (
        "By certificate",
        "The gateway signs in by itself, with a key made here. An administrator permits it once;"
        " no person, no password, nothing that ends for two years.",
    ),
    "web": (
        "Somebody signs in, in the browser",
        "Once, at Microsoft, here. For Outlook.com too.",
    ),
    "device": (
        "Somebody signs in with a code",
        "On any device. Many tenants forbid this way.",
    ),
}


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/setup/mailbox", pages.show, role="operator")
    console.post("/setup/mailbox", pages.save)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, view: View) -> Answer:
        known = await self._desk.registry.mailboxes()
        wanted = view.query.get("mailbox").casefold()
        row = next((each for each in known if each["address"].casefold() == wanted), None)
        if row is None and not view.query.get("new"):
            row = next(iter(known), None)
        return await self._page(view, _texts(row) if row else {}, {}, [], row)

    async def save(self, view: View) -> Answer:
        said = view.form
        address, flow = said.get("address"), said.get("flow", "certificate")
        there = _mailbox(self._desk, address)
        values: dict[str, Any] = {
            "flow": flow,
            "tenant": said.get("tenant") or address.rpartition("@")[2],
            "client_id": said.get("client_id") or NOBODY,
            "cloud": said.get("cloud") or "worldwide",
        }
        if flow == "web" and said.get("client_secret"):
            values["client_secret"] = said.get("client_secret")
        elif there is not None and flow != "web":
            values["client_secret"] = None
        if flow == "certificate" and not (there and there.certificate):
            made: bytes = await self._desk.calls.call(new_certificate, f"m365gw {address}")
            values["certificate"] = made.decode("ascii")
        elif there is not None and flow != "certificate":
            values["certificate"] = None
        wanted = (
            ChangeMailbox(address, values)
            if there is not None
            else AddMailbox({"address": address, **_given(values)})
        )
        try:
            await tried(self._desk, wanted, view)
        except Rejected as rejected:
            shown = {**{name: said.get(name) for name in _SHOWN}, "flow": flow}
            return await self._page(view, shown, *by_field(rejected.problems, _FIELDS), None)
        await pause_or_resume(self._desk, view, address, values["client_id"])
        return Redirect(Fields((("mailbox", address),)).url("/setup/tenant"))

    async def _page(
        self,
        view: View,
        values: dict[str, str],
        faults: dict[str, str],
        others: list[str],
        row: Row | None,
    ) -> Page:
        own = list(self._desk.settings().cloud)
        defaults = dict.fromkeys(_SHOWN, "")
        defaults |= {"flow": "certificate", "cloud": own[0] if own else "worldwide"}
        return await framed(
            self._desk,
            view,
            "mailbox",
            "setup_mailbox.html",
            422 if faults or others else 200,
            ways=WAYS,
            values={**defaults, **values},
            faults=faults,
            others=others,
            clouds=[(name, name) for name in (*own, *PRESETS)],
            row=row,
            is_locked=row is not None and row["origin"] == "file",
        )


async def pause_or_resume(desk: Desk, view: View, address: str, client_id: str) -> None:
    """A mailbox whose app has no id yet is not tried: it could only fail, and alarm people."""
    by = caller(view)
    if client_id == NOBODY:
        await desk.states.pause(Pausing(address, PAUSED), by)
        return
    for row in await desk.registry.mailboxes():
        if row["address"].casefold() == address.casefold() and PAUSED in (row.get("why") or ""):
            await desk.states.resume(Addressed(address), by)


_SHOWN: Final = ("address", "flow", "tenant", "client_id", "cloud")
_FIELDS: Final = {
    r"  address|is there already|not an address|mail address": "address",
    r"  tenant|tenant": "tenant",
    r"  client_id": "client_id",
    r"  client_secret|client secret": "client_secret",
    r"  cloud": "cloud",
    r"  flow": "flow",
}


def _mailbox(desk: Desk, address: str) -> Mailbox | None:
    wanted = address.casefold()
    return next((x for x in desk.settings().mailbox if x.address.casefold() == wanted), None)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _texts(row: Row) -> dict[str, str]:
    texts = {name: str(row[name]) for name in _SHOWN}
    return {**texts, "client_id": "" if row["client_id"] == NOBODY else row["client_id"]}
