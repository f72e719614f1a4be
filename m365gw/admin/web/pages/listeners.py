"""Listeners: where mail comes in, seen and changed."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import carried_out, tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.set_up import by_field
from m365gw.admin.web.view import Answer, Fields, Page, Redirect, View, page
from m365gw.config.settings import Listener, meanings
from m365gw.directory.orders import AddListener, ChangeListener, RemoveListener
from m365gw.directory.registry import Rejected

LISTS: Final = ("networks", "proxy_from", "quirks", "quirk_networks", "repair")
TLS: Final = (
    ("starttls", "STARTTLS, offered"),
    ("require", "STARTTLS, required before mail"),
    ("implicit", "TLS at once"),
    ("auto", "TLS at once or STARTTLS, as the client begins"),
    ("none", "none"),
)
AUTH: Final = (
    ("require", "required, but for trusted networks"),
    ("offer", "offered"),
    ("off", "off"),
)
_FIELDS: Final = {
    **{rf"  {name}\b": name for name in ("endpoint", "tls", "auth", *LISTS)},
    r"  name\b|is there already|listener \S*$": "name",
}


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Listeners", "/listeners", "listener")
    console.get("/listeners", pages.all)
    console.get("/listeners/add", pages.new, role="operator")
    console.post("/listeners/add", pages.add)
    console.get("/listeners/<name>/change", pages.old, role="operator")
    console.post("/listeners/<name>/change", pages.change)
    console.post("/listeners/<name>/remove", pages.remove)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def all(self, view: View) -> Answer:
        places = {each["listener"]: each["address"] for each in self._desk.status()["listeners"]}
        rows = [
            {
                **row,
                "path": f"/listeners/{quote(row['name'], safe='')}",
                "address": places.get(row["name"], ""),
                "tls_words": dict(TLS).get(row["tls"], row["tls"]),
                "auth_words": dict(AUTH).get(row["auth"], row["auth"]),
            }
            for row in self._desk.registry.listeners()
        ]
        return page("listeners.html", listeners=rows)

    def new(self, view: View) -> Answer:
        return self._form({"tls": "starttls", "auth": "require", "endpoint": "tcp:587"})

    async def add(self, view: View) -> Answer:
        values = {"name": view.form.get("name"), **_said(view.form)}
        try:
            await tried(self._desk, AddListener(values), view)
        except Rejected as rejected:
            return self._form(_texts(values), *by_field(rejected.problems, _FIELDS))
        return Redirect("/listeners", f"{values['name']} takes mail at {values['endpoint']}.")

    def old(self, view: View) -> Answer:
        return self._form(_texts(self._own(view)), is_new=False)

    async def change(self, view: View) -> Answer:
        name, values = self._own(view)["name"], _said(view.form)
        try:
            await tried(self._desk, ChangeListener(name, values), view)
        except Rejected as rejected:
            shown = {**_texts(values), "name": name}
            return self._form(shown, *by_field(rejected.problems, _FIELDS), is_new=False)
        return Redirect("/listeners", f"{name} is changed.")

    async def remove(self, view: View) -> Answer:
        name = self._own(view)["name"]
        await carried_out(self._desk, RemoveListener(name), view)
        return Redirect("/listeners", f"{name} takes no more mail.")

    def _own(self, view: View) -> dict[str, Any]:
        """The listener, where it may be changed here. Raises `Refusal`."""
        for row in self._desk.registry.listeners():
            if row["name"] == view.names["name"]:
                if row["origin"] == "file":
                    where = row["place"] or "the configuration file"
                    raise Refusal(
                        409,
                        f"{row['name']} stands in {where}.",
                        "What is in the file is changed there, and shown here.",
                        "Change it in the file, then reload on the page Settings.",
                    )
                return row
        raise Refusal(404, "There is no such listener.", "", "It may be removed by now.")

    def _form(
        self,
        values: dict[str, str],
        faults: dict[str, str] | None = None,
        others: list[str] | None = None,
        *,
        is_new: bool = True,
    ) -> Page:
        shown = {**dict.fromkeys(("name", "endpoint", *LISTS), ""), **values}
        trusted = [each for each in shown["networks"].split(", ") if each]
        known = {row["cidr"]: row["cidr"] in trusted for row in self._desk.registry.networks()}
        shown["networks"] = ", ".join(each for each in trusted if each not in known)
        return Page(
            "listener_form.html",
            {
                "values": shown,
                "faults": faults or {},
                "others": others or [],
                "is_new": is_new,
                "lists": LISTS,
                "networks": known,
                "meanings": meanings(Listener),
                "tls": TLS,
                "auth": AUTH,
            },
            422 if faults or others else 200,
        )


def _said(form: Fields) -> dict[str, Any]:
    said: dict[str, Any] = {name: form.get(name) for name in ("endpoint", "tls", "auth")}
    for name in LISTS:
        said[name] = [each.strip() for each in form.get(name).split(",") if each.strip()]
    picked = [each for each in form.all("network") if each not in said["networks"]]
    return {**said, "networks": [*picked, *said["networks"]]}


def _texts(values: dict[str, Any]) -> dict[str, str]:
    names = ("name", "endpoint", "tls", "auth")
    texts = {name: str(values[name]) for name in names if name in values}
    return {**texts, **{name: ", ".join(values.get(name, ())) for name in LISTS}}
