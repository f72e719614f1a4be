"""Who may send what: asked in advance, answered by the code that sessions ask."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.pages.clients import path_of
from m365gw.admin.web.view import Answer, View, page
from m365gw.edge.admission.alike import together
from m365gw.edge.admission.inquiry import Inquiry, inquire

_FIELDS = ("from", "to", "header_from", "login", "ip", "listener")


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""

    def show(view: View) -> Answer:
        query = {name: view.query.get(name) for name in _FIELDS}
        settings = desk.settings()
        fault, said = "", None
        if view.query.get("from") or view.query.get("to"):
            try:
                said = _explained(desk, query)
            except ValueError as error:
                fault = f"{str(error)[:1].upper()}{str(error)[1:]}"
        return page(
            "rules.html",
            query=query,
            said=said,
            fault=fault,
            listeners=[("", "all"), *((one.name, one.name) for one in settings.listener)],
            logins=[client.login for client in settings.client[:500]],
        )

    console.section("Rules", "/rules", "rules")
    console.get("/rules", show)


def _explained(desk: Desk, query: dict[str, str]) -> list[dict[str, Any]]:
    """What each listener would do. Raises ValueError, in words."""
    facts = desk.registry.facts()
    if not facts.settings.listener:
        raise Refusal(409, "There is no listener yet.", "", "Make one in the settings.")
    asked = Inquiry(
        sender=query["from"],
        recipients=tuple(each.strip() for each in query["to"].split(",") if each.strip()),
        header_from=query["header_from"] or None,
        login=query["login"],
        ip=query["ip"],
        listener=query["listener"],
    )
    said = inquire(facts.settings, facts.configured, asked)
    return together(one | {"change": _where(one)} for one in said["listeners"])


def _where(said: dict[str, Any]) -> str:
    """The page where its rule is changed, or ""."""
    place = said["place"] or ""
    name = place.partition('"')[2].rpartition('"')[0]
    if said["origin"] != "directory" or not name:
        return ""
    if place.startswith("[[client]]"):
        return path_of(name, "/change")
    return f"/networks/change?cidr={quote(name, safe='')}"
