"""`m365gw explain`: what would happen to a message, before anybody tries to send it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from m365gw.cli.completion import names
from m365gw.cli.main import Invocation
from m365gw.cli.registry import registry
from m365gw.cli.words import escaped, printed
from m365gw.edge.admission.alike import together

# Words for what is done to a message, where its name alone does not tell.
CHANGES = {
    "from": "From was missing",
    "foreign-from": "From was foreign; Reply-To names the old address, if it has none",
    "display-name": "the name in From is quoted",
    "header-text": "the name in From is encoded",
}


@click.command()
@click.option("--from", "sender", required=True, help='Sender of the envelope; "" is <>.')
@click.option("--to", "recipients", required=True, multiple=True, help="Recipient; or several.")
@click.option(
    "--login", default="", shell_complete=names("client"), help="The login the client uses."
)
@click.option("--ip", default="", help="The client's address.")
@click.option(
    "--listener",
    "name",
    default="",
    shell_complete=names("listener"),
    help="Only this listener.  [default: all]",
)
@click.option(
    "--user", default="", help="A user of this machine that calls sendmail, in place of a client."
)
@click.option("--header-from", help="From in the message.  [default: the sender]")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.pass_obj
def explain(
    invocation: Invocation,
    sender: str,
    recipients: tuple[str, ...],
    login: str,
    ip: str,
    name: str,
    user: str,
    header_from: str | None,
    as_json: bool,
) -> None:
    """Say whether a message would be accepted, by which rule, and by which mailbox it would leave.

    Asks the running service; without one, the configuration and what was made beside it. Passwords,
    rates used up and free space are not looked at. Exits with 0 when a listener would accept the
    message, and with 1 when none would: then with the replies the client would get, which say what
    to change.
    """
    body = {
        "sender": sender,
        "recipients": list(recipients),
        "header_from": header_from,
        "login": login,
        "ip": ip,
        "listener": name,
        "user": user,
    }
    said = registry(invocation).post("/explain", body)
    if as_json:
        click.echo(json.dumps(said))
    else:
        printed(line for one in together(said["listeners"]) for line in _lines(one))
    raise click.exceptions.Exit(0 if said["allowed"] else 1)


def _lines(said: Mapping[str, Any]) -> Iterator[str]:
    verdict = "accepted" if said["allowed"] else "refused"
    by_rule = f" by the rule of {said['rule']}" if said["rule"] else ""
    yield f"{', '.join(said['names'])}: {verdict}{by_rule}"
    for refusal in said["refusals"]:
        yield f"  at {escaped(refusal['at'])}: {escaped(refusal['reply'])}"
    if said["rule"] and said["allowed"]:
        yield f"  leaves by mailbox {said['mailbox']}, sender <{escaped(said['sender'])}>"
        yield f"  From: {escaped(said['header_from'] or '') or '(none)'}"
        for change in said["changes"]:
            yield f"  changed: {escaped(CHANGES.get(change, change))}"
    for note in said["notes"]:
        yield f"  note: {escaped(note)}"
