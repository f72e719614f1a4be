"""`m365gw status`: what runs, what waits, and which mailbox is held, on one screen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from m365gw.cli.accounts.mailbox_page import by_fallback
from m365gw.cli.asking import service
from m365gw.cli.main import Invocation
from m365gw.cli.words import counted, escaped, moment, printed, short_span, span, to_do


@click.command()
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object.")
@click.pass_obj
def status(invocation: Invocation, as_json: bool) -> None:
    """Show what the running service does, what waits, and why.

    Exits with 0 when all is well, 1 when the service or a mailbox needs somebody, 69 when the
    service does not run.
    """
    with service(invocation) as asked:
        gateway, mailboxes = asked.get("/status"), asked.get("/mailboxes")
        incidents = asked.get("/incidents")["incidents"]
    if as_json:
        click.echo(json.dumps({"status": gateway, "mailboxes": mailboxes, "incidents": incidents}))
    else:
        printed(screen(gateway, mailboxes, time.time(), len(incidents)))
    is_good = gateway["health"]["good"] and not gateway["queue"]["without_mailbox"]
    if not is_good or any(_needs_somebody(each) for each in mailboxes):
        raise click.exceptions.Exit(1)


def _needs_somebody(mailbox: dict[str, Any]) -> bool:
    told = mailbox["diagnosis"]
    return told is not None and told["who"] != "nobody"


def screen(
    gateway: dict[str, Any], mailboxes: list[dict[str, Any]], now: float, incidents: int = 0
) -> Iterator[str]:
    """The lines of the screen, from what the service says; `now` in seconds since 1970.

    `incidents` is how many are open.
    """
    return map(escaped, _lines(gateway, mailboxes, now, incidents))


def _lines(
    gateway: dict[str, Any], mailboxes: list[dict[str, Any]], now: float, incidents: int
) -> Iterator[str]:
    since = f"{moment(gateway['started_at'])} ({span(now - gateway['started_at'])})"
    yield f"m365gw {gateway['version']} on {gateway['hostname']}, pid {gateway['pid']}"
    yield f"Since     {since}"
    if gateway["is_draining"]:
        left = span(max(0.0, gateway["drains_until"] - now))
        yield f"It drains: no more mail is taken. It stops in {left} at the latest."
    for trouble in gateway["health"]["troubles"]:
        yield f"TROUBLE   {trouble['what']} {trouble['why']}"
        yield f"          To do: {trouble['fix']}"
    queue = gateway["queue"]
    sending = counted(queue["in_flight"], "message")
    yield f"Queue     {sending} being delivered, {queue['scheduled']:,} waiting"
    yield f"Clients   {counted(gateway['connections'], 'connection')}"
    for number, place in enumerate(gateway["listeners"]):
        head = "Listeners" if not number else ""
        yield f"{head:<9} {place['address']:<24} {place['listener']}"
    if not gateway["listeners"]:
        yield "Listeners none, so no mail is taken. The log names a set-up page for the browser,"
        yield "          or: m365gw listener add"
    if incidents:
        yield f"Incidents {counted(incidents, 'incident')} open: m365gw incident list says which"
    yield "Mailboxes" if mailboxes else "Mailboxes none: m365gw mailbox add"
    for mailbox in mailboxes:
        yield from _mailbox(mailbox, now)
    if queue["without_mailbox"]:
        waiting = counted(queue["without_mailbox"], "message")
        yield f"  {waiting} of mailboxes that are not configured: m365gw queue list says which"


def _mailbox(mailbox: dict[str, Any], now: float) -> Iterator[str]:
    budget = mailbox["budget"]
    uses = ", ".join(
        f"{budget[key]['used']:,.0f} of {_limit(budget[key]['limit'])} {words}"
        for key, words in (("connections", "connections"), ("minute", "a minute"), ("day", "a day"))
    )
    waits = f", {mailbox['waits']:,} waiting" if mailbox["waits"] else ""
    state = f"{mailbox['state']}{_times(mailbox, now)}"
    yield f"  {mailbox['address']}  {state}: {uses}{waits}"
    yield from (f"    {line}" for line in by_fallback(mailbox))
    told = mailbox["diagnosis"]
    if told is not None:
        yield f"    {told['what']} {told['why']}"
        yield f"    {to_do(told)}"
    elif mailbox["why"]:
        yield f"    {mailbox['why']}"


def _times(mailbox: dict[str, Any], now: float) -> str:
    """Since when a mailbox is held, and when it is tried again."""
    if mailbox["since"] is None:
        return ""
    words = f" for {short_span(now - mailbox['since'])}"
    if mailbox["until"] is not None and mailbox["until"] > now:
        words += f", next try in {short_span(mailbox['until'] - now)}"
    return words


def _limit(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:,.0f}"
