"""JSON of other programs: looked into without trust in its shape.

Failures: `Unreadable`, with the line; no value is quoted, as it may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from m365gw.moving.places import Unreadable

Object = Mapping[str, Any]


def object_in(text: str, name: str) -> Object:
    """The JSON object of a text. Raises `Unreadable`."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(name, f"is not JSON: {error.msg}, line {error.lineno}") from None
    except (ValueError, RecursionError):  # a number of a million digits; a nest without end
        raise Unreadable(name, "is not JSON that anybody would write") from None
    if not isinstance(value, dict):
        raise Unreadable(name, "is JSON, but no object ({...})")
    return value


def text_at(value: Object, *path: str) -> str:
    """The text under these keys, without blanks around it; "" where there is none."""
    for key in path[:-1]:
        value = table_at(value, key)
    found = value.get(path[-1])
    return found.strip() if isinstance(found, str) else ""


def table_at(value: Object, key: str) -> Object:
    """The object under a key; an empty one where there is none."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def texts_at(value: Object, key: str) -> list[str]:
    """The texts in the list under a key; what is no text in it is left out."""
    found = value.get(key)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
