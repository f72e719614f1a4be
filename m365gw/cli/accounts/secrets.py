"""Secrets given to a command: read from a file, from standard input, or asked for without echo.

Never an argument: those are seen by every user of the machine, and kept in the shell's history.
"""

from __future__ import annotations

import click

from m365gw.cli.accounts.options import end

LONGEST = 32768  # octets; a PFX with its chain has a tenth of it
EX_NOINPUT = 66


def secret_text(file: str | None, question: str) -> str:
    """A secret of one line: from a file ("-" is standard input), else asked for, unseen."""
    if file is not None:
        try:
            text = secret_octets(file).decode("utf-8").strip()
        except UnicodeDecodeError:
            end(EX_NOINPUT, f"{_name(file)} is not text in UTF-8.")
        return text or end(EX_NOINPUT, f"{_name(file)} is empty.")
    try:
        return str(click.prompt(question, hide_input=True, err=True)).strip()
    except click.Abort:
        raise click.UsageError(f"Nobody answered: {question}. Or name a file with it.") from None


def secret_octets(file: str) -> bytes:
    """What a file holds, or ("-") standard input; without it the command ends with 66."""
    try:
        with click.open_file(file, "rb") as stream:
            octets = stream.read(LONGEST + 1)
    except OSError as error:
        end(EX_NOINPUT, f"{_name(file)} cannot be read: {error.strerror}.")
    if len(octets) > LONGEST:
        end(EX_NOINPUT, f"{_name(file)} is longer than any secret ({LONGEST:,} octets).")
    return bytes(octets)


def _name(file: str) -> str:
    return "Standard input" if file == "-" else file
