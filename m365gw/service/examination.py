"""The doctor inside of the running service: with its tokens, and what only it knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from m365gw.config.settings import Settings
from m365gw.doctor.doctor import Doctor, Heard
from m365gw.doctor.equipment import equip
from m365gw.doctor.tools import Facts
from m365gw.events import EventLog
from m365gw.relay.threads import Threads
from m365gw.relay.tokens.tokens import Tokens
from m365gw.service.status import Status

THREADS = 4  # of its own: a check that hangs keeps nobody else waiting


class Examination:
    """Examines with the settings of the moment. `settings` gives them, `revision` that of the
    directory's entries among them."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        revision: Callable[[], int | None],
        status: Status,
        tokens: Tokens,
        reactor: Any,
        log: EventLog,
    ) -> None:
        self._settings = settings
        self._revision = revision
        self._status = status
        self._tokens = tokens
        self._reactor = reactor
        self._log = log
        self._threads = Threads(reactor, THREADS, "doctor", may_be_left=True)

    @property
    def mailboxes(self) -> Sequence[str]:
        """The addresses there are."""
        return [mailbox.address for mailbox in self._settings().mailbox]

    async def __call__(
        self, addresses: Sequence[str], *, send: bool, heard: Heard
    ) -> dict[str, Any]:
        """The report, as JSON says it; `heard` is told each finding as it comes."""
        settings = self._settings()
        tools = equip(
            settings,
            self._reactor,
            self._threads,
            self._log,
            tokens=self._tokens,
            facts=self._facts,
        )
        report = await Doctor(tools).examine(settings, addresses, send=send, heard=heard)
        return report.plain()

    async def stop(self) -> None:
        """Let go of the threads."""
        await self._threads.stop()

    def _facts(self) -> Facts:
        return Facts(
            is_running=True,
            places=tuple(self._status.status()["listeners"]),
            mailboxes=tuple(self._status.mailboxes()),
            revision=self._revision(),
        )
