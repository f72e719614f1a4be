"""Who was refused lately for a sender he may not be: what an operator may want to allow by a click.

Read from the end of the log (`log_tail`), so it is as old as that, and nothing is kept beside it.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from m365gw.log_tail import Filter, LogTail

MOST: Final = 2000  # refusals that are looked at
_REPLY: Final = "553 5.7.1"  # of `edge.admission.rules`


@frozen
class Foreign:
    """A login, or an address without one, that tried to be this sender."""

    login: str
    client: str
    sender: str
    count: int
    at: float  # of the last time, in seconds since 1970


def foreign_senders(tail: LogTail) -> list[Foreign]:
    """The last of each, the newest first."""
    found: dict[tuple[str, str, str], Foreign] = {}
    for entry in tail.last(Filter(text="message.refused"), MOST):
        if entry.event != "message.refused" or not entry.note.startswith(_REPLY):
            continue
        said = {name: str(value) for name, value in entry.fields}
        login, sender = said.get("sasl_username", ""), said.get("from", "")
        client = said.get("client", "").partition("[")[2].rstrip("]")
        key = (login, "" if login else client, sender)
        before = found.pop(key, Foreign(login, client, sender, 0, 0.0))
        found[key] = evolve(before, client=client, count=before.count + 1, at=entry.at)
    return list(reversed(found.values()))
