"""Single settings: each value, where it was said, and another one where that is the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Answer, Page, Redirect, View
from m365gw.config.fields import Octets, Seconds, meaning_of
from m365gw.config.settable import places_of, settable
from m365gw.config.settings import Settings
from m365gw.config.units import duration_text, size_text
from m365gw.directory.orders import SetSettings
from m365gw.directory.registry import Rejected

# Said where the service is started, and nowhere else.
ELSEWHERE: Final = (
    "state_dir",
    "spool_dir",
    "maildrop_dir",
    "control_socket",
    "control_socket_mode",
)
TITLES: Final = {
    "": "The gateway",
    "tls": "TLS",
    "queue": "Queue",
    "limits": "Limits",
    "logins": "Logins",
    "governor": "Microsoft's limits",
    "log": "Log",
    "alerts": "Alerts",
}
TABS: Final = (
    ("said", "Not the default"),
    *((name or "hostname", title) for name, title in TITLES.items()),
    ("start", "Paths and console"),
)
Row = dict[str, Any]


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Settings", "/settings", "settings")
    console.get("/settings", pages.show)
    console.post("/settings/set", pages.set)
    console.post("/settings/unset", pages.unset)
    console.post("/settings/reload", pages.reload)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show(self, view: View) -> Answer:
        return self._page(view)

    async def set(self, view: View) -> Answer:
        key, value = view.form.get("key"), view.form.get("value")
        try:
            await tried(self._desk, SetSettings({key: value}), view)
        except Rejected as rejected:
            words = " ".join(f"{each.fault}. {each.remedy}".strip() for each in rejected.problems)
            return self._page(view, key, value, words)
        return Redirect(_path(view), f"{key} is {value or 'empty'}.")

    async def unset(self, view: View) -> Answer:
        key = view.form.get("key")
        try:
            await tried(self._desk, SetSettings({key: None}), view)
        except Rejected as rejected:
            return self._page(view, key, "", rejected.problems[0].fault)
        return Redirect(_path(view), f"{key} has its default again.")

    async def reload(self, view: View) -> Answer:
        """Read the file anew; what is wrong with it is shown, and nothing changes then."""
        try:
            said = await self._desk.reload()
        except Refusal as refusal:
            if "problems" not in refusal.more:
                raise
            return self._page(view, refusal=refusal)
        words = "; ".join(said["changed"]) or "nothing has changed"
        waits = ", ".join(said["needs_restart"])
        return Redirect(
            _path(view),
            f"Read anew: {words}." + (f" Only with a restart: {waits}." if waits else ""),
        )

    def _page(
        self,
        view: View,
        key: str = "",
        value: str = "",
        fault: str = "",
        refusal: Refusal | None = None,
    ) -> Page:
        wanted = view.query.get("q").lower()
        rows = [shown(row) for row in self._desk.registry.single_settings()]
        for row in rows:
            if row["key"] == key:
                row |= {"typed": value, "fault": fault}
        found = [row for row in rows if wanted in f"{row['key']} {row['meaning']}".lower()]
        tab = view.query.get("tab", "said")
        if not wanted and tab != "start":
            found = [row for row in found if _is_in(row, tab) or row["key"] == key]
        tables: dict[str, list[Row]] = {}
        for row in found if wanted or tab != "start" else ():
            tables.setdefault(row["key"].rpartition(".")[0], []).append(row)
        return Page(
            "settings.html",
            {
                "tables": [(TITLES.get(name, name), each) for name, each in tables.items()],
                "elsewhere": _elsewhere(self._desk.settings())
                if tab == "start" and not wanted
                else [],
                "tabs": TABS,
                "tab": "" if wanted else tab,
                "wanted": view.query.get("q"),
                "count": len(found),
                "refusal": refusal,
            },
            422 if fault or refusal else 200,
        )


def _is_in(row: Row, tab: str) -> bool:
    """Whether a setting stands on a tab."""
    if tab == "said":
        return bool(row["origin"] != "default")
    return bool((row["key"].rpartition(".")[0] or "hostname") == tab)


def shown(row: Row) -> Row:
    """A setting of the registry with its value and its default as people write them."""
    text = _spelling(row["key"])
    value = row["made"] if row["origin"] == "directory" else text(row["value"])
    return {
        **row,
        "text": value,
        "default_text": text(row["default"]),
        "typed": value,
        "fault": "",
        "name": row["key"].rpartition(".")[2],
    }


def _spelling(key: str) -> Callable[[Any], str]:
    """How its values are written, by its kind, which attrs keeps as a name or resolved."""
    kind = settable()[key].type
    if kind in ("Seconds", Seconds):
        return duration_text
    return size_text if kind in ("Octets", Octets) else text_of


def text_of(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _elsewhere(settings: Settings) -> list[Row]:
    """What is said in the file and the environment alone; no secret is among it."""
    places, rows = places_of(settings), []
    kinds = attrs.fields_dict(Settings)
    for name in ELSEWHERE:
        told = meaning_of(kinds[name])
        rows.append(_row(name, getattr(settings, name), told, places.get(name, "")))
    for attribute in attrs.fields(type(settings.web)):
        key, value = f"web.{attribute.name}", getattr(settings.web, attribute.name)
        rows.append(_row(key, value, meaning_of(attribute), places.get(key, "")))
    return rows


def _row(key: str, value: Any, meaning: str, place: str) -> Row:
    return {"key": key, "text": text_of(value), "meaning": meaning, "place": place}


def _path(view: View) -> str:
    return view.query.url("/settings")
