"""Incidents: what somebody has to know, open and over, and whether people can be told of it."""

from __future__ import annotations

import time
from typing import Any, Final

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import for_the_admin, path_of, remedy_of
from m365gw.admin.web.view import Answer, View, page
from m365gw.incidents import Incident
from m365gw.microsoft.remedies import Remedy

SCREEN: Final = 100  # of those that are over


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Incidents", "/incidents", "incident")
    console.get("/incidents", pages.all)
    console.get("/incidents/<incident_id>", pages.show)
    console.post("/incidents/test", pages.test)


def about(incident: Incident) -> str:
    """What it is about, in a few words."""
    return ", ".join(value for _, value in incident.subject) or "This gateway"


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def all(self, view: View) -> Answer:
        every = await self._desk.incident_desk.history(SCREEN)
        ends = [shown_end(each, view.now) for each in await self._desk.incident_desk.credentials()]
        open_ones = sorted(self._desk.incidents(), key=_urgency)
        return page(
            "incidents.html",
            open=[_shown(each) for each in open_ones],
            past=[_shown(each) for each in every if not each.is_open],
            ends=ends,
            told=self._told(),
        )

    async def show(self, view: View) -> Answer:
        incident = await self._desk.incident_desk.find(view.names["incident_id"])
        if incident is None:
            raise Refusal(404, "There is no such incident.", "Old ones are forgotten.", "")
        remedy = await self._remedy(incident)
        gateway = self._desk.settings().hostname
        return page(
            "incident.html",
            incident=_shown(incident),
            remedy=remedy,
            steps=_steps(incident),
            for_admin=for_the_admin(about(incident), incident.told, remedy, gateway),
        )

    async def test(self, view: View) -> Answer:
        """Everybody who is told of incidents is told a test, now."""
        trials = await self._desk.incident_desk.test()
        self._desk.audit(view.by, "incidents.tested", f"{len(trials)} ways")
        return page("incident_test.html", trials=trials)

    async def _remedy(self, incident: Incident) -> Remedy | None:
        address = dict(incident.subject).get("mailbox", "")
        for row in await self._desk.registry.mailboxes():
            if row["address"].casefold() == address.casefold():
                return remedy_of(row, incident.told)
        return None

    def _told(self) -> list[str]:
        """Who is told, in words."""
        alerts = self._desk.settings().alerts
        mail = [f"{address}, by mail" for address in alerts.mail_to]
        return mail + [f"webhook {number + 1}" for number in range(len(alerts.webhook))]


def _urgency(incident: Incident) -> Any:
    return incident.level != "error", incident.opened_at


def _shown(incident: Incident) -> dict[str, Any]:
    address = dict(incident.subject).get("mailbox", "")
    return {
        "id": incident.id,
        "path": f"/incidents/{incident.id}",
        "told": incident.told,
        "tone": {"error": "bad", "warn": "warn"}.get(incident.level, "note"),
        "level": incident.level,
        "about": about(incident),
        "mailbox": path_of(address) if address else "",
        "since": incident.opened_at,
        "until": incident.closed_at,
        "note": incident.note,
        "is_open": incident.is_open,
    }


def _steps(incident: Incident) -> list[dict[str, Any]]:
    """What became of it, the oldest first."""
    opened = {"at": incident.opened_at, "title": "Opened", "words": incident.told.what}
    steps = [{**opened, "tone": "bad" if incident.level == "error" else "warn"}]
    if incident.closed_at is not None:
        words = incident.note or "What was wrong is wrong no more."
        steps.append({"at": incident.closed_at, "title": "Over", "words": words, "tone": "good"})
    return steps


def shown_end(end: dict[str, Any], now: float) -> dict[str, Any]:
    """A credential and when it ends, for the list of what is to come."""
    kinds = {"tls-certificate": "TLS certificate", "sign-in": "Sign-in", "secret": "Client secret"}
    at, warned = end["ends_at"], end["warned"]
    days = None if at is None else int((at - now) // 86400)
    is_mailbox = end["kind"] in ("sign-in", "secret", "certificate")
    return {
        "kind": kinds.get(end["kind"], end["kind"].capitalize()),
        "name": end["name"],
        "path": path_of(end["name"]) if is_mailbox else "",
        "note": end["note"],
        "days": days,
        "day": "" if at is None else time.strftime("%d %b %Y", time.localtime(at)),
        "tone": _tone(at, warned),
    }


def _tone(at: float | None, warned: int | None) -> str:
    if at is None:
        return "idle"
    return "good" if warned is None else "bad" if warned <= 7 else "warn"
