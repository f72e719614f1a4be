"""The form of a rule: as whom, to whom, how much, and by which mailbox somebody may send.

A client and a network have the same fields for it. What was typed goes to the registry as the
configuration would have it; each problem comes back to the field it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Fields
from m365gw.config.problems import Problem

LISTS: Final = ("senders", "recipients", "deny_recipients")
TEXTS: Final = ("mailbox", "default_from", "foreign_sender", "foreign_from")
NUMBERS: Final = ("messages_per_hour", "recipients_per_day")
_CHOICES: Final = {"foreign_sender": "refuse", "foreign_from": "refuse"}

Values = dict[str, Any]


def said(fields: Fields, lists: Iterable[str] = ()) -> Values:
    """What was typed, as the registry takes it; None takes a setting back to its default."""
    values: Values = {name: fields.get(name) or None for name in TEXTS}
    values |= {name: members(fields.get(name)) or None for name in (*LISTS, *lists)}
    values["senders"] = values["senders"] or []
    values |= {name: _number(fields.get(name)) for name in NUMBERS}
    return values


def typed(fields: Fields, lists: Iterable[str] = ()) -> dict[str, str]:
    """What was typed, to be shown again."""
    return {name: fields.get(name) for name in (*TEXTS, *LISTS, *NUMBERS, *lists)}


def known(row: Values, lists: Iterable[str] = ()) -> dict[str, str]:
    """What an entry has, as the form shows it."""
    texts = {name: str(row.get(name) or _CHOICES.get(name, "")) for name in TEXTS}
    texts |= {name: "\n".join(row.get(name) or ()) for name in (*LISTS, *lists)}
    return texts | {name: str(row.get(name) or "") for name in NUMBERS}


def empty(lists: Iterable[str] = (), **known_already: str) -> dict[str, str]:
    """A form with nothing in it but this."""
    return known({}, lists) | known_already


def faults(problems: Sequence[Problem], fields: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The words for each field, and those for the form as a whole."""
    found, others = dict.fromkeys(fields, ""), []
    for problem in problems:
        name = re.split(r"[.\[]", problem.place.rpartition(" ")[2])[0]
        fault = f"{problem.fault[:1].upper()}{problem.fault[1:]}."
        words = f"{fault} {problem.remedy}".strip()
        if name in found and not found[name]:
            found[name] = words
        else:
            others.append(words)
    return found, others


def mailboxes(desk: Desk) -> list[tuple[str, str]]:
    """The mailboxes there are, as a choice."""
    return [(one.address, one.address) for one in desk.settings().mailbox]


def members(text: str) -> list[str]:
    """One on each line, or with commas between."""
    return [one for one in re.split(r"[\s,;]+", text) if one]


def _number(text: str) -> int | str | None:
    """A number; what is none goes on as it is, for the registry to say so."""
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else text or None
