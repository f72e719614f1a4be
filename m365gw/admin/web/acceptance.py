"""Whether Microsoft accepts a mailbox: asked again and again until it does.

What an administrator has just permitted takes minutes to hours to work, so one look proves little.
The doctor looks, and looks again every half minute, for as long as somebody might wait for it.
Failures: none leave here; what the doctor found is shown in its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from m365gw.admin.doctor_api import Examines

EVERY: Final = 30.0  # seconds between the end of a look and the next
PATIENCE: Final = 7200.0  # seconds until it is given up
MOST: Final = 20  # mailboxes

# What Microsoft has to do with, in the order in which one leads to the next.
CHECKS: Final = ("D01", "D02", "D03", "D04", "D05", "D06", "D07", "D08", "D09")

_diagnostics = Logger()


@define
class Asked:
    """How it stands with one mailbox. `state`: asking, waiting, accepted or over."""

    address: str
    began_at: float
    state: str = "asking"
    looks: int = 0
    findings: Sequence[dict[str, Any]] = field(factory=list)  # of the last look

    @property
    def is_busy(self) -> bool:
        return self.state in ("asking", "waiting")

    @property
    def failure(self) -> dict[str, Any] | None:
        """The first check that failed at the last look."""
        return next((each for each in self.findings if each["result"] == "fail"), None)


class Acceptance:
    """Asks for mailboxes. `changes` grows whenever there is something to show."""

    def __init__(self, examines: Examines, clock: IReactorTime) -> None:
        self._examines = examines
        self._clock = clock
        self._asked: dict[str, Asked] = {}
        self.changes = 0

    def of(self, address: str) -> Asked | None:
        """How it stands, if it was ever asked."""
        return self._asked.get(address.casefold())

    def ask(self, address: str) -> None:
        """Ask now, and again until it is accepted."""
        known = self.of(address)
        if known is not None and known.state == "asking":
            return
        self._asked.pop(address.casefold(), None)
        asked = self._asked[address.casefold()] = Asked(address, self._clock.seconds())
        if len(self._asked) > MOST:
            del self._asked[next(iter(self._asked))]
        self._go(asked)

    def _go(self, asked: Asked) -> None:
        if self.of(asked.address) is asked:
            looking = Deferred.fromCoroutine(self._look(asked))
            looking.addErrback(self._failed, asked)

    async def _look(self, asked: Asked) -> None:
        asked.state = "asking"
        self.changes += 1
        report = await self._examines([asked.address], send=False)
        mine = [each["findings"] for each in report["mailboxes"]]
        asked.findings = [
            each for each in (*report["gateway"], *sum(mine, [])) if each["id"] in CHECKS
        ]
        asked.looks += 1
        if mine and asked.failure is None:
            asked.state = "accepted"
        elif not mine or self._clock.seconds() - asked.began_at > PATIENCE:
            asked.state = "over"
        else:
            asked.state = "waiting"
            self._clock.callLater(EVERY, self._go, asked)
        self.changes += 1

    def _failed(self, fault: Any, asked: Asked) -> None:
        _diagnostics.failure("whether Microsoft accepts a mailbox", failure=fault)
        asked.state = "over"
        self.changes += 1
