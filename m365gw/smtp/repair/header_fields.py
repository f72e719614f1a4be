"""The header section of a message as a list of fields, each octet for octet as it came.

For changing a few fields and leaving all others alone: `HeaderFields.parse` cuts, `octets` puts
together again what it cut. Tolerant of what is met: bare line feeds, no space after the colon, a
space before it, fields of any length. Nothing here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import evolve, frozen

LINE_LIMIT = 998  # octets of a line without its end, RFC 5322 2.1.1

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")  # as `headers` has it
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


@frozen
class Field:
    """One field: its name in lower case, and all its octets with the line end."""

    name: str
    octets: bytes

    @property
    def value(self) -> bytes:
        """What stands behind the colon, unfolded."""
        return _FOLD.sub(b"", self.octets.partition(b":")[2]).strip()

    @property
    def title(self) -> bytes:
        """The name as it is written."""
        return self.octets.partition(b":")[0].rstrip(b" \t")

    def with_value(self, value: bytes) -> Field:
        """The same field with another value, which may be folded."""
        return evolve(self, octets=self.title + b": " + value + b"\r\n")


def field(title: str, value: str) -> Field:
    """A new field of ASCII text."""
    return Field(title.lower(), f"{title}: {value}\r\n".encode("ascii"))


@frozen
class HeaderFields:
    """The fields of a header section, and the blank line that ends it, b"" when there is none."""

    fields: tuple[Field, ...]
    blank_line: bytes

    @classmethod
    def parse(cls, octets: bytes) -> tuple[HeaderFields, int]:
        """The header at the beginning of these octets, and how many of them it takes.

        It ends with its blank line, or before the first line that is no field.
        """
        found: list[tuple[str, list[bytes]]] = []
        length = 0
        for line in _lines(octets):
            if line in (b"\r\n", b"\n"):
                return cls(_fields(found), line), length + len(line)
            match = _FIELD.match(line)
            if match is not None:
                found.append((match[1].decode("ascii").lower(), [line]))
            elif found and line[:1] in (b" ", b"\t"):
                found[-1][1].append(line)
            else:
                break
            length += len(line)
        return cls(_fields(found), b""), length

    def __contains__(self, name: str) -> bool:
        return any(one.name == name for one in self.fields)

    def all(self, name: str) -> list[Field]:
        """The fields of this name, in their order."""
        return [one for one in self.fields if one.name == name]

    def by_name(self) -> dict[str, list[Field]]:
        """All fields by their name, those of one name in their order."""
        found: dict[str, list[Field]] = {}
        for one in self.fields:
            found.setdefault(one.name, []).append(one)
        return found

    def extended(self, *new: Field) -> HeaderFields:
        """The header with more fields, and a blank line behind them, whatever it ended with."""
        fields = self.fields
        if fields and not fields[-1].octets.endswith(b"\n"):
            ended = fields[-1].octets.removesuffix(b"\r") + b"\r\n"
            fields = (*fields[:-1], evolve(fields[-1], octets=ended))
        return HeaderFields((*fields, *new), self.blank_line or b"\r\n")

    def octets(self) -> bytes:
        """The header section as it goes on the wire."""
        return b"".join(one.octets for one in self.fields) + self.blank_line


def signed_names(header: HeaderFields) -> frozenset[str]:
    """Fields a DKIM signature of the message covers (RFC 6376 3.5, tag h), present or not."""
    names: set[str] = set()
    for signature in header.all("dkim-signature"):
        for tag in signature.value.split(b";"):
            key, _, value = tag.partition(b"=")
            if key.strip() == b"h":
                listed = value.decode("ascii", "replace").split(":")
                names.update(name.strip().lower() for name in listed)
    return frozenset(names)


def _fields(found: list[tuple[str, list[bytes]]]) -> tuple[Field, ...]:
    return tuple(Field(name, b"".join(lines)) for name, lines in found)


def _lines(octets: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(octets):
        end = octets.find(b"\n", start) + 1 or len(octets)
        yield octets[start:end]
        start = end
