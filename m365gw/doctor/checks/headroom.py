"""D15: how much of Microsoft's limits a mailbox has used, and how often it was throttled.

What was used, and each answer "too many connections" (432; Graph: 429), is counted in the spool and
is there also while the service stands still. Whether the mailbox is throttled at this moment, and
how many connections it has, only the running service knows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import Any, Final

from m365gw.doctor.budgets import Counted, counted
from m365gw.doctor.case import Case
from m365gw.doctor.checks.rules import rules_of
from m365gw.doctor.finding import Seen, doubtful, good, note
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy
from m365gw.relay.limits.governor import Use, Uses
from m365gw.spool.health import SpoolError, Unusable

NEARLY: Final = 0.8  # of a day's recipients
MICROSOFT_ALLOWS: Final = 3  # connections of a mailbox
OFTEN: Final = 5  # answers 432 in a day; fewer pass by themselves
DAY: Final = 86400.0
MOST_RULES: Final = 5  # that are named

_unreadable: Final = Diagnosis(
    "ledger-unreadable",
    "What the mailboxes have used of Microsoft's limits cannot be read.",
    "It is counted in state/ledger of the spool. Its disk failed, or it is another user's.",
    "See what D01 says of the spool; while it cannot be read nothing is sent.",
    "operator",
)


async def look(case: Case) -> Seen:
    """D15."""
    address = case.mailbox.address
    tried = f"what {address} has used of Microsoft's limits, and its answers 432 of 24 hours"
    try:
        known = await case.tools.calls.call(partial(counted, case.settings, [address]))
    except (SpoolError, Unusable) as problem:
        return doubtful(tried, str(problem), _unreadable, _fix(_unreadable))
    if known is None:
        return note(tried, "not known: the service has never run with this spool")
    uses, now = known.uses[address], _now(case)
    came_back = _words(known, uses, now, case.tools.reactor.seconds())
    diagnosis = _trouble(case, uses, now)
    if diagnosis is None:
        return good(tried, came_back)
    return doubtful(tried, came_back, diagnosis, _fix(diagnosis))


def _now(case: Case) -> dict[str, Any] | None:
    """What the running service says of the mailbox; None when none runs."""
    address = case.mailbox.address.casefold()
    told = case.tools.facts().mailboxes
    return next((one for one in told if one["address"].casefold() == address), None)


def _words(known: Counted, uses: Uses, now: dict[str, Any] | None, at: float) -> str:
    words = [f"{_used(uses.minute)} a minute", f"{_used(uses.day)} recipients a day"]
    if now is not None:
        words.insert(0, f"{now['budget']['connections']['used']} connections")
    words.append(f"{uses.crowded} times too many connections (432) in 24 hours")
    if at - known.since < DAY:
        words.append(f"all counted since {datetime.fromtimestamp(known.since, UTC):%H:%M} UTC only")
    if now is None:
        words.append("whether it is throttled now only the running service knows")
    return ", ".join(words)


def _trouble(case: Case, uses: Uses, now: dict[str, Any] | None) -> Diagnosis | None:
    address, day, connections = case.mailbox.address, uses.day, case.settings.governor.connections
    if now is not None and now["state"] == "throttled":
        return Diagnosis(
            "mailbox-throttled",
            f"Microsoft slows {address} down now.",
            now["why"],
            _spread(case),
            "operator",
        )
    if uses.crowded >= OFTEN:
        return Diagnosis(
            "mailbox-often-throttled",
            f"Microsoft said {uses.crowded} times in 24 hours that {address} has too many"
            " connections (432).",
            f"It allows {MICROSOFT_ALLOWS}, this gateway uses {connections} at most, and fewer"
            " for a while after each such answer. Another program may sign in as this mailbox.",
            f"Find what else signs in as it. {_spread(case)}",
            "operator",
        )
    if day.limit and day.used >= NEARLY * day.limit:
        return Diagnosis(
            "mailbox-nearly-used-up",
            f"{address} has sent to {day.used:,.0f} recipients in 24 hours.",
            f"Microsoft lets it send to {day.limit:,.0f}; then its mail waits.",
            _spread(case),
            "operator",
        )
    if connections >= MICROSOFT_ALLOWS and not case.is_connector:
        return Diagnosis(
            "no-connection-to-spare",
            "The gateway may use all connections Microsoft allows a mailbox.",
            f"[governor] connections is {connections}, so that this"
            " examination, or another program, is one too many (432).",
            "Set [governor] connections to 2.",
            "operator",
        )
    return None


def _spread(case: Case) -> str:
    """How to split its mail, with the rules that could go elsewhere."""
    names = [rule.place for rule in rules_of(case)]
    more = len(names) - MOST_RULES
    listed = ", ".join(names[:MOST_RULES]) + (f" and {more} more" if more > 0 else "")
    return f"Give some of its rules another mailbox: {listed or 'it has none'}."


def _used(use: Use) -> str:
    limit = "any" if use.limit == inf else f"{use.limit:,.0f}"
    return f"{use.used:,.0f} of {limit}"


def _fix(diagnosis: Diagnosis) -> Remedy:
    return Remedy(diagnosis.why, diagnosis.fix, "", "operator", "")
