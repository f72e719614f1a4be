"""What an import did, or would do, as text for whoever gave the command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from m365gw.cli.words import escaped

_DONE: Final = {
    "made": "made",
    "new": "would be made",
    "there": "is there already, and stays as it is",
    "there-otherwise": "is there already, with other settings; it stays as it is",
    "in-file": "stands in the configuration, and stays as it is",
    "refused": "would be refused",
}
_SIGN_IN: Final = {
    "made": "taken over; Microsoft is asked with it when a token is needed",
    "new": "would be taken over, if there is none yet",
    "there-otherwise": "belongs to another app than the mailbox has here; sign in anew",
}
_HEADS: Final = (
    ("left_out", "Not taken over:"),
    ("broken", "Could not be read:"),
)


def lines(said: dict[str, Any], since: str) -> Iterator[str]:
    """The report; `since` says from when on it holds, "" for now."""
    for row in said["entries"]:
        kind = "login" if row["table"] == "client" else row["table"]
        yield f"{kind:<9} {escaped(row['name'])}: {_done(row, said)}"
    for key, head in _HEADS:
        if said[key]:
            yield head
        for remark in said[key]:
            yield f"  {escaped(remark['place'])}: {escaped(remark['why'])}"
    if said["is_made"]:
        is_changed = any(row["done"] == "made" for row in said["entries"])
        yield f"What was made holds{since or ' now'}." if is_changed else "Nothing was changed."
    if said["advice"] and said["entries"]:
        yield "No port was opened, as the old program may still use it. When it does no more:"
        yield from (f"  {escaped(words)}" for words in said["advice"])


def _done(row: dict[str, str], said: dict[str, Any]) -> str:
    if row["table"] == "sign-in":
        return _SIGN_IN.get(row["done"], _DONE["there"])
    words = _DONE[row["done"]]
    is_new = row["table"] == "client" and row["name"] in said["new_passwords"]
    return f"{words}, with a new password" if is_new and row["done"] in ("made", "new") else words
