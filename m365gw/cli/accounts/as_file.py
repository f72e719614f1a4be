"""An entry as the configuration file has it, to be pasted there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any


def table(head: str, values: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table, "[[client]]"; what is empty is left out."""
    yield head
    for key, value in values.items():
        if value:
            # Texts and lists of texts are written alike in TOML and JSON, and days as they are.
            said = value if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
            yield f"{key} = {said}"
