"""The mailboxes: all of them, and one with everything that is known of it."""

from __future__ import annotations

import time
from typing import Any

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.chart import chart
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import Row, for_the_admin, remedy_of, shown
from m365gw.admin.web.view import Answer, View, page
from m365gw.directory.database import DirectoryError
from m365gw.incidents import Incident
from m365gw.words import counted

SCREEN = 50  # mailboxes of one page
LOOKED_THROUGH = 500  # incidents, and lines of the audit, for those of one mailbox
MOST = 8  # of them that are shown
_GROUPS = {
    "": ("All", ()),
    "wrong": ("Need somebody", ("needs_signin", "needs_admin", "misconfigured")),
    "throttled": ("Throttled", ("throttled",)),
    "paused": ("Paused", ("paused",)),
    "ready": ("Ready", ("ready",)),
}


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Mailboxes", "/mailboxes", "mailbox")
    console.get("/mailboxes", pages.all)
    console.get("/mailboxes/<address>", pages.show)


async def found(desk: Desk, address: str) -> Row:
    """The mailbox of that address. Raises `Refusal` 404."""
    for row in await desk.registry.mailboxes():
        if row["address"].casefold() == address.casefold():
            return row
    raise Refusal(
        404, "There is no such mailbox.", "", "The list of mailboxes shows what there is."
    )


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def all(self, view: View) -> Answer:
        rows = await self._desk.registry.mailboxes()
        text, group = view.query.get("q").casefold(), view.query.get("state")
        fit = [each for each in rows if text in each["address"].casefold()]
        chosen = [each for each in fit if _is_of(each, group)]
        chosen.sort(key=lambda each: (each.get("state") == "ready", -each.get("waits", 0)))
        start = view.query.number("start")
        return page(
            "mailboxes.html",
            rows=[shown(each, view.now) for each in chosen[start : start + SCREEN]],
            there=len(rows),
            start=start,
            of=len(chosen),
            next=start + SCREEN if start + SCREEN < len(chosen) else None,
            tabs=[_tab(view, name, fit) for name in _GROUPS],
            q=view.query.get("q"),
            state=group,
        )

    async def show(self, view: View) -> Answer:
        desk, row = self._desk, await found(self._desk, view.names["address"])
        address = row["address"]
        mailbox = shown(row, view.now)
        told = mailbox["told"]
        remedy = remedy_of(row, told) if told else None
        incidents = [
            each
            for each in await desk.incident_desk.history(LOOKED_THROUGH)
            if _concerns(each, address)
        ]
        return page(
            "mailbox.html",
            mailbox=mailbox,
            remedy=remedy,
            for_admin=for_the_admin(address, told, remedy, desk.settings().hostname)
            if told
            else "",
            day=_day(desk.by_hours(address), mailbox["budget"]["day"]["limit"], view.now),
            incidents=incidents[:MOST],
            changes=await self._changes(address),
            users=self._users(address),
            waiting=counted(mailbox["waits"], "message"),
            has_certificate="BEGIN CERTIFICATE" in _certificate(desk, address),
        )

    async def _changes(self, address: str) -> Any:
        try:
            lines = await self._desk.changes(LOOKED_THROUGH, None)
        except DirectoryError:
            return None
        return [each for each in lines if each.subject.casefold() == address.casefold()][:MOST]

    def _users(self, address: str) -> Any:
        """Who sends by it, as title, what, and where that is looked at."""
        registry, settings = self._desk.registry, self._desk.settings()
        rules = [
            *(("Login", row["login"], row) for row in registry.clients()),
            *(("Network", row["cidr"], row) for row in registry.networks()),
        ]
        users = [
            (kind, name, row["senders"])
            for kind, name, row in rules
            if row["mailbox"].casefold() == address.casefold()
        ]
        local = [
            ("This machine", "sendmail", list(each.senders))
            for each in settings.local
            if each.mailbox.casefold() == address.casefold()
        ]
        return [*users, *local]


def _concerns(incident: Incident, address: str) -> bool:
    """Whether it is one of this mailbox, or of a sender on it (`<scan@contoso.com> on ADDRESS`)."""
    subject = dict(incident.subject)
    whole, (_, _, under) = subject.get("mailbox", ""), subject.get("sender", "").rpartition(" on ")
    return address.casefold() in (whole.casefold(), under.casefold())


def _certificate(desk: Desk, address: str) -> str:
    return next((one.certificate for one in desk.settings().mailbox if one.address == address), "")


def _is_of(row: Row, group: str) -> bool:
    states = _GROUPS.get(group, ("", ()))[1]
    return not states or row.get("state") in states


def _tab(view: View, name: str, rows: list[Row]) -> Row:
    return {
        "name": _GROUPS[name][0],
        "url": view.query.url("/mailboxes", state=name, start=0, part=""),
        "is_here": view.query.get("state") == name,
        "count": sum(_is_of(row, name) for row in rows),
    }


def _day(hours: Any, limit: float | None, now: float) -> Row | None:
    """The recipients of the last day, hour by hour and as a sentence; None when not known."""
    if not hours:
        return None
    times = [time.strftime("%H:%M", time.localtime(now - left * 3600)) for left in (24, 18, 12, 6)]
    used = sum(hours)
    most = f" of {limit:,.0f}" if limit else ""
    words = f"Recipients in the last 24 hours, hour by hour: {used:,}{most}."
    lines = {("delivered", "Recipients an hour"): list(hours)}
    return {"chart": chart(lines, {"delivered": used}, [*times, "now"]), "words": words}
