"""A pause: an operator's own reason why a mailbox sends nothing until it is resumed. Pure."""

from __future__ import annotations

from m365gw.microsoft.diagnosis import Diagnosis

LONGEST_REASON = 500  # characters


def paused(address: str, reason: str, by: str) -> Diagnosis:
    """What is told of a mailbox paused by somebody. Raises ValueError for a reason that is none."""
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise ValueError(
            "A pause needs a reason. It is shown to whoever looks, and has at most"
            f' {LONGEST_REASON} characters, as "migration until Monday, ask Ann".'
        )
    return Diagnosis(
        "paused",
        f"{address} is paused: {reason.rstrip('.')}.",
        f"Paused by {by}. Its mail is kept and does not grow older.",
        f"When it may send again: m365gw mailbox resume {address}",
        "operator",
    )
