"""Looks whether the entries made beside the configuration have changed, or cannot be read.

Whoever has changed something, this process or another, it is noticed within `LOOK_EVERY` seconds.
While the database cannot be used mail flows as before and nothing can be changed, and an incident
says so; once it is back it is read anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from m365gw.config.problems import Problem
from m365gw.directory.database import DirectoryError
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.threads import Calls
from m365gw.service.made_entries import MadeEntries

UNREACHABLE = "directory-unreachable"  # the keys of its incidents
UNFIT = "directory-entries"
LOOK_EVERY = 5.0  # seconds
MOST_TOLD = 5  # problems an incident names

_diagnostics = Logger()


class DirectoryWatch:
    """Looks from `start` to `stop`.

    `refresh` makes the gateway go on with the entries as they are; it may raise what it likes.
    """

    def __init__(
        self,
        made: MadeEntries,
        calls: Calls,
        refresh: Callable[[], Awaitable[Any]],
        clock: IReactorTime,
        incidents: Incidents,
    ) -> None:
        self._made = made
        self._calls = calls
        self._refresh = refresh
        self._clock = clock
        self._incidents = incidents
        self._again: IDelayedCall | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Say how it stands, and look from now on."""
        self.say()
        self._again = self._clock.callLater(LOOK_EVERY, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped = True
        if self._again is not None and self._again.active():
            self._again.cancel()

    def say(self) -> None:
        """Open or close the incidents, by what the last reading has shown."""
        if self._made.failure:
            self._incidents.open(_unreachable(self._made.failure), level="error")
        else:
            self._incidents.close(UNREACHABLE)
        if self._made.problems:
            self._incidents.open(_unfit(self._made.problems))
        else:
            self._incidents.close(UNFIT)

    def _look(self) -> None:
        looking = Deferred.fromCoroutine(self._compare())
        looking.addErrback(lambda fault: _diagnostics.failure("directory", failure=fault))
        looking.addCallback(self._look_again)

    def _look_again(self, _: object) -> None:
        if not self._is_stopped:
            self._again = self._clock.callLater(LOOK_EVERY, self._look)

    async def _compare(self) -> None:
        try:
            revision = await self._calls.call(self._made.current_revision)
        except DirectoryError as error:
            self._made.failure = str(error)
        else:
            if revision != self._made.revision and not self._is_stopped:
                await self._refresh()
        if not self._is_stopped:
            self.say()


def _unreachable(why: str) -> Diagnosis:
    return Diagnosis(
        UNREACHABLE,
        "The database of mailboxes, clients and sign-ins cannot be used. Mail flows, with the"
        " entries last known; nothing can be changed.",
        why,
        "Mend what is named; the service tries again by itself. Mailboxes that a person signed in"
        " send as long as their last token lives, an hour at most; their mail then waits.",
        "operator",
    )


def _unfit(problems: tuple[Problem, ...]) -> Diagnosis:
    told = [f"{problem.place}: {problem.fault.rstrip('.')}." for problem in problems[:MOST_TOLD]]
    more = len(problems) - len(told)
    return Diagnosis(
        UNFIT,
        "Not all entries made beside the configuration can be used: they are left out, or their"
        " mail waits.",
        " ".join([*told, f"And {more} more." if more else ""]).strip(),
        "Put back what they need, or change or remove each (m365gw mailbox, client, network).",
        "operator",
    )
