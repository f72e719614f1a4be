"""Postfix's main.cf and its tables of text, as postconf(5) and postmap(1) say they are written.

A line that begins with a blank goes on with the one before; `$name`, `${name}` and `$(name)` stand
for other values. What only Postfix can know (`${name?...}`, tables of a server) is said to be so.

Failures: ValueError, whose text says what cannot be followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

DEFAULTS: Final = MappingProxyType(
    {
        "mydomain": "localdomain",
        "myorigin": "$myhostname",
        "myhostname": "localhost",
        "queue_directory": "/var/spool/postfix",
        "relayhost": "",
        "smtpd_relay_restrictions": (
            "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination"
        ),
    }
)
TEXT_TABLES: Final = ("hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash")
_REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z0-9_]+)|\{([^{}]*)\}|\(([^()]*)\)|[{(])")
_DEEPEST = 20


@frozen
class MainCf:
    """The settings that stand in the file, unexpanded; the last of a name counts, as there."""

    settings: Mapping[str, str]

    def value(self, name: str, depth: int = 0) -> str:
        """A setting with all it refers to; "" for one that is not there. Raises ValueError."""
        if depth > _DEEPEST:
            raise ValueError(f"{name} refers to itself")
        raw = self.settings.get(name, DEFAULTS.get(name, ""))

        def referred(match: re.Match[str]) -> str:
            dollar, *names = match.groups()
            other = next((each for each in names if each is not None), "").strip()
            if dollar:
                return "$"
            if not re.fullmatch(r"[A-Za-z0-9_]+", other):
                raise ValueError(f"{name} depends on {match[0]}, which only Postfix can say")
            return self.value(other, depth + 1)

        return _REFERENCE.sub(referred, raw)

    def is_referred_to(self, name: str) -> bool:
        """Whether another setting refers to this one."""
        reference = re.compile(rf"\$[({{]?{name}\b")
        return any(reference.search(raw) for raw in self.settings.values())

    def words(self, name: str) -> list[str]:
        """The words of a setting that is a list. Raises ValueError."""
        return [word for word in re.split(r"[,\s]+", self.value(name)) if word]


def main_cf(text: str) -> tuple[MainCf, list[int]]:
    """The settings, and the numbers of lines that are none."""
    settings, odd = {}, []
    for number, line in logical_lines(text):
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Za-z0-9_]+", name.strip()):
            settings[name.strip()] = value.strip()
        else:
            odd.append(number)
    return MainCf(settings), odd


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with what goes on with it, and the number it begins at; no comments."""
    began, whole = 0, ""
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" and began:
            whole += f" {line.strip()}"
            continue
        if began:
            yield began, whole
        began, whole = number, line.strip()
    if began:
        yield began, whole


def rows_of_table(text: str) -> Iterator[tuple[int, str, str]]:
    """Number, key and value of each row of a table of text; a row without a value has none."""
    for number, line in logical_lines(text):
        key, _, value = line.replace("\t", " ").partition(" ")
        yield number, key, value.strip()


def table_files(words: str) -> list[str]:
    """The text files of tables as `hash:/etc/postfix/x, hash:/etc/y`. Raises ValueError."""
    files = []
    for word in re.split(r"[,\s]+", words.strip()):
        kind, _, path = word.rpartition(":")
        if not word:
            continue
        if kind not in TEXT_TABLES or not path.startswith("/"):
            raise ValueError(f"{word} is no table of text, and is not looked into")
        files.append(path)
    return files
