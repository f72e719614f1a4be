"""D15: how much of Microsoft's limits a mailbox has used, and whether it is throttled now."""

from __future__ import annotations

from typing import Any, Final

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, doubtful, good, note
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

NEARLY: Final = 0.8  # of a day's recipients
MICROSOFT_ALLOWS: Final = 3  # connections of a mailbox


async def look(case: Case) -> Seen:
    """D15."""
    address = case.mailbox.address
    tried = f"what {address} has used of its budgets"
    known = [
        one
        for one in case.tools.facts().mailboxes
        if one["address"].casefold() == address.casefold()
    ]
    if not known:
        return note(tried, "the service does not run, so nobody counts")
    budget = known[0]["budget"]
    came_back = ", ".join(
        f"{_used(budget[key])} {words}"
        for key, words in (("connections", "connections"), ("minute", "a minute"), ("day", "a day"))
    )
    diagnosis = _trouble(case, known[0])
    if diagnosis is None:
        return good(tried, came_back)
    fix = Remedy(diagnosis.why, diagnosis.fix, "", "operator", "")
    return doubtful(tried, came_back, diagnosis, fix)


def _trouble(case: Case, known: dict[str, Any]) -> Diagnosis | None:
    address, day = case.mailbox.address, known["budget"]["day"]
    if known["state"] == "throttled":
        return Diagnosis(
            "mailbox-throttled",
            f"Microsoft slows {address} down now.",
            known["why"],
            "Spread its mail: give some rules another mailbox.",
            "operator",
        )
    if day["limit"] and day["used"] >= NEARLY * day["limit"]:
        return Diagnosis(
            "mailbox-nearly-used-up",
            f"{address} has sent to {day['used']:,.0f} recipients in 24 hours.",
            f"Microsoft lets it send to {day['limit']:,.0f}; then its mail waits.",
            "Give some rules another mailbox.",
            "operator",
        )
    if case.settings.governor.connections >= MICROSOFT_ALLOWS:
        return Diagnosis(
            "no-connection-to-spare",
            "The gateway may use all connections Microsoft allows a mailbox.",
            f"[governor] connections is {case.settings.governor.connections}, so that this"
            " examination, or another program, is one too many (432).",
            "Set [governor] connections to 2.",
            "operator",
        )
    return None


def _used(use: dict[str, Any]) -> str:
    limit = "any" if use["limit"] is None else f"{use['limit']:,.0f}"
    return f"{use['used']:,.0f} of {limit}"
