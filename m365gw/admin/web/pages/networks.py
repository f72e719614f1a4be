"""Networks that may send without a login: what each may, and which listeners trust it.

A network counts only where a listener trusts it: the form asks for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from m365gw.admin.refusal import Refusal
from m365gw.admin.registry_api import refusal_of
from m365gw.admin.web import rule_form
from m365gw.admin.web.changing import carried_out, tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.refused_lately import foreign_networks
from m365gw.admin.web.trust import choices, trust_at, trusted_around, trusting
from m365gw.admin.web.view import Answer, Page, Redirect, View, page
from m365gw.config.problems import Problem
from m365gw.directory.orders import AddNetwork, ChangeNetwork, RemoveNetwork
from m365gw.directory.registry import Rejected

SHOWN: Final = 5  # of those that were refused lately
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
    console.post("/networks/allow", pages.allow)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def all(self, view: View) -> Answer:
        rows = [self._listed(each) for each in self._desk.registry.networks()]
        return page(
            "networks.html",
            rows=rows,
            listeners=self._desk.settings().listener,
            refused=foreign_networks(self._desk)[:SHOWN],
        )

    def new(self, view: View) -> Answer:
        query = view.query
        values = rule_form.empty(senders=query.get("sender"), cidr=query.get("cidr"))
        return self._form(values, listeners=query.all("listener"))

    async def add(self, view: View) -> Answer:
        cidr = view.form.get("cidr")
        said = {name: v for name, v in rule_form.said(view.form).items() if v is not None}
        listeners = view.form.all("listener")
        try:
            await tried(self._desk, AddNetwork({"cidr": cidr, **said}), view)
        except Rejected as rejected:
            shown = rule_form.typed(view.form) | {"cidr": cidr}
            return self._form(shown, rejected.problems, listeners=listeners)
        return await self._trust(view, cidr, listeners)

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
        return await self._trust(view, cidr, view.form.all("listener"))

    async def remove(self, view: View) -> Answer:
        cidr = self._own(view.form.get("cidr"))["cidr"]
        await carried_out(self._desk, RemoveNetwork(cidr), view)
        await self._let_trust(view, cidr, ())
        wider = ", ".join(trusted_around(self._desk, cidr))
        if wider:
            words = f"{cidr} is removed. Its machines may send still, as {wider} does."
            return Redirect("/networks", words, "note")
        return Redirect("/networks", f"{cidr} may send no more without a login.")

    async def allow(self, view: View) -> Answer:
        """The quick way: one more sender, which was refused before."""
        row, sender = self._own(view.form.get("cidr")), view.form.get("sender")
        if sender not in row["senders"]:
            senders = {"senders": [*row["senders"], sender]}
            await carried_out(self._desk, ChangeNetwork(row["cidr"], senders), view)
        return Redirect("/networks", f"{row['cidr']} may send as {sender}.")

    async def _trust(self, view: View, cidr: str, listeners: Sequence[str]) -> Answer:
        """The rule holds; now the listeners, and what came of it."""
        await self._let_trust(view, cidr, listeners)
        trusted_at = trusting(self._desk, cidr)
        if not trusted_at:
            words = f"{cidr} is kept, but no listener trusts it: it may not send."
            return Redirect("/networks", words, "note")
        words = f"{cidr} may send at {', '.join(trusted_at)}, from the next message on."
        return Redirect("/networks", words)

    async def _let_trust(self, view: View, cidr: str, listeners: Sequence[str]) -> None:
        try:
            await trust_at(self._desk, view, cidr, listeners)
        except Rejected as rejected:
            raise refusal_of(rejected) from None

    def _listed(self, row: Row) -> Row:
        return row | {
            "trusting": trusting(self._desk, row["cidr"]),
            "is_locked": row["origin"] == "file",
            "query": quote(row["cidr"], safe=""),
        }

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

    def _form(
        self,
        values: Row,
        problems: Sequence[Problem] = (),
        *,
        is_new: bool = True,
        listeners: Sequence[str] = (),
    ) -> Page:
        faults, others = rule_form.faults(problems, _NAMES)
        return Page(
            "network_form.html",
            {
                "values": values,
                "faults": faults,
                "others": others,
                "mailboxes": rule_form.mailboxes(self._desk),
                "is_new": is_new,
                "listeners": choices(self._desk, values["cidr"], listeners),
            },
            422 if problems else 200,
        )
