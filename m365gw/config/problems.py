"""What is wrong with a configuration: the place, the fault and the remedy, all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

from attrs import frozen


@frozen
class Problem:
    """One fault. `place` is "file:line  key" or "environment  NAME"."""

    place: str
    fault: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"\n    {self.remedy}" if self.remedy else ""
        return f"{self.place}  {self.fault}{remedy}"


class ConfigError(Exception):
    """The configuration cannot be used. Carries every problem that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} error{'s' if len(problems) != 1 else ''}"
        super().__init__(
            "\n".join([*map(str, problems), f"{count}; the service does not start with this."])
        )


def suggestion(
    word: str, known: Iterable[str], written: Callable[[str], str] = lambda name: name
) -> str:
    """'Did you mean "x"?' for the known word that is nearest, else the list of known words.

    `written` gives a word as its source writes it.
    """
    known = list(known)
    containing = [name for name in known if word and word.lower() in name.lower()]
    near = containing or get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f'Did you mean "{written(near[0])}"?'
    return f"Known here: {', '.join(map(written, sorted(known)))}." if known else ""
