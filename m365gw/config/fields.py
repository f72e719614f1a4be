"""What settings are made of: kinds of values beyond Python's own, and fields with a meaning."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from attrs import Attribute, field

Seconds = Annotated[float, "duration"]
Octets = Annotated[int, "size"]
FileName = Annotated[str, "file name"]
Day = date | None


def setting(default: Any, meaning: str) -> Any:
    """A setting with its default and its meaning in words."""
    return field(default=default, metadata={"meaning": meaning})


def required(meaning: str, *, secret: bool = False) -> Any:
    """A setting that has no default and must be given; a secret one is never shown."""
    return field(repr=not secret, metadata={"meaning": meaning, "secret": secret})


def secret(meaning: str) -> Any:
    """A setting that no log, message or listing may show."""
    return field(default="", repr=False, metadata={"meaning": meaning, "secret": True})


def meaning_of(attribute: Attribute[Any]) -> str:
    """What a setting is for, in words."""
    return str(attribute.metadata.get("meaning", ""))
