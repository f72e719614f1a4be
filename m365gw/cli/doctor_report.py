"""The report of an examination on a terminal, and redacted for strangers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any

import click

from m365gw.cli.words import escaped, moment
from m365gw.microsoft.actors import actor

WIDTH = 100
MARKS = {
    "ok": ("ok", "green"),
    "warn": ("WARN", "yellow"),
    "fail": ("FAIL", "red"),
    "info": ("info", "blue"),
    "skipped": ("skip", "bright_black"),
}


def lines(report: dict[str, Any], coloured: bool = False) -> Iterator[str]:
    """The report for a person. `coloured`: the terminal can show colours."""
    yield f"m365gw doctor, {moment(report['at'])}"
    for note in report["notes"]:
        yield from _wrapped(escaped(note), "")
    yield ""
    yield "The gateway"
    for finding in report["gateway"]:
        yield from _finding(finding, coloured)
    for mailbox in report["mailboxes"]:
        yield ""
        yield escaped(mailbox["address"])
        for finding in mailbox["findings"]:
            yield from _finding(finding, coloured)
    yield ""
    yield _summary(report)


def _summary(report: dict[str, Any]) -> str:
    failed = [
        f"{finding['id']}{f' of {address}' if address else ''}"
        for address, findings in [
            ("", report["gateway"]),
            *((each["address"], each["findings"]) for each in report["mailboxes"]),
        ]
        for finding in findings
        if finding["result"] == "fail"
    ]
    return escaped(f"Failed: {', '.join(failed)}.") if failed else "No check failed."


def _finding(finding: dict[str, Any], coloured: bool) -> Iterator[str]:
    mark, colour = MARKS[finding["result"]]
    shown = click.style(f"{mark:<4}", fg=colour) if coloured else f"{mark:<4}"
    yield f"  {finding['id']} {shown}  {finding['title']}"
    if finding["result"] == "skipped":
        yield from _wrapped(finding["skipped_because"], " " * 12)
        return
    if finding["result"] == "ok":
        yield from _wrapped(escaped(finding["came_back"]), " " * 12)
        return
    yield from _labelled("tried", finding["tried"])
    yield from _labelled("came back", finding["came_back"])
    diagnosis = finding["diagnosis"]
    if diagnosis is None:
        return
    yield from _labelled("it means", f"{diagnosis['what']} {diagnosis['why']}")
    yield from _labelled("to do", diagnosis["fix"])
    for number, remedy in enumerate(finding["remedies"], 1):
        yield from _remedy(remedy, number if len(finding["remedies"]) > 1 else 0)


def _remedy(remedy: dict[str, Any], number: int) -> Iterator[str]:
    if number:
        yield from _labelled(f"cause {number}", remedy["cause"])
    if remedy["portal"]:
        yield from _labelled("click", remedy["portal"])
    if remedy["powershell"]:
        # Never broken into lines: it is copied.
        yield f"{' ' * 12}{'PowerShell':<11} {escaped(remedy['powershell'])}"
    yield from _labelled("who", actor(remedy["who"]))
    if remedy["takes"]:
        yield from _labelled("works after", remedy["takes"])


def _labelled(label: str, text: str) -> Iterator[str]:
    if not text:
        return
    first, *rest = wrap(escaped(text.replace("\n", " ")), WIDTH - 24) or [""]
    yield f"{' ' * 12}{label:<11} {first}"
    for line in rest:
        yield f"{' ' * 24}{line}"


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) or [indent]


def redacted(report: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The report without names, for a public bug report. `known`: what no pattern would find."""
    from m365gw.doctor.redaction import Redaction

    hidden: dict[str, Any] = Redaction(known).of(report)
    return hidden
