"""Writes the man pages: one for each command, from the commands themselves, and m365gw.toml(5).

python docs/make_man.py FOLDER
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import attrs
import click
from click_man.core import write_man_pages

from m365gw import __version__
from m365gw.cli.main import COMMANDS, POSTFIX, main
from m365gw.config.fields import meaning_of
from m365gw.config.settings import Settings

DOCS = Path(__file__).parent

HEAD = """\
.TH "M365GW.TOML" "5" "" "m365gw {version}" "m365gw"
.SH NAME
m365gw.toml \\- configuration of the SMTP gateway to Microsoft 365
.SH SYNOPSIS
.B /etc/m365gw/m365gw.toml
.br
.B /etc/m365gw/conf.d/*.toml
.SH DESCRIPTION
TOML. Each setting can also be given as a variable: M365GW_ and its path in capitals, with two
underscores between the parts. m365gw\\-check(1) shows every error, and where each value came from.
"""


def write(folder: Path) -> None:
    """All pages, into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_man_pages("m365gw", _eager(main), version=__version__, target_dir=str(folder))
    text = HEAD.format(version=__version__) + _tables()
    (folder / "m365gw.toml.5").write_text(text, encoding="utf-8")


def _eager(group: click.Group) -> click.Group:
    """The same group with all its commands at hand, but for those of Postfix, which have pages."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    commands = {name: each for name, each in found.items() if each and name not in POSTFIX}
    for name, command in commands.items():
        command.short_help = COMMANDS[name][1]
    whole = click.Group(group.name, commands, params=group.params, help=group.help)
    whole.short_help = "store-and-forward SMTP gateway to Microsoft 365"
    whole.epilog = group.epilog
    return whole


def _tables() -> str:
    reference: dict[str, Any] = runpy.run_path(str(DOCS / "make_configuration.py"))
    lines: list[str] = []

    def table(kind: type[Any], path: str, meaning: str) -> None:
        lines.append(f'.SH "{path.upper() or "BEFORE ANY TABLE"}"')
        lines.append(_roff(meaning))
        hints = reference["get_type_hints"](kind, include_extras=True)
        inner = []
        for attribute in attrs.fields(kind):
            hint = hints[attribute.name]
            found = reference["_table_in"](hint)
            if found is not None:
                inner.append((attribute, *found))
                continue
            is_required = attribute.default is attrs.NOTHING
            default = "required" if is_required else reference["_written"](attribute.default, hint)
            shape = reference["_kind"](hint).replace("`", "")
            lines.extend([".TP", f".B {_roff(attribute.name)}"])
            said = f"{meaning_of(attribute)} ({shape}; {default.strip('`') or 'none'})"
            lines.append(_roff(said))
        for attribute, row, form in inner:
            name = f"{path.strip('[]')}.{attribute.name}".lstrip(".")
            table(row, form.format(name), meaning_of(attribute))

    table(Settings, "", "The beginning of the file.")
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Text of which nothing is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    write(Path(sys.argv[1]))
