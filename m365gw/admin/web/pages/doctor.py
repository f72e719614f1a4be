"""The doctor in the console: examine the gateway and mailboxes, and see what is found as it comes.

What was found last is kept, whoever asked for it. A finding that failed has the way through the
portal, the PowerShell line and who must act; all of it can be copied for somebody else, and be had
as a file without names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import path_of
from m365gw.admin.web.view import Answer, File, Redirect, View, page
from m365gw.doctor.casebook import GATEWAY, Examined
from m365gw.doctor.redaction import Redaction
from m365gw.words import escaped

Plain = dict[str, Any]

MOST: Final = 50  # mailboxes of one page, the worst first
_GROUPS: Final = (  # results, what they are called, and whether they are open at once
    (("fail",), "Failed", True),
    (("warn",), "Will fail, or not for everybody", True),
    (("info",), "Worth knowing", False),
    (("ok",), "All is well", False),
    (("skipped",), "Not tried", False),
)


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Doctor", "/doctor", "doctor")
    console.get("/doctor", pages.show)
    console.post("/doctor", pages.examine)
    console.get("/doctor/report", pages.report)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show(self, view: View) -> Answer:
        rounds, chosen = self._desk.rounds, self._chosen(view.query.get("mailbox"))
        names = [chosen] if chosen else sorted(rounds.mailboxes, key=self._badness)
        shown = [self._subject(name) for name in (GATEWAY, *names[:MOST])]
        return page(
            "doctor.html",
            subjects=shown,
            more=len(names[MOST:]),
            mailboxes=[("", "the gateway and all mailboxes"), *((m, m) for m in rounds.mailboxes)],
            chosen=chosen,
            is_busy=rounds.is_busy,
            is_new=not rounds.book.known,
            every=self._desk.settings().doctor.every,
        )

    def examine(self, view: View) -> Answer:
        chosen, send = self._chosen(view.form.get("mailbox")), bool(view.form.get("send"))
        if self._desk.rounds.is_busy:
            return Redirect("/doctor", "An examination is under way already.", "note")
        self._desk.rounds.begin([chosen] if chosen else [], view.by, send=send)
        self._desk.audit(view.by, "doctor.examined", chosen or "the gateway and all mailboxes")
        return Redirect(view.form.url("/doctor", token="", send="") if chosen else "/doctor")

    def report(self, view: View) -> Answer:
        """The last findings as JSON, without names: fit for a public bug report."""
        book, chosen = self._desk.rounds.book, self._chosen(view.query.get("mailbox"))
        known = {n: e for n, e in book.known.items() if not chosen or n in (GATEWAY, chosen)}
        gateway = known.pop(GATEWAY, Examined(0, ""))
        plain = {
            "shape": 1,
            "at": gateway.at,
            "gateway": gateway.findings,
            "mailboxes": [{"address": n, "findings": e.findings} for n, e in known.items()],
        }
        redaction = Redaction(self._names())
        return File(json.dumps(redaction.of(plain), indent=1).encode(), "doctor-report.json")

    def _names(self) -> list[str]:
        settings = self._desk.settings()
        return [settings.hostname, *(client.login for client in settings.client)]

    def _chosen(self, said: str) -> str:
        """The mailbox that is meant; "" for all. Raises `Refusal`."""
        for address in self._desk.rounds.mailboxes:
            if address.casefold() == said.casefold():
                return address
        if said:
            raise Refusal(404, "There is no such mailbox.", "", "Choose one of those shown.")
        return ""

    def _badness(self, name: str) -> Any:
        known = self._desk.rounds.book.known.get(name)
        if known is None:
            return 0, 0, name
        return -known.count("fail"), -known.count("warn"), name

    def _subject(self, name: str) -> Plain:
        known = self._desk.rounds.book.known.get(name)
        findings = known.findings if known else []
        text = "\n\n".join(_for_admin(name, findings, self._desk.settings().hostname))
        return {
            "id": "gateway" if name == GATEWAY else f"m-{name}",
            "name": name,
            "path": path_of(name) if name else "",
            "known": known,
            "groups": list(_groups(findings)),
            "tone": _tone(known),
            "verdict": _verdict(known),
            "for_admin": text,
        }


def _groups(findings: Sequence[Plain]) -> Iterator[Plain]:
    for results, title, is_open in _GROUPS:
        these = [each for each in findings if each["result"] in results]
        if these:
            yield {"title": title, "findings": these, "is_open": is_open, "result": results[0]}


def _tone(known: Examined | None) -> str:
    if known is None or known.is_under_way:
        return "note"
    return "bad" if known.count("fail") else "warn" if known.count("warn") else "good"


def _verdict(known: Examined | None) -> str:
    if known is None:
        return "not examined yet"
    if known.is_under_way:
        return f"{len(known.findings)} checks so far"
    failed, doubtful = known.count("fail"), known.count("warn")
    if failed:
        return f"{failed} failed"
    return f"{doubtful} to look at" if doubtful else "all is well"


def _for_admin(name: str, findings: Sequence[Plain], gateway: str) -> Iterator[str]:
    """What failed, as a text somebody can send to whoever has to act."""
    failed = [each for each in findings if each["result"] in ("fail", "warn")]
    if failed:
        yield f"Mail gateway {gateway}" + (f", mailbox {name}" if name else "")
    for finding in failed:
        told = finding["diagnosis"] or {"what": "", "why": "", "fix": ""}
        lines = [
            f"{finding['id']} {finding['title']}: {told['what']} {told['why']}",
            f"Came back: {finding['came_back']}",
            f"To do: {told['fix']}",
        ]
        for steps in finding["remedies"]:
            lines += [f"Click: {steps['portal']}"] if steps["portal"] else []
            lines += [f"PowerShell: {steps['powershell']}"] if steps["powershell"] else []
        yield "\n".join(escaped(line.replace("\n", " ")) for line in lines)
