"""`m365gw incident`: what somebody has to know, now and before; and a test of who is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from m365gw.cli.asking import service
from m365gw.cli.completion import incident_ids
from m365gw.cli.incident_source import Source
from m365gw.cli.main import Invocation
from m365gw.cli.words import escaped, moment, printed, short_span, span, to_do
from m365gw.microsoft.actors import actor

_KEYS = """\b
Keys of --json:
id, key, level    8 digits; what kind of incident it is; info, warn or error
subject, state    of what (mailbox, sender, tenant, host, ...); of the mailbox
what, why, fix    what happened, what it means, what to do
who               operator, exchange-admin, entra-admin, mailbox-user, microsoft, nobody
opened_at         seconds since 1970
closed_at         the same, or null while it is open
note              how it came to be closed, where that is not plain
"""


@click.group()
def incident() -> None:
    """What somebody has to know: mailboxes that cannot send, disks that fail, what ends soon."""


@incident.command(name="list", epilog=_KEYS)
@click.option("--open/--all", "is_open", default=True, help="Open ones; all: also what is over.")
@click.option("--limit", default=100, type=click.IntRange(1, 1000), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def show_list(invocation: Invocation, is_open: bool, limit: int, as_json: bool) -> None:
    """Show the incidents, with the service running or stopped.

    Exits with 0 when none is open and 1 when one is.
    """
    found = Source(invocation).latest(limit, is_open=is_open)
    if as_json:
        for one in found:
            click.echo(json.dumps(one))
    else:
        printed(map(escaped, _table(found, time.time())))
    if any(one["closed_at"] is None for one in found):
        raise click.exceptions.Exit(1)


@incident.command(epilog=_KEYS)
@click.argument("incident_id", metavar="ID", shell_complete=incident_ids)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show(invocation: Invocation, incident_id: str, as_json: bool) -> None:
    """Show everything about one incident."""
    found = Source(invocation).find(incident_id)
    if found is None:
        words = f"There is no incident {escaped(incident_id)}: m365gw incident list --all"
        click.echo(words, err=True)
        raise click.exceptions.Exit(1)
    if as_json:
        click.echo(json.dumps(found))
    else:
        printed(map(escaped, _page(found, time.time())))


@incident.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def test(invocation: Invocation, as_json: bool) -> None:
    """Tell everybody in [alerts] a test, and say what came of it.

    Exits with 1 when one could not be told, or nobody would be.
    """
    with service(invocation) as asked:
        trials = asked.post("/incidents/test")["trials"]
    for trial in trials:
        if as_json:
            click.echo(json.dumps(trial))
        else:
            head = "ok     " if trial["is_good"] else "FAILED "
            click.echo(escaped(f"{head} {trial['way']}: {trial['words']}"))
    if not trials:
        words = "Nobody is told of incidents: [alerts] names no webhook and no mail_to."
        click.echo(words, err=True)
    if not trials or not all(trial["is_good"] for trial in trials):
        raise click.exceptions.Exit(1)


def _table(incidents: list[dict[str, Any]], now: float) -> Iterator[str]:
    if not incidents:
        yield "No incidents."
    for one in incidents:
        is_open = one["closed_at"] is None
        lasted = short_span((now if is_open else one["closed_at"]) - one["opened_at"])
        state = f"open for {lasted}" if is_open else f"over, took {lasted}"
        yield f"{one['id']}  {one['level']:<5}  {state:<16}  {_subject(one)}"
        yield f"          {one['what']}"
        if is_open:
            yield f"          {to_do(one)}"


def _page(one: dict[str, Any], now: float) -> Iterator[str]:
    is_open = one["closed_at"] is None
    yield f"Incident       {one['id']} ({one['key']}, {one['level']})"
    yield f"What with      {_subject(one)}"
    yield f"What happened  {one['what']}"
    yield f"What it means  {one['why']}"
    yield f"What to do     {one['fix']}"
    yield f"Who must act   {actor(one['who'])}"
    yield f"Opened         {moment(one['opened_at'])}"
    if is_open:
        yield f"Closed         not yet, it is open for {span(now - one['opened_at'])}"
    else:
        lasted = span(one["closed_at"] - one["opened_at"])
        yield f"Closed         {moment(one['closed_at'])}, after {lasted}"
    if one["note"]:
        yield f"Note           {one['note']}"


def _subject(one: dict[str, Any]) -> str:
    named = ", ".join(f"{kind} {name}" for kind, name in one["subject"].items())
    return " ".join(filter(None, (named or "the gateway", one["state"])))
