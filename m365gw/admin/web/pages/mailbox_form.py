"""Adding a mailbox and changing one: a form for each flow, with every problem at its field.

Secrets go one way: what was typed is kept sealed, and no page shows it again. A form that was
refused comes back with everything but them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import BY_A_PERSON, FLOWS, Row, path_of
from m365gw.admin.web.pages.mailboxes import found
from m365gw.admin.web.view import Answer, Fields, Page, Redirect, View, page
from m365gw.config.problems import Problem
from m365gw.directory.certificates import new_certificate
from m365gw.directory.orders import AddMailbox, ChangeMailbox
from m365gw.directory.registry import Rejected

CLOUDS: Final = ("worldwide", "gcc-high", "dod", "china")
_ALWAYS: Final = ("tenant", "cloud", "exit", "mx", "fallback")
_TYPED: Final = (  # settings that are text, and whether they are shown again
    ("tenant", True),
    ("client_id", True),
    ("sign_in_as", True),
    ("client_secret", False),
    ("client_secret_expires", True),
    ("federated_token_file", True),
    ("cloud", True),
    ("exit", True),
    ("mx", True),
    ("fallback", True),
)
# Problems of the whole mailbox that are about one field, by a word of theirs.
_ABOUT: Final = {
    "client secret": "client_secret",
    "certificate": "certificate",
    "federated_token_file": "federated_token_file",
    "is there already": "address",
    "fallback": "fallback",
    "cloud": "cloud",
}


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/mailboxes/add", pages.new, role="operator")
    console.post("/mailboxes/add", pages.add)
    console.get("/mailboxes/<address>/change", pages.old, role="operator")
    console.post("/mailboxes/<address>/change", pages.change)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def new(self, view: View) -> Answer:
        flow = view.query.get("flow")
        if flow not in FLOWS:
            return page("mailbox_flows.html", flows=FLOWS)
        return self._form(flow, {"address": view.query.get("address"), "cloud": "worldwide"})

    async def add(self, view: View) -> Answer:
        flow = _flow(view)
        values = {
            "address": view.form.get("address"),
            "flow": flow,
            **{name: said for name, said in _said(view.form, flow).items() if said},
        }
        if flow == "certificate":
            values["certificate"] = await self._proof(view.form, values["address"])
        try:
            await tried(self._desk, AddMailbox(values), view)
        except Rejected as rejected:
            return self._form(flow, _shown(view.form), rejected.problems)
        return _next(values["address"], flow, f"{values['address']} is made.")

    async def old(self, view: View) -> Answer:
        row = await self._own(view)
        return self._form(row["flow"], _texts(row), is_new=False)

    async def change(self, view: View) -> Answer:
        row = await self._own(view)
        flow, address = row["flow"], row["address"]
        values: dict[str, Any] = {
            # What was emptied has its default again; a secret that was not typed stays.
            name: said or None
            for name, said in _said(view.form, flow).items()
            if said or dict(_TYPED)[name]
        }
        if view.form.get("certificate"):
            values["certificate"] = view.form.get("certificate")
        try:
            await tried(self._desk, ChangeMailbox(address, values), view)
        except Rejected as rejected:
            shown = {**_shown(view.form), "address": address}
            return self._form(flow, shown, rejected.problems, is_new=False)
        return Redirect(path_of(address), f"{address} is changed, and is tried now.")

    async def _own(self, view: View) -> Row:
        """The mailbox, where it may be changed here. Raises `Refusal`."""
        row = await found(self._desk, view.names["address"])
        if row["origin"] == "file":
            raise Refusal(
                409,
                f"{row['address']} stands in the configuration file.",
                "What is in the file is changed there, and shown here.",
                "Change it in the file, then: m365gw reload",
            )
        return row

    async def _proof(self, form: Fields, address: str) -> str:
        """Key and certificate: those that were pasted, or new ones; none for a connector, which
        takes those of public authorities only."""
        pasted = form.get("certificate")
        if pasted or form.get("exit") == "connector":
            return pasted
        made: bytes = await self._desk.calls.call(new_certificate, f"m365gw {address}")
        return made.decode("ascii")

    def _form(
        self, flow: str, values: Row, problems: Sequence[Problem] = (), *, is_new: bool = True
    ) -> Page:
        fields = {"address", *_ALWAYS, *FLOWS[flow].fields}
        faults, others = _faults(problems, fields)
        known = [*CLOUDS, *self._desk.settings().cloud]
        return Page(
            "mailbox_form.html",
            {
                "flow": flow,
                "words": FLOWS[flow],
                "values": {"address": "", **{name: "" for name, _ in _TYPED}, **values},
                "faults": dict.fromkeys(fields, "") | faults,
                "is_refused": bool(faults),
                "path": path_of(values["address"]),
                "others": others,
                "clouds": [(name, name) for name in known],
                "is_new": is_new,
            },
            422 if problems else 200,
        )


def _flow(view: View) -> str:
    flow = view.form.get("flow")
    if flow not in FLOWS:
        raise Refusal(400, "There is no such way to sign in.", "", "Choose one of those shown.")
    return flow


def _said(form: Fields, flow: str) -> dict[str, str]:
    """What was typed into the fields this flow has."""
    asked = {*_ALWAYS, *FLOWS[flow].fields}
    return {name: form.get(name) for name, _ in _TYPED if name in asked}


def _shown(form: Fields) -> Row:
    typed = {name: form.get(name) for name, is_shown in _TYPED if is_shown}
    return {"address": form.get("address"), **typed}


def _texts(row: Row) -> Row:
    names = ("address", *(name for name, is_shown in _TYPED if is_shown))
    return {name: row.get(name) or "" for name in names}


def _faults(problems: Sequence[Problem], fields: set[str]) -> tuple[dict[str, str], list[str]]:
    """The words for each field, and for the form as a whole."""
    faults: dict[str, str] = {}
    others: list[str] = []
    for problem in problems:
        words = _words(problem)
        name = problem.place.rpartition("  ")[2]
        if name not in fields:
            name = next((field for word, field in _ABOUT.items() if word in problem.fault), "")
        if name in fields and name not in faults:
            faults[name] = words
        else:
            others.append(words)
    return faults, others


def _words(problem: Problem) -> str:
    """A problem as a sentence. A remedy that is for the configuration file is left out."""
    fault = re.sub(r'^"" ', "What is left empty ", problem.fault)
    is_for_files = re.search(r"\w+_file =|default\.", problem.remedy)
    said = f"{fault[:1].upper()}{fault[1:]}."
    return said if is_for_files or not problem.remedy else f"{said} {problem.remedy}"


def _next(address: str, flow: str, words: str) -> Redirect:
    """Where one goes on with a mailbox that was made."""
    if flow in BY_A_PERSON:
        return Redirect(path_of(address, "/sign-in"), f"{words} Now somebody has to sign in.")
    return Redirect(path_of(address, "/set-up"), f"{words} Now the tenant has to know of it.")
