"""Commands that diagnoses and errors tell people to run: they exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

import m365gw
from m365gw.cli.main import COMMANDS, main

_NAMED = re.compile(r"m365gw(?: --config \S+)? ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
PROSE = frozenset(
    {"command", "does", "has", "reads", "takes", "was", "writes"}
)  # "m365gw takes mail"


class NamedCommandsTests(SynchronousTestCase):
    def test_commands_in_remedies_exist(self) -> None:
        """A remedy at 2 a.m. must not be a command somebody means to write one day."""
        seen = 0
        for module in sorted(Path(m365gw.__file__).parent.rglob("*.py")):
            for text in said(module):
                for command, subcommand in _NAMED.findall(text):
                    if command in PROSE:
                        continue
                    with self.subTest(module=module.name, text=text):
                        self.assertIn(command, COMMANDS)
                        group = main.get_command(click.Context(main), command)
                        if isinstance(group, click.Group) and subcommand:
                            self.assertIn(subcommand, group.commands)
                    seen += 1
        self.assertGreater(seen, 20)


def said(module: Path) -> Iterator[str]:
    """The texts of a module, without its docstrings."""
    tree = ast.parse(module.read_text())
    comments = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in comments:
            yield node.value
