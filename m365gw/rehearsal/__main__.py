"""Runs a rehearsal alone: `python -m m365gw.rehearsal --folder DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from m365gw.rehearsal.limits import Limits
from m365gw.rehearsal.props import lay_out_certificate
from m365gw.rehearsal.record import Record
from m365gw.rehearsal.rehearsal import Ports, Rehearsal
from m365gw.rehearsal.tenant import APP_ID

READY = "rehearsal.json"  # in the folder when the rehearsal listens


@click.command("rehearsal")
@click.option(
    "--folder", type=click.Path(path_type=Path), required=True, help="For certificates and ports."
)
@click.option("--interface", default="127.0.0.1", show_default=True, help="Loopback address.")
@click.option("--smtp-port", default=0, help="0: any free port.")
@click.option("--https-port", default=0, help="0: any free port.")
@click.option("--control-port", default=0, help="0: any free port.")
@click.option("--mx-port", default=0, help="0: any free port.")
@click.option("--no-limits", is_flag=True, help="No limits on speed and amount, no delays.")
@click.option("--digests-only", is_flag=True, help="Keep sizes and digests, not contents.")
@click.option("--mail-folder", type=click.Path(path_type=Path), help="Also write messages there.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="One more certificate (PEM) that the app knows, beside FOLDER/app.pem.",
)
@click.option("--verbose", is_flag=True, help="Log every connection and message.")
def main(
    folder: Path,
    interface: str,
    smtp_port: int,
    https_port: int,
    control_port: int,
    mx_port: int,
    no_limits: bool,
    digests_only: bool,
    mail_folder: Path | None,
    certificate: Path | None,
    verbose: bool,
) -> None:
    """A pretend Microsoft 365 on loopback, for rehearsals and tests. It is not Microsoft.

    When it listens, FOLDER/rehearsal.json names its ports and FOLDER/cloud.toml is what the
    configuration of a gateway needs, with a mailbox for each way to sign in. docs/rehearsal.md
    shows how to use it, and how to break it.
    """
    level = LogLevel.debug if verbose else LogLevel.info
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)

    uploaded = certificate.read_bytes() if certificate is not None else b""

    async def run(reactor: Any) -> None:
        (folder / READY).unlink(missing_ok=True)
        rehearsal = Rehearsal(
            folder,
            reactor=reactor,
            interface=interface,
            ports=Ports(smtp_port, https_port, control_port, mx_port),
            limits=Limits.off() if no_limits else Limits(),
            record=Record(mail_folder, contents=not digests_only),
        )
        lay_out_certificate(folder, rehearsal.tenant)
        if uploaded:
            rehearsal.tenant.register_certificate(APP_ID, uploaded)
        try:
            await rehearsal.start()
        except CannotListenError as error:
            click.echo(f"{error} Choose another port, or 0 for any free one.", err=True)
            raise SystemExit(1) from None
        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromCoroutine(rehearsal.stop())
        )
        announce(rehearsal, folder)
        await Deferred()

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


def announce(rehearsal: Rehearsal, folder: Path) -> None:
    """Writes where the rehearsal listens; who waits for the file finds it whole."""
    (folder / "cloud.toml").write_text(rehearsal.settings_toml())
    partial = folder / f"{READY}.partial"
    facts = {**rehearsal.ports(), "ca_file": str(rehearsal.certificates.authority.resolve())}
    partial.write_text(json.dumps({**facts, "tenant": rehearsal.tenant.tenant_id}))
    partial.replace(folder / READY)
    click.echo(rehearsal.settings_toml())


if __name__ == "__main__":
    main()
