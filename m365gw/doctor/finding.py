"""What a check found: what was tried, what came back, and, when it is not well, what to do.

A finding is a value that can be shown on a terminal, in a page or as JSON; `plain` is the one shape
all of them share (`docs/doctor.md`). It never holds a token, a secret or a password.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import asdict, field, frozen

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

Result = Literal[
    "ok",
    "warn",  # it works, and will not for ever, or not for everybody
    "fail",
    "info",  # worth knowing; nothing to mend
    "skipped",  # not tried, and why
]


@frozen(kw_only=True)
class Seen:
    """What one check saw, before anybody knows which check it was.

    remedies   the most likely cause first; each with the steps that mend it
    """

    result: Result
    tried: str = ""
    came_back: str = ""
    diagnosis: Diagnosis | None = None
    remedies: tuple[Remedy, ...] = ()
    skipped_because: str = ""


@frozen
class Finding:
    """What a check saw: `id` is "D01" to "D18", `title` says what it is about."""

    id: str
    title: str
    seen: Seen = field(repr=False)

    @property
    def result(self) -> Result:
        return self.seen.result

    def plain(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {"id": self.id, "title": self.title, **asdict(self.seen)}


def good(tried: str, came_back: str) -> Seen:
    """All is well."""
    return Seen(result="ok", tried=tried, came_back=came_back)


def note(tried: str, came_back: str) -> Seen:
    """Worth knowing."""
    return Seen(result="info", tried=tried, came_back=came_back)


def bad(tried: str, came_back: str, diagnosis: Diagnosis, *remedies: Remedy) -> Seen:
    """It does not work."""
    return Seen(
        result="fail", tried=tried, came_back=came_back, diagnosis=diagnosis, remedies=remedies
    )


def doubtful(tried: str, came_back: str, diagnosis: Diagnosis, *remedies: Remedy) -> Seen:
    """It works, but."""
    return Seen(
        result="warn", tried=tried, came_back=came_back, diagnosis=diagnosis, remedies=remedies
    )


def skipped(because: str) -> Seen:
    """It was not tried."""
    return Seen(result="skipped", skipped_because=because)
