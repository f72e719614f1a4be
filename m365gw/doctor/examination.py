"""Runs the checks: each when those it needs went well, all of a mailbox one after the other.

Several mailboxes are examined at a time, but never more than `AT_A_TIME`. A check that takes too
long, or fails in a way nobody foresaw, is a finding like any other, so an examination always ends
with a report. A mailbox gets one signed-in connection, used by all its checks and closed behind
them: with the gateway's own two that is what Microsoft allows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from attrs import frozen
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredSemaphore,
    TimeoutError,
    gatherResults,
)
from twisted.logger import Logger

from m365gw.doctor.finding import Finding, Seen, bad, skipped
from m365gw.microsoft.diagnosis import Diagnosis

Subject = TypeVar("Subject")
Item = TypeVar("Item")

AT_A_TIME: Final = 4  # mailboxes
LONGEST: Final = 60.0  # seconds one check may take

_diagnostics = Logger()

_too_slow = Diagnosis(
    "check-timed-out",
    "The check did not come to an end in time.",
    "Something on the way answers very slowly, or not at all.",
    "Run it again; if it lasts, look for a firewall that swallows packets.",
    "operator",
)
_unforeseen = Diagnosis(
    "unknown-check-failed",
    "The check itself failed.",
    "This was not foreseen.",
    "Please report it with m365gw doctor --redact.",
    "operator",
)


@frozen
class Check(Generic[Subject]):
    """A check, and the checks that must not have failed or been skipped before it."""

    id: str
    title: str
    run: Callable[[Subject], Awaitable[Seen]]
    needs: tuple[str, ...] = ()


async def carry_out(
    checks: Sequence[Check[Subject]],
    subject: Subject,
    reactor: Any,
    before: Mapping[str, Finding] | None = None,
    found: dict[str, Finding] | None = None,
    longest: float = LONGEST,
    heard: Callable[[Finding], object] = bool,
) -> dict[str, Finding]:
    """The findings of these checks, sorted by id.

    `before` holds findings of others that checks may need; `found` grows as checks are made, for
    those that look at what others found. `heard` is told each finding as it comes.
    """
    found = {} if found is None else found
    for check in checks:
        obstacle = _obstacle(check, {**(before or {}), **found})
        seen = skipped(obstacle) if obstacle else await _bounded(check, subject, reactor, longest)
        found[check.id] = Finding(check.id, check.title, seen)
        heard(found[check.id])
    return dict(sorted(found.items()))


def _obstacle(check: Check[Any], known: Mapping[str, Finding]) -> str:
    """Why this check cannot be tried, from the root; "" when it can."""
    for need in check.needs:
        finding = known.get(need)
        if finding is not None and finding.result == "fail":
            return f"skipped because {finding.id} failed"
        if finding is not None and finding.result == "skipped":
            return finding.seen.skipped_because
    return ""


async def _bounded(check: Check[Subject], subject: Subject, reactor: Any, longest: float) -> Seen:
    trying = Deferred.fromCoroutine(_run(check, subject))
    try:
        seen: Seen = await trying.addTimeout(longest, reactor)
    except (TimeoutError, CancelledError):
        return bad(check.title, f"no result within {longest:g} seconds", _too_slow)
    return seen


async def _run(check: Check[Subject], subject: Subject) -> Seen:
    try:
        return await check.run(subject)
    except CancelledError:
        raise
    except Exception as problem:
        # The kind of error only: its text is not known to be free of secrets.
        _diagnostics.failure("{check} failed", check=check.id)
        return bad(check.title, type(problem).__name__, _unforeseen)


async def in_parallel(
    items: Sequence[Item],
    examine: Callable[[Item], Awaitable[dict[str, Finding]]],
    at_a_time: int = AT_A_TIME,
) -> list[dict[str, Finding]]:
    """The findings for each item, in their order; so many are examined at a time."""
    places = DeferredSemaphore(at_a_time)

    def begin(item: Item) -> Deferred[Any]:
        async def one() -> dict[str, Finding]:
            return await examine(item)

        return places.run(lambda: Deferred.fromCoroutine(one()))

    found: list[dict[str, Finding]] = await gatherResults([begin(item) for item in items])
    return found
