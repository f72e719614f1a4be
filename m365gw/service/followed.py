"""One test mail under way: what has happened to it, and who waits for more. Nothing fails here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

_MICROSOFT_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>|\[InternalId=[^\]]+\]")
# The worst first.
_STATUSES = ("bounced", "held", "uncertain", "deferred", "sent")


@define
class Followed:
    """A test mail. Times are in seconds since 1970."""

    mailbox: str
    recipients: int
    sent_at: float
    queue_id: str = ""
    steps: list[dict[str, Any]] = field(factory=list)
    statuses: dict[str, str] = field(factory=dict)  # of each recipient that was tried
    _waiting: list[Deferred[None]] = field(factory=list)

    @property
    def outcome(self) -> str:
        """The worst that was said of a recipient in the last attempt; "" before its end."""
        if len(self.statuses) < self.recipients:
            return ""
        return next(each for each in _STATUSES if each in self.statuses.values())

    def add(self, at: float, step: str, words: str, **more: Any) -> None:
        """Something has happened: whoever waits for it is told."""
        self.steps.append({"at": at, "step": step, "words": words, **more})
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def take(self, event: str, note: str, fields: Mapping[str, object], at: float) -> None:
        """The log says this of it."""
        if event == "message.queued":
            self.add(at, "accepted", f"kept in the spool as {self.queue_id}")
        elif event == "delivery":
            status, found = str(fields["status"]), _MICROSOFT_ID.search(note)
            self.statuses[str(fields["to"])] = status
            words = f"to {fields['to']} by {fields['relay']}: {note}"
            reference = found.group() if found and status == "sent" else ""
            self.add(at, status, words, microsoft_id=reference)

    async def something(self, clock: IReactorTime, seconds: float) -> None:
        """Returns when something has happened, or after so long."""
        happened: Deferred[None] = Deferred()
        self._waiting.append(happened)
        bound = clock.callLater(seconds, self._give_up, happened)
        await happened
        if bound.active():
            bound.cancel()

    def _give_up(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)
        waiting.callback(None)
