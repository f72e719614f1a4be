"""What a mailbox without a person proves itself by: given to a command, or made by it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any

import click
from attrs import define

from m365gw.cli.accounts.options import Command, end
from m365gw.cli.accounts.secrets import secret_octets, secret_text

DAYS = 730  # of a certificate made here; Entra takes longer ones, people forget them
EX_CANTCREAT = 73
_BEGINS = "-----BEGIN CERTIFICATE-----"


@define
class Credential:
    """The credential options of one command. `made` is the certificate it made, to be uploaded."""

    secret_file: str | None = None
    certificate_file: str | None = None
    is_generated: bool = False
    days: int = DAYS
    saved_as: str | None = None  # where the certificate goes; None: it is printed
    made: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether any was named."""
        return bool(self.secret_file or self.certificate_file or self.is_generated)

    def values(self, flow: str, address: str) -> dict[str, str]:
        """What the registry is given for this flow: secrets it seals. Asks where it must."""
        if flow == "secret":
            return {"client_secret": secret_text(self.secret_file, "Client secret")}
        if flow != "certificate":
            return {}
        if self.is_generated:
            return {"certificate": self._generated(address)}
        if self.certificate_file is None:
            raise click.UsageError(
                'Flow "certificate" needs --generate (a key and a certificate are made), or '
                "--certificate FILE (a PEM file with both)."
            )
        pem = secret_octets(self.certificate_file)
        text = pem.decode("ascii", "replace")
        if _BEGINS not in text or "PRIVATE KEY-----" not in text:
            end(65, f"{self.certificate_file} is no PEM file with a private key and a certificate.")
        return {"certificate": text}

    def as_file(self, flow: str) -> dict[str, str]:
        """What the configuration file names instead: files that hold the secret."""
        if flow == "secret":
            return {"client_secret_file": self.secret_file or "client-secret.txt"}
        if flow == "certificate":
            return {"certificate_file": self.certificate_file or "certificate.pem"}
        return {}

    def how_to_upload(self) -> Iterator[str]:
        """The certificate that was made, and where Entra takes it."""
        return upload(self.made or "", self.days, self.saved_as)

    def _generated(self, address: str) -> str:
        from m365gw.directory.certificates import new_certificate

        check_is_new(self.saved_as)
        pem = new_certificate(address, self.days).decode("ascii")
        self.made = pem[pem.index(_BEGINS) :]
        return pem


def check_is_new(file: str | None) -> None:
    """End the command with 73 where a file is in the way, before anything is made."""
    if file is not None and os.path.lexists(file):
        end(EX_CANTCREAT, f"{file} is there already. Name a new file.")


def save(certificate: str, file: str | None) -> None:
    """Write a certificate to a new file, if one is named; else the command ends with 73."""
    try:
        if file is not None:
            with open(file, "x", encoding="ascii") as stream:
                stream.write(certificate)
    except OSError as error:
        end(EX_CANTCREAT, f"{file} cannot be written: {error.strerror}. Name a new file.")


def upload(certificate: str, days: int, file: str | None) -> Iterator[str]:
    """Write a certificate that was made, or show it, and say where Entra takes it."""
    save(certificate, file)
    where = f"{file} is" if file else "Below is"
    yield f"{where} its certificate, good for {days} days; the key stays here, sealed."
    yield "Upload it: entra.microsoft.com, App registrations, your app, Certificates & secrets,"
    yield "Certificates, Upload certificate (save it as a .cer file)."
    if not file:
        yield certificate


def with_credential(command: Command) -> Command:
    """Gives a command the options for a client secret or a certificate, as `credential`."""

    @click.option(
        "--secret-file",
        type=click.Path(),
        help='File that holds the client secret; "-": standard input. [default: asked, unseen]',
    )
    @click.option(
        "--certificate",
        "certificate_file",
        type=click.Path(),
        help='PEM file with private key and certificate; "-": standard input.',
    )
    @click.option(
        "--generate", "is_generated", is_flag=True, help="Make a key and a certificate here."
    )
    @click.option(
        "--days",
        type=click.IntRange(1, 3650),
        default=DAYS,
        show_default=True,
        help="How long a certificate made here is good.",
    )
    @click.option(
        "--cer", "saved_as", type=click.Path(), help="Write the certificate here, for the upload."
    )
    @functools.wraps(command)
    def run(
        *arguments: Any,
        secret_file: str | None,
        certificate_file: str | None,
        is_generated: bool,
        days: int,
        saved_as: str | None,
        **options: Any,
    ) -> Any:
        credential = Credential(secret_file, certificate_file, is_generated, days, saved_as)
        return command(*arguments, credential=credential, **options)

    return run
