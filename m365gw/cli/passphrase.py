"""The passphrase of a backup: asked for without showing it, or read from a file. Never an argument,
which every user of the machine could see.
"""

from __future__ import annotations

from pathlib import Path

import click

from m365gw.cli.directory import end, told
from m365gw.config.files import is_open_to_all
from m365gw.directory.passphrase import SHORTEST

passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False),
    help="File whose first line is the passphrase, instead of asking for it.",
)


def new_passphrase(file: str | None) -> str:
    """One to seal with: asked for twice, or in a file that not everybody can read; not too short.

    What opens something may lie in any file: it is too late to hide it.
    """
    with told():
        if file and is_open_to_all(file):
            end(f"{file} can be read by everybody: chmod o-rwx {file}")
    phrase = _in_file(file) if file else _asked(is_new=True)
    if len(phrase) < SHORTEST:
        end(f"The passphrase is too short: {SHORTEST} characters at least; several words are best.")
    return phrase


def known_passphrase(file: str | None) -> str:
    """The one that something was sealed with."""
    return _in_file(file) if file else _asked(is_new=False)


def _asked(*, is_new: bool) -> str:
    try:
        return str(
            click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
        )
    except click.Abort:
        raise click.UsageError(
            "Nobody gave a passphrase. Name a file that holds it: --passphrase-file FILE"
        ) from None


def _in_file(file: str) -> str:
    with told():
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            end(f"{file} is not text in UTF-8.")
    return lines[0] if lines else ""
