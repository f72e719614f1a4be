"""`m365gw send-test`: a real test mail, followed until Microsoft has answered.

It is handed to the running service over its control socket, and from there on it is a message like
any other: spooled, governed, delivered. Exit codes: 0 when Microsoft took it, 1 when it was refused
or its mailbox needs somebody, 75 when it still waits, 69 when the service does not run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from m365gw.cli.accounts.names import ADDRESS
from m365gw.cli.asking import service
from m365gw.cli.control import Control
from m365gw.cli.main import Invocation
from m365gw.cli.words import escaped, printed, short_span, to_do

EX_TEMPFAIL = 75
_WAIT = 5.0  # seconds between looks when nothing happens
_ENDS = {"sent": 0, "bounced": 1, "held": 1}  # the others go on by themselves


@click.command("send-test", short_help="Send a test mail and follow it to Microsoft's answer.")
@click.option("--mailbox", default="", type=ADDRESS, help="Leave by it.  [default: the only one]")
@click.option("--from", "sender", default="", help="Sender.  [default: the mailbox]")
@click.option("--to", "recipients", multiple=True, help="Recipient.  [default: the mailbox]")
@click.option("--subject", default="", help="Its subject.")
@click.option(
    "--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="Seconds."
)
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object, at the end.")
@click.pass_obj
def send_test(
    invocation: Invocation,
    mailbox: str,
    sender: str,
    recipients: tuple[str, ...],
    subject: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Send a real test mail through the gateway, and say what becomes of it, step by step.

    You act as the operator: no rule of a client is asked. Microsoft decides whether the mailbox may
    send as the sender. What does not go at once stays in the queue like any mail.
    """
    order = {
        "mailbox": mailbox,
        "sender": sender,
        "recipients": list(recipients),
        "subject": subject,
    }
    end = time.monotonic() + timeout
    with service(invocation) as asked:
        sent = asked.post("/send-test", order)
        steps: list[dict[str, Any]] = []
        said: dict[str, Any] = {}
        for said in _followed(asked, sent["queue_id"], end):
            steps += said["steps"]
            if not as_json:
                printed(map(_line, said["steps"]))
    outcome = said["outcome"] or ("held" if _needs_somebody(said["mailbox"]) else "waiting")
    if as_json:
        told = said["mailbox"]["diagnosis"]
        click.echo(json.dumps({**sent, "outcome": outcome, "steps": steps, "diagnosis": told}))
    else:
        printed(map(escaped, _end(sent, outcome, said["mailbox"])))
    raise click.exceptions.Exit(_ENDS.get(outcome, EX_TEMPFAIL))


def _followed(asked: Control, queue_id: str, end: float) -> Iterator[dict[str, Any]]:
    """What the service says, again and again, until all is known or the time is up."""
    seen = 0
    while True:
        left = max(0.0, end - time.monotonic())
        body = {"queue_id": queue_id, "seen": seen, "seconds": min(left, _WAIT)}
        said = asked.post("/send-test/follow", body)
        seen += len(said["steps"])
        yield said
        if said["outcome"] or _needs_somebody(said["mailbox"]) or not left:
            return


def _needs_somebody(mailbox: dict[str, Any]) -> bool:
    """Whether it sends nothing until somebody has done something, and is not being tried now."""
    told, until = mailbox["diagnosis"], mailbox["until"]
    return told is not None and told["who"] != "nobody" and (until is None or until > time.time())


def _line(step: dict[str, Any]) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(step["at"]))
    return f"{clock}  {step['step']:<9} {escaped(step['words'])}"


def _end(sent: dict[str, Any], outcome: str, mailbox: dict[str, Any]) -> Iterator[str]:
    queue_id = sent["queue_id"]
    if outcome == "sent":
        yield f"Microsoft took it. Its Message-ID is {sent['message_id']}."
        return
    told = mailbox["diagnosis"]
    if told is not None:
        yield f"{told['what']} {told['why']}"
        yield to_do(told)
    elif mailbox["why"]:
        yield mailbox["why"]
    if outcome == "bounced":
        yield "Microsoft refused it for good; the reply above says why, and the sender is told."
        return
    until = mailbox["until"]
    again = f" It is tried again in {short_span(until - time.time())}." if until else ""
    yield f"It stays in the queue, and goes when it can.{again}"
    yield f"All about it: m365gw queue show {queue_id}"
    yield f"To take it back: m365gw queue remove {queue_id}"
