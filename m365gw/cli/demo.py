"""`m365gw demo`: a message travels from an SMTP client to a rehearsal Microsoft 365, step by step.

Two real processes are started on loopback (`demo_stage`); the message goes in by SMTP with STARTTLS
and a login, and everything shown is what the processes did and said. Nothing is needed from
outside, and nothing reaches Microsoft.
"""

from __future__ import annotations

import signal
import smtplib
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import click

from m365gw.cli.demo_stage import LOGIN, OPERATOR, SENDER, Stage, StageFailed
from m365gw.cli.words import to_do
from m365gw.directory.database import DirectoryError

RECIPIENT = "you@elsewhere.example"
SIGN_IN_SECONDS = 1.5  # the rehearsal takes its time with the first token, so that one can look


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Keep everything in this folder.")
@click.option("--once", is_flag=True, help="End after the first message.")
def demo(folder: Path | None, once: bool) -> None:
    """See the gateway carry a message, on this machine alone.

    Starts the gateway and a rehearsal Microsoft 365 on loopback ports, sends a message through,
    shows how it travelled, and keeps running so that you can send your own.
    """
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty; name a new folder.")
    with tempfile.TemporaryDirectory(prefix="m365gw-demo-") as temporary:
        stage = Stage((folder or Path(temporary)).absolute())
        # However it is told to end, a closed terminal too, it takes its two processes with it.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            stage.raise_curtain()
            _show(stage, once)
        except (StageFailed, DirectoryError, OSError) as failure:  # a full disk, a port that closes
            click.echo(f"The demo cannot go on:\n{failure}", err=True)
            raise click.exceptions.Exit(1) from None
        except KeyboardInterrupt:
            click.echo("\nStopping: the gateway finishes what it has in hand.")
        finally:
            stage.clear()


def _show(stage: Stage, once: bool) -> None:
    click.echo("m365gw demo. Everything runs on this machine; no mail leaves it.\n")
    _step("microsoft", "a rehearsal Microsoft 365 listens. It is not Microsoft, but as strict.")
    _step("gateway", "listens for SMTP on " + ", ".join(_places(stage)))
    _send(stage)
    events = stage.events()
    for event in events:
        _tell(stage, event)
        if event["event"] in ("message.removed", "message.refused"):
            break
    _show_received(stage)
    _show_how_to(stage)
    if not once:
        _follow(stage, events)


def _places(stage: Stage) -> Iterator[str]:
    words = {
        "submission": "STARTTLS and login",
        "smtps": "TLS and login",
        "trusted": "no login needed from this machine",
    }
    for name, port in stage.ports.items():
        yield f"127.0.0.1:{port} ({words[name]})"


def _send(stage: Stage) -> None:
    """Hand in a message as a printer would, and look at it on disk while it waits."""
    stage.ask_microsoft("faults", {"phase": "token", "action": "stall", "seconds": SIGN_IN_SECONDS})
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Printer on the third floor <{SENDER}>"
    message["To"] = RECIPIENT
    message["Subject"] = "Your scan"
    message["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    message["Message-ID"] = f"<scan.{time.time_ns()}@contoso.example>"
    message.set_content("Scanned on the third floor.\n.\nA line with one dot is only a line.\n")
    pinned = ssl.create_default_context(cafile=stage.folder / "state/tls/self-signed.crt")
    pinned.check_hostname = False  # its name is the gateway's; the address is this machine's
    _step("client", f"sends a message as {LOGIN}: STARTTLS, AUTH, MAIL, RCPT, DATA")
    with smtplib.SMTP("127.0.0.1", stage.ports["submission"]) as client:
        client.starttls(context=pinned)
        client.login(LOGIN, stage.password)
        _taken(client.mail(SENDER))
        _taken(client.rcpt(RECIPIENT))
        started = time.perf_counter()
        answer = _taken(client.data(message.as_bytes()))
        took = (time.perf_counter() - started) * 1000
        _step("accepted", f"{answer}   ({took:.1f} ms for content and commit)")
        for file in (stage.folder / "spool").glob("*/new/*"):
            size = file.stat().st_size
            _step("spooled", f"{file.relative_to(stage.folder)}   ({size} octets, before the 250)")


def _taken(answer: tuple[int, bytes]) -> str:
    """The answer of the gateway in one line. Raises StageFailed when it refuses."""
    code, text = answer
    words = f"{code} {text.decode('utf-8', 'replace')}"
    if code >= 400:
        raise StageFailed(f"The gateway does not take the message: {words}")
    return words


def _tell(stage: Stage, event: dict[str, Any]) -> None:
    """One event of the gateway's log, as a step."""
    match event["event"]:
        case "token.acquired":
            _step("token", f"MSAL fetched one for {event['mailbox']}, good for {event['life']} s")
        case "delivery":
            _step(event.get("status", "delivery"), f"to {event['to']} by {event['relay']}")
            _step("", event.get("note", ""))
        case name if name.startswith("incident."):
            what = event.get("what") or event.get("note", "")
            _step("incident", f"{name.removeprefix('incident.')}: {what}")
            if name == "incident.opened":
                _step("", to_do(event))
        case _ if event["level"] in ("warn", "error"):
            _step(event["level"], event.get("note") or event["event"])


def _show_received(stage: Stage) -> None:
    """The last message, as the rehearsal took it."""
    received = stage.ask_microsoft("messages")["messages"][-1]
    number = received["number"]
    _step("received", f"by the rehearsal Microsoft 365 as its message {number}:\n")
    octets: bytes = stage.ask_microsoft(f"messages/{number}")
    for line in octets.decode("utf-8", "replace").splitlines():
        click.echo(f"    | {line}")


def _show_how_to(stage: Stage) -> None:
    submission, trusted = stage.ports["submission"], stage.ports["trusted"]
    click.echo(
        f"""
Send your own:

    swaks --server 127.0.0.1:{submission} --tls \\
          --auth-user {LOGIN} --auth-password {stage.password} \\
          --from {SENDER} --to {RECIPIENT}

    printf 'From: {SENDER}\\r\\nSubject: Hello\\r\\n\\r\\nIt works.\\r\\n' | \\
    curl --url smtp://127.0.0.1:{trusted} --mail-from {SENDER} \\
         --mail-rcpt {RECIPIENT} -T -

Look at it in a browser, as {OPERATOR} with the password {stage.password}:

    {stage.console}

Break it: the mailbox loses SMTP AUTH. Send again, and the message waits. To mend it give the same
with false, and press Try now for the mailbox in the browser:

    curl http://127.0.0.1:{stage.microsoft["control"]}/rehearsal/switches \\
         -d '{{"mailboxes": {{"relay@contoso.example": {{"smtp_auth_disabled": true}}}}}}'

Look at the queue:

    {sys.argv[0]} --config {stage.folder / "m365gw.toml"} queue list
"""
    )


def _follow(stage: Stage, events: Iterator[dict[str, Any]]) -> None:
    click.echo("Waiting for your messages. Ctrl-C ends the demo.\n")
    for event in events:
        if event["event"] == "message.queued":
            _step("accepted", f"{event['qid']} from {event.get('client', 'a client')}")
        _tell(stage, event)


def _step(name: str, words: str) -> None:
    click.echo(f"{click.style(f'{name:>10}', bold=True)}  {words}")
