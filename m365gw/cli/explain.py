"""`m365gw explain`: what would happen to a message, before anybody tries to send it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from m365gw.cli.main import Invocation
from m365gw.cli.words import escaped, printed
from m365gw.config.settings import Listener, Settings
from m365gw.edge.admission.admission import IpAddress, ip_address
from m365gw.edge.admission.authorship import ADDED, REWRITTEN
from m365gw.edge.admission.explanation import Explanation, Question, explain_local
from m365gw.edge.admission.explanation import explain as explain_listener
from m365gw.edge.local.local_users import LocalUsers, number_of


@click.command()
@click.option("--from", "sender", required=True, help='Sender of the envelope; "" is <>.')
@click.option("--to", "recipients", required=True, multiple=True, help="Recipient; or several.")
@click.option("--login", default="", help="The login the client uses.")
@click.option("--ip", help="The client's address.")
@click.option("--listener", "name", help="Only this listener.  [default: all]")
@click.option("--user", help="A user of this machine that calls sendmail, in place of a client.")
@click.option("--header-from", help="From in the message.  [default: the sender]")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.pass_obj
def explain(
    invocation: Invocation,
    sender: str,
    recipients: tuple[str, ...],
    login: str,
    ip: str | None,
    name: str | None,
    user: str | None,
    header_from: str | None,
    as_json: bool,
) -> None:
    """Say whether a message would be accepted, by which rule, and by which mailbox it would leave.

    Asks the configuration file; the service need not run. Passwords, rates used up and free space
    are not looked at. Exits with 0 when a listener would accept the message, and with 1 when none
    would: then with the replies the client would get, which say what to change.
    """
    settings = invocation.settings
    sender = "" if sender == "<>" else sender
    question = Question(sender, recipients, header_from, login, _address(ip))
    if user is not None:
        uid = number_of(user)
        if uid is None:
            raise click.BadParameter(f'there is no user "{user}" on this machine.')
        said = [explain_local(LocalUsers(settings.local).user(uid), question)]
    else:
        said = [explain_listener(settings, question, one) for one in _listeners(settings, name)]
    is_allowed = any(one.is_allowed for one in said)
    if as_json:
        rows = [_row(one) for one in said]
        click.echo(json.dumps({"allowed": is_allowed, "listeners": rows}))
    else:
        printed(line for one in said for line in _lines(one))
    raise click.exceptions.Exit(0 if is_allowed else 1)


CHANGES = {
    ADDED: "From was missing",
    REWRITTEN: "From was foreign; Reply-To names the old address, if it has none",
    "display-name": "the name in From is quoted",
    "header-text": "the name in From is encoded",
}


def _listeners(settings: Settings, name: str | None) -> Sequence[Listener]:
    found = [one for one in settings.listener if name in (None, one.name)]
    if not found:
        known = ", ".join(one.name for one in settings.listener)
        raise click.BadParameter(f'there is no listener "{name}". Known: {known}.')
    return found


def _address(ip: str | None) -> IpAddress | None:
    if ip is None:
        return None
    address = ip_address(ip)
    if address is None:
        raise click.BadParameter(f'"{ip}" is not an address, as 10.1.2.3 or 2001:db8::7.')
    return address


def _row(said: Explanation) -> dict[str, Any]:
    rule = said.rule
    return {
        "listener": said.listener,
        "allowed": said.is_allowed,
        "rule": rule.name if rule else None,
        "place": rule.place if rule else None,
        "mailbox": rule.mailbox if rule else None,
        "sender": said.sender if rule else None,
        "header_from": said.header_from or None,
        "changes": said.changes,
        "refusals": [{"at": one.at, "reply": str(one.reply)} for one in said.refusals],
        "notes": said.notes,
    }


def _lines(said: Explanation) -> Iterator[str]:
    verdict = "accepted" if said.is_allowed else "refused"
    yield f"{said.listener}: {verdict}" + (f" by the rule of {said.rule.name}" if said.rule else "")
    for refusal in said.refusals:
        yield f"  at {escaped(refusal.at)}: {escaped(str(refusal.reply))}"
    if said.rule is not None and said.is_allowed:
        yield f"  leaves by mailbox {said.rule.mailbox}, sender <{escaped(said.sender)}>"
        yield f"  From: {escaped(said.header_from) or '(none)'}"
        for change in said.changes:
            yield f"  changed: {escaped(CHANGES.get(change, change))}"
    for note in said.notes:
        yield f"  note: {escaped(note)}"
