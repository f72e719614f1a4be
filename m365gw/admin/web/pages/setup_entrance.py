"""The set-up's step for the name of the gateway, the ports mail comes in by, and their TLS.

All of it is one order: it is checked whole, ports too, and taken whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from m365gw.admin.web.changing import tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.set_up import Row, by_field, framed
from m365gw.admin.web.view import Answer, Fields, Page, Redirect, View
from m365gw.directory.orders import SetSettings
from m365gw.directory.registry import Rejected

_TLS: Final = ("tls.certificate", "tls.key")
_OWN: Final = ("origin", "place", "made_at", "made_by", "changed_at", "changed_by")


@frozen
class Preset:
    """A listener as it is usual: `values` are its settings beside name and endpoint."""

    name: str
    title: str
    port: int
    meaning: str
    values: Mapping[str, str]


PRESETS: Final = (
    Preset(
        "submission",
        "Submission",
        587,
        "Programs and devices that log in, with STARTTLS. Take this one if you know no better.",
        {"tls": "starttls", "auth": "require"},
    ),
    Preset(
        "smtps",
        "Submission with TLS at once",
        465,
        "The same for those that begin with TLS.",
        {"tls": "implicit", "auth": "require"},
    ),
    Preset(
        "smtp",
        "SMTP",
        25,
        "Printers and servers that cannot log in: by their address, as you say in a later step.",
        {"tls": "starttls", "auth": "require"},
    ),
)


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/setup/entrance", pages.show, role="operator")
    console.post("/setup/entrance", pages.save)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, view: View) -> Answer:
        settings = self._settings()
        made = {row["name"]: row for row in self._desk.registry.listeners()}
        values = {key: str(settings[key]["value"]) for key in ("hostname", *_TLS)}
        values["hostname"] = self._desk.settings().hostname
        for preset in PRESETS:
            row = made.get(preset.name)
            is_on = row is not None or (not made and preset.name == "submission")
            values[f"on.{preset.name}"] = "yes" if is_on else ""
            values[f"port.{preset.name}"] = _port(row["endpoint"]) if row else str(preset.port)
        return await self._page(view, values, {}, [])

    async def save(self, view: View) -> Answer:
        said, settings = view.form, self._settings()
        values: dict[str, str | None] = {}
        if settings["hostname"]["origin"] != "file":
            values["hostname"] = said.get("hostname") or None
        if all(settings[key]["origin"] != "file" for key in _TLS):
            is_own = said.get("tls") == "own"
            values |= {key: (said.get(key) or None) if is_own else None for key in _TLS}
        wanted, is_own = SetSettings(values, tuple(self._listeners(said))), said.get("tls") == "own"
        missing = {key: "Name the file." for key in _TLS if is_own and not said.get(key)}
        if not (wanted.listeners or self._desk.settings().listener):
            missing["ports"] = "Choose one at least: without a port no mail comes in."
        if missing:
            return await self._page(view, _shown(said), missing, [])
        try:
            await tried(self._desk, wanted, view)
        except Rejected as rejected:
            return await self._page(view, _shown(said), *by_field(rejected.problems, _FIELDS))
        return Redirect("/setup/mailbox", "The gateway listens.")

    def _listeners(self, said: Fields) -> list[dict[str, Any]]:
        """Those that were chosen, and those made beside that the set-up knows nothing of."""
        rows = self._desk.registry.listeners()
        known = {row["name"]: row for row in rows if row["origin"] != "file"}
        locked = {row["name"] for row in rows} - known.keys()
        names = {preset.name for preset in PRESETS}
        wanted = [_values(row) for name, row in known.items() if name not in names]
        for preset in PRESETS:
            if preset.name in locked or not said.get(f"on.{preset.name}"):
                continue
            before = _values(known[preset.name]) if preset.name in known else dict(preset.values)
            endpoint = _endpoint(said.get(f"port.{preset.name}", str(preset.port)))
            wanted.append({**before, "name": preset.name, "endpoint": endpoint})
        return wanted

    def _settings(self) -> dict[str, Row]:
        return {row["key"]: row for row in self._desk.registry.single_settings()}

    async def _page(
        self, view: View, values: Mapping[str, str], faults: dict[str, str], others: list[str]
    ) -> Page:
        settings = self._settings()
        rows = self._desk.registry.listeners()
        return await framed(
            self._desk,
            view,
            "entrance",
            "setup_entrance.html",
            422 if faults or others else 200,
            presets=PRESETS,
            values={**_EMPTY, **values},
            is_own=values.get("tls", "own" if values.get("tls.certificate") else "") == "own",
            faults=faults,
            others=others,
            locked={row["name"]: row for row in rows if row["origin"] == "file"},
            settings=settings,
        )


# Where a problem is shown: by its place and its words.
_FIELDS: Final = {
    r"setting hostname|^hostname": "hostname",
    r"setting tls\.key": "tls.key",
    r"setting tls|tls\.certificate": "tls.certificate",
    **{rf"listener {each.name}\b(?! and)": f"port.{each.name}" for each in PRESETS},
}


_EMPTY: Final = {
    **dict.fromkeys(("hostname", *_TLS), ""),
    **{f"on.{each.name}": "" for each in PRESETS},
    **{f"port.{each.name}": str(each.port) for each in PRESETS},
}


def _values(row: Row) -> dict[str, Any]:
    """What a listener is made of."""
    return {key: value for key, value in row.items() if key not in _OWN}


def _endpoint(said: str) -> str:
    """A port alone is one of every address; else a whole endpoint was typed."""
    return f"tcp:{said}" if re.fullmatch(r"[0-9]{1,5}", said) else said


def _port(endpoint: str) -> str:
    return endpoint.removeprefix("tcp:") if re.fullmatch(r"tcp:[0-9]+", endpoint) else endpoint


def _shown(said: Fields) -> dict[str, str]:
    return {name: value for name, value in said.pairs if name != "token"}
