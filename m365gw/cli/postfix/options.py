"""Command lines as getopt(3) reads them, with the words it has for what is wrong.

Postfix stops at the first argument that is no option; so does this. Letters stand for options,
those with a colon behind them want a value: "c:fps:".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator


class BadOption(Exception):
    """What the C library says of an option that does not exist, or lacks its value."""


class Options:
    """The options of a command line, one after the other; `rest` is what follows them.

    Arguments in `whole` are options that getopt could not read: `-q`, which elsewhere has a value.
    """

    def __init__(self, arguments: list[str], letters: str, whole: Collection[str] = ()) -> None:
        self.rest = list(arguments)
        self._letters = letters
        self._whole = whole

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Letter and value of each option; what is in `whole` is its own letter. Raises BadOption.

        The value is "" for options without one.
        """
        while self.rest:
            word = self.rest[0]
            if word in self._whole:
                yield self.rest.pop(0), ""
            elif word == "--":
                self.rest.pop(0)
                return
            elif word.startswith("-") and word != "-":
                yield from self._in(self.rest.pop(0)[1:])
            else:
                return

    def _in(self, cluster: str) -> Iterator[tuple[str, str]]:
        while cluster:
            letter, cluster = cluster[0], cluster[1:]
            place = self._letters.find(letter)
            if place < 0 or letter == ":":
                raise BadOption(f"invalid option -- '{letter}'")
            if self._letters[place + 1 : place + 2] != ":":
                yield letter, ""
                continue
            if not cluster and not self.rest:
                raise BadOption(f"option requires an argument -- '{letter}'")
            yield letter, cluster or self.rest.pop(0)
            return
