"""When a message is tried again, and when its time is over. Pure arithmetic.

The names and the arithmetic are Postfix's: the wait grows with the age of the message between two
bounds, so no counter is needed. Age is the time the message itself failed to go: what a held
mailbox made it wait does not count (see `mailboxes.Mailboxes.excused`).
"""

from __future__ import annotations

JITTER = 0.1  # of the wait, either way: after an outage not everything comes at once


def next_attempt(
    now: float, age: float, minimal: float, maximal: float, chance: float, hint: float = 0.0
) -> float:
    """When to try next (seconds since the epoch).

    `age` and the bounds are seconds. `chance` is a random number from 0 to 1 and spreads the wait
    by ten per cent either way. `hint` is the shortest wait the other side asked for.
    """
    wait = min(max(age, minimal), max(minimal, maximal))
    return now + max(wait * (1.0 + JITTER * (2.0 * chance - 1.0)), hint)


def expired(age: float, lifetime: float) -> bool:
    """Whether a message that has just failed once more is given up.

    Asked only after an attempt, so mail that merely waited for its turn is always tried first. A
    lifetime of 0 allows one attempt.
    """
    return age >= lifetime
