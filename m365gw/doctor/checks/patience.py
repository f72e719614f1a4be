"""D14: was a permission changed lately? Then a failure is no evidence yet.

Nobody can ask Microsoft whether a permission has arrived. What is known is when the same check
failed first: whoever mended it did so after that, and two hours later it must work.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Finding, Seen, doubtful, good, note
from m365gw.doctor.memory import Failure, Memory
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

WAIT: Final = 7200.0  # seconds until Microsoft acts on a permission
BY_PERMISSION: Final = ("D07", "D09", "D10", "D11")
_ADMINS: Final = ("exchange-admin", "entra-admin")


def look(memory: Memory) -> Callable[[Case], Awaitable[Seen]]:
    """D14, with what is remembered."""

    async def looked(case: Case) -> Seen:
        before = await case.tools.calls.call(memory.failures, case.mailbox.address)
        return judged(case.findings, before, case.tools.reactor.seconds())

    return looked


def judged(findings: dict[str, Finding], before: tuple[Failure, ...], now: float) -> Seen:
    """What the failures of now and of before say together."""
    tried = "what failed in the last examination"
    known = {(one.check, one.key): one.since for one in before if one.check in BY_PERMISSION}
    failing = [
        (finding.id, finding.seen.diagnosis.key)
        for name in BY_PERMISSION
        if (finding := findings.get(name)) is not None
        and finding.result == "fail"
        and finding.seen.diagnosis is not None
        and finding.seen.diagnosis.who in _ADMINS
    ]
    if not failing:
        mended = ", ".join(sorted({check for check, _ in known}))
        return good(tried, f"{mended} failed then and does no more" if mended else "nothing")
    check, key = failing[0]
    since = known.get((check, key))
    if since is None:
        return note(tried, f"{check} ({key}) is new; it is remembered from now on")
    until = since + WAIT
    came_back = f"{check} ({key}) has failed since {_clock(since)}"
    if now >= until:
        return note(tried, f"{came_back}, for longer than Microsoft takes: waiting is no cure")
    diagnosis = Diagnosis(
        "permission-too-young",
        f"If a permission was granted since {_clock(since)}, it may not have arrived yet.",
        "Microsoft takes up to two hours to act on it; a result before that is no evidence.",
        f"Wait until {_clock(until)}, then run this again.",
        "nobody",
    )
    fix = Remedy(diagnosis.why, diagnosis.fix, "", "nobody", f"until {_clock(until)}")
    return doubtful(tried, came_back, diagnosis, fix)


def _clock(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))
