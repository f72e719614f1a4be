"""What an answer of Microsoft Graph to sendMail asks of us.

Graph answers with an HTTP status and, in a JSON body, the name of an error. The name is looked up
first, then the status; what neither names is temporary. Only 202 means that the message was taken:
200 has been seen for messages that were never sent.

An answer is kept where replies of SMTP are kept, as a `Reply` of code 0 whose text begins with
"Microsoft Graph:"; `known` reads it back. So does it with the words for a message that Graph
cannot carry (`graph_obstacles`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from attrs import evolve, frozen

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.graph_obstacles import OBSTACLES
from m365gw.microsoft.reactions import Action, Reaction
from m365gw.microsoft.rows import Phase
from m365gw.microsoft.rows_graph import LOST, ROWS, UNKNOWN, UNREACHABLE, UNTRUSTED, GraphRow
from m365gw.smtp.replies import Reply

__all__ = ["LOST", "GraphAnswer", "known", "not_reached"]

LONGEST_RETRY_AFTER: Final = 3600.0
LONGEST_MESSAGE: Final = 200  # characters of Graph's own words that are kept

_KEPT = re.compile(
    r"Microsoft Graph: "
    r"(?:(?P<status>\d{3}) ?(?P<name>[\w.]*)|cannot carry it: (?P<obstacle>[a-z-]+)|(?P<words>.*))"
)
_NOT_REACHED, _NOT_TRUSTED = "not reached", "not trusted"
_NAME = re.compile(r"[\w.]{1,80}")
_SECRET = re.compile(r"[\w+/=.-]{40,}")  # what could be a piece of a token


@frozen
class GraphAnswer:
    """One answer: the HTTP status, the names of the error (the inner one last), Graph's words.

    `retry_after` is in seconds, 0 when Graph names no time; `request_id` is what Microsoft's
    support asks for.
    """

    status: int
    names: tuple[str, ...] = ()
    message: str = ""
    retry_after: float = 0.0
    request_id: str = ""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> GraphAnswer:
        """An answer as it came. `headers` by lower-case name. Never fails, whatever the body is."""
        error = _error(body)
        inner = error.get("innerError", error.get("innererror"))
        codes = (error.get("code"), inner.get("code") if isinstance(inner, dict) else None)
        message = error.get("message")
        return cls(
            status,
            tuple(code for code in codes if isinstance(code, str) and _NAME.fullmatch(code)),
            _words(message) if isinstance(message, str) else "",
            _seconds(headers.get("retry-after", "")),
            headers.get("request-id", "")[:64],
        )

    @property
    def row(self) -> GraphRow:
        """The row of the table that knows it."""
        names = () if 200 <= self.status < 300 else reversed(self.names)
        by_name = (row for name in names for row in ROWS if name.lower() in row.names)
        by_status = (row for row in ROWS if self.status in row.statuses)
        return next(chain(by_name, by_status), UNKNOWN)

    @property
    def reaction(self) -> Reaction:
        """What it asks for. A time Graph names is kept to."""
        reaction = self.row.reaction
        if self.retry_after and reaction.action in (Action.STOP, Action.FEWER_CONNECTIONS):
            longest = max(reaction.ceiling, self.retry_after) if reaction.ceiling else 0.0
            return evolve(reaction, seconds=self.retry_after, ceiling=longest)
        return reaction

    @property
    def reply(self) -> Reply:
        """The answer as logs, reports and the spool keep it."""
        words = " ".join((str(self.status), *(self.names[:1] or ["Accepted"] * self.is_ok)))
        message = f": {self.message}" if self.message else ""
        found = f" [request-id {self.request_id}]" if self.request_id else ""
        return Reply(0, self.row.dsn, f"Microsoft Graph: {words}{message}{found}")

    @property
    def phase(self) -> Phase:
        """How far the conversation came: a token that is refused comes before the message."""
        return Phase.AUTH if self.status == 401 else Phase.DATA

    @property
    def is_ok(self) -> bool:
        """Whether Graph has taken the message."""
        return self.reaction.action is Action.DONE

    @property
    def is_unsure(self) -> bool:
        """Whether Graph may have taken the message all the same."""
        return self.row.is_unsure or self.status in (502, 504)


def not_reached(words: str, *, is_trusted: bool) -> tuple[Reply, Reaction]:
    """There is no connection, in words; not `is_trusted`: the certificate does not verify."""
    how, reaction = (_NOT_REACHED, UNREACHABLE) if is_trusted else (_NOT_TRUSTED, UNTRUSTED)
    return Reply(0, "4.4.1", f"Microsoft Graph: {how}: {words}"), reaction


def known(reply: Reply) -> Diagnosis | None:
    """What a kept answer of Graph means; None when the reply is none."""
    found = _KEPT.search(reply.text)  # the spool may have put words before it
    if found is None:
        return None
    if found["status"]:
        names = (found["name"],) if found["name"] else ()
        return GraphAnswer(int(found["status"]), names).row.reaction.diagnosis
    if found["obstacle"] in OBSTACLES:
        return OBSTACLES[found["obstacle"]].diagnosis
    words = found["words"] or ""
    never = {_NOT_REACHED: UNREACHABLE, _NOT_TRUSTED: UNTRUSTED}
    return never.get(words.partition(":")[0], LOST).diagnosis


def _error(body: bytes) -> Mapping[str, Any]:
    """The error object of a body; an empty one for anything else, a proxy's page for example."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) else {}


def _words(message: str) -> str:
    """Graph's own words on one line, without brackets: what stands in those is our addition."""
    text = " ".join(_SECRET.sub("...", message).split()).replace("[", "(").replace("]", ")")
    return text[:LONGEST_MESSAGE]


def _seconds(text: str) -> float:
    """Retry-After in seconds; 0 when there is none, or when it is a date."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return 0.0
    return min(float(text), LONGEST_RETRY_AFTER)


def is_of_graph(diagnosis: Diagnosis) -> bool:
    """Whether it was Graph that said so: mail that passes by SMTP proves nothing about it then."""
    return diagnosis.key.startswith("graph-") or diagnosis == UNKNOWN.reaction.diagnosis
