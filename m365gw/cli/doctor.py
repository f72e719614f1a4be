"""`m365gw doctor`: examine the gateway and its mailboxes, and say who has to do what."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import click

from m365gw.cli.completion import names
from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.doctor_report import lines, redacted
from m365gw.cli.main import Invocation
from m365gw.cli.words import printed

PATIENCE = 600.0  # seconds; many mailboxes, each with checks that may take a minute


@click.command()
@click.argument("mailboxes", metavar="[MAILBOX]...", nargs=-1, shell_complete=names("mailbox"))
@click.option("--send", is_flag=True, help="Also send a real message from each sender.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@click.option("--redact", is_flag=True, help="Replace names and ids, for a public bug report.")
@click.pass_obj
def doctor(
    invocation: Invocation, mailboxes: tuple[str, ...], send: bool, as_json: bool, redact: bool
) -> None:
    """Try everything mail needs, from the disk to Microsoft's answer, and say what is wrong.

    Each check that fails comes with its most likely cause, the way through Microsoft's portal, the
    PowerShell line, who has to do it and how long it takes to work. Each mailbox is signed in to
    once, on one connection; nothing is sent without --send. A running service does it itself;
    else this does. Exits with 0 when no check failed, with 1 when one did.
    """
    report = _examined(invocation, mailboxes, send)
    if redact:
        report = redacted(report, _names(invocation))
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        printed(lines(report, sys.stdout.isatty()))
    raise click.exceptions.Exit(0 if report["good"] else 1)


def _examined(invocation: Invocation, mailboxes: tuple[str, ...], send: bool) -> dict[str, Any]:
    """The report of the running service, or of this process where none runs."""
    from m365gw.config.places import Places
    from m365gw.config.problems import ConfigError

    try:
        control = Control(Places(invocation.config).of("control_socket"), PATIENCE)
        report: dict[str, Any] = control.post(
            "/doctor", {"mailboxes": list(mailboxes), "send": send}
        )
    except (ConfigError, NotRunning):
        return _examined_here(invocation, mailboxes, send)
    except NotAllowed as error:
        raise click.ClickException(str(error)) from None
    except ControlFailed as error:
        if error.status:
            raise click.ClickException(str(error)) from None
        report = _examined_here(invocation, mailboxes, send)
        report["notes"].insert(0, f"The service runs, but could not be asked: {error}")
        return report
    report["notes"].insert(0, "The running service has examined itself.")
    return report


def _examined_here(
    invocation: Invocation, mailboxes: tuple[str, ...], send: bool
) -> dict[str, Any]:
    """Examine in this process."""
    import time

    from m365gw.cli.stopped import Stopped
    from m365gw.config.load import load
    from m365gw.config.problems import ConfigError
    from m365gw.directory.database import DirectoryError
    from m365gw.directory.state_dir import NotOurs, claim
    from m365gw.directory.vault import VaultError
    from m365gw.doctor.doctor import unconfigured

    notes = ["The service does not run; this command has examined by itself."]
    try:
        invocation.loaded = load(invocation.config)
    except ConfigError as error:
        return unconfigured(str(error), time.time()).plain()
    settings = invocation.settings
    try:
        claim(settings.state_dir)
        settings = Stopped(invocation).settings
    except NotOurs as problem:  # what this would leave there, the service could not read
        raise click.ClickException(str(problem)) from None
    except (DirectoryError, VaultError, OSError) as problem:
        notes.append(f"Without the mailboxes of the directory: {problem}")
    known = {one.address.casefold() for one in settings.mailbox}
    for address in mailboxes:
        if address.casefold() not in known:
            there = ", ".join(one.address for one in settings.mailbox) or "none"
            raise click.ClickException(f"There is no mailbox {address}. There are: {there}.")
    report = _run(settings, mailboxes, send)
    report["notes"][:0] = notes
    return report


def _names(invocation: Invocation) -> list[str]:
    """Names of this machine and of logins, as far as the configuration can be read."""
    import socket

    from m365gw.config.load import load
    from m365gw.config.problems import ConfigError

    names = [socket.gethostname()]
    try:
        settings = load(invocation.config).settings
    except ConfigError:
        return names
    return [*names, settings.hostname, *(client.login for client in settings.client)]


def _run(settings: Any, mailboxes: tuple[str, ...], send: bool) -> dict[str, Any]:
    """One examination in a reactor of its own."""
    import socket

    import attrs
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react

    from m365gw.doctor.doctor import Doctor
    from m365gw.doctor.equipment import equip
    from m365gw.events import EventLog
    from m365gw.relay.threads import Threads

    named = attrs.evolve(settings, hostname=settings.hostname or socket.getfqdn())
    report: dict[str, Any] = {}

    async def examine(reactor: Any) -> None:
        log = EventLog(io.StringIO(), hostname=named.hostname)  # the report says it all
        threads = Threads(reactor, 4, "doctor", may_be_left=True)
        tools = equip(named, reactor, threads, log)
        found = await Doctor(tools).examine(named, mailboxes, send=send)
        report.update(found.plain())
        await threads.stop()

    try:
        react(lambda reactor: Deferred.fromCoroutine(examine(reactor)))
    except SystemExit as end:
        if end.code:
            raise
    return report
