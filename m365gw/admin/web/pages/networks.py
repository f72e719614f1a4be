"""Networks that may send without a login: what each may, and which listeners trust it.

A network counts only where a listener trusts it; a network that none does is said to be idle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from m365gw.admin.refusal import Refusal
from m365gw.admin.web import rule_form
from m365gw.admin.web.changing import carried_out, tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Answer, Page, Redirect, View, page
from m365gw.config.problems import Problem
from m365gw.config.settings import Listener
from m365gw.directory.orders import AddNetwork, ChangeNetwork, RemoveNetwork
from m365gw.directory.registry import Rejected
from m365gw.edge.admission.admission import ip_network, trusts

_NAMES: Final = ("cidr", *rule_form.TEXTS, *rule_form.LISTS, *rule_form.NUMBERS)

Row = dict[str, Any]


def add(console: Console, desk: Desk) -> None:
    """Put the pages in. The network is in the query: it has a slash."""
    pages = _Pages(desk)
    console.section("Networks", "/networks", "network")
    console.get("/networks", pages.all)
    console.get("/networks/add", pages.new, role="operator")
    console.post("/networks/add", pages.add)
    console.get("/networks/change", pages.old, role="operator")
    console.post("/networks/change", pages.change)
    console.post("/networks/remove", pages.remove)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def all(self, view: View) -> Answer:
        listeners = self._desk.settings().listener
        rows = [_listed(each, listeners) for each in self._desk.registry.networks()]
        return page("networks.html", rows=rows, listeners=listeners)

    def new(self, view: View) -> Answer:
        return self._form(rule_form.empty() | {"cidr": view.query.get("cidr")})

    async def add(self, view: View) -> Answer:
        cidr = view.form.get("cidr")
        said = {name: v for name, v in rule_form.said(view.form).items() if v is not None}
        try:
            await tried(self._desk, AddNetwork({"cidr": cidr, **said}), view)
        except Rejected as rejected:
            return self._form(rule_form.typed(view.form) | {"cidr": cidr}, rejected.problems)
        trusting = _trusting(cidr, self._desk.settings().listener)
        if not trusting:
            words = f"{cidr} is kept, but no listener trusts it yet: it may not send."
            return Redirect("/networks", words, "note")
        return Redirect("/networks", f"{cidr} may send at {', '.join(trusting)}.")

    def old(self, view: View) -> Answer:
        row = self._own(view.query.get("cidr"))
        return self._form(rule_form.known(row) | {"cidr": row["cidr"]}, is_new=False)

    async def change(self, view: View) -> Answer:
        cidr = self._own(view.form.get("cidr"))["cidr"]
        try:
            await tried(self._desk, ChangeNetwork(cidr, rule_form.said(view.form)), view)
        except Rejected as rejected:
            shown = rule_form.typed(view.form) | {"cidr": cidr}
            return self._form(shown, rejected.problems, is_new=False)
        return Redirect("/networks", f"{cidr} is changed; it holds from the next message on.")

    async def remove(self, view: View) -> Answer:
        cidr = self._own(view.form.get("cidr"))["cidr"]
        await carried_out(self._desk, RemoveNetwork(cidr), view)
        return Redirect("/networks", f"{cidr} may send no more without a login.")

    def _own(self, cidr: str) -> Row:
        rows = self._desk.registry.networks()
        row = next((each for each in rows if each["cidr"] == cidr), None)
        if row is None:
            raise Refusal(404, f"There is no network {cidr}.", "", "It may have been removed.")
        if row["origin"] == "file":
            raise Refusal(
                409,
                f"{cidr} stands in the configuration file.",
                "What is in the file is changed there, and shown here.",
                "Change it in the file, then: m365gw reload",
            )
        return row

    def _form(self, values: Row, problems: Sequence[Problem] = (), *, is_new: bool = True) -> Page:
        faults, others = rule_form.faults(problems, _NAMES)
        return Page(
            "network_form.html",
            {
                "values": values,
                "faults": faults,
                "others": others,
                "mailboxes": rule_form.mailboxes(self._desk),
                "is_new": is_new,
            },
            422 if problems else 200,
        )


def _listed(row: Row, listeners: Sequence[Listener]) -> Row:
    return row | {
        "trusting": _trusting(row["cidr"], listeners),
        "is_locked": row["origin"] == "file",
        "query": quote(row["cidr"], safe=""),
    }


def _trusting(cidr: str, listeners: Sequence[Listener]) -> list[str]:
    """The listeners that trust it, or a network around it."""
    try:
        network = ip_network(cidr)
    except ValueError:
        return []
    return [each.name for each in listeners if trusts(each.networks, network)]
