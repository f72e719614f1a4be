r"""What stands in the pages: their blocks of code, and the commands in these.

A line of a `console` block that begins with a prompt (`$ `, or `# ` for root) is a command; a line
that follows a `\` or begins with `> ` goes on with it; all other lines are what it shows. An `sh`
block is one script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"[$#] (?=\S)")


@frozen
class Block:
    """A block of code: its page as named in the repository, where it begins, what it is."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@frozen
class Command:
    """What a reader would type, and the lines the page shows beneath it."""

    place: str
    line: str
    shown: tuple[str, ...] = field(default=())


def pages() -> list[Path]:
    """Everything that is written for people to read."""
    return [
        *sorted(ROOT.glob("*.md")),
        *(path for top in ("docs", "etc", "bench") for path in sorted((ROOT / top).rglob("*.md"))),
    ]


def blocks(*languages: str) -> Iterator[Block]:
    """All blocks in these languages, page by page; a block that is indented loses that."""
    for path in pages():
        page, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            if found[2] in languages:
                line = text.count("\n", 0, found.start()) + 1
                yield Block(page, line, found[2], re.sub(f"(?m)^{found[1]}", "", found[3]))


def block_with(page: str, text: str) -> Block:
    """The one block of commands of this page that has this in it; `ValueError` if there is not."""
    found = [each for each in blocks("console", "sh") if each.page == page and text in each.text]
    if len(found) != 1:
        raise ValueError(f"{page}: {len(found)} blocks have {text!r} in them, and not one")
    return found[0]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a `console` or `sh` block, in order."""
    if block.language == "sh":
        yield Command(block.place, block.text)
        return
    place, line, is_open = "", "", False
    shown: list[str] = []
    for number, text in enumerate(block.text.splitlines(), block.line + 1):
        prompt = _PROMPT.match(text)
        if is_open or text.startswith("> "):
            line += "\n" + text.removeprefix("> ")
        elif prompt:
            if line:
                yield Command(place, line, tuple(shown))
            place, line, shown = f"{block.page}:{number}", text[prompt.end() :], []
        else:
            shown.append(text)
        is_open = line.endswith("\\") and not shown
    if line:
        yield Command(place, line, tuple(shown))


def plain(command: Command) -> str:
    """What is typed, without the remark behind it."""
    return re.sub(r"\s# .*", "", command.line).rstrip()
