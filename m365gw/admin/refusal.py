"""A request that is answered with an error: what went wrong, why, and what to do."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """Raised by whoever answers a request. `more` stands in the answer beside the error."""

    def __init__(self, status: int, what: str, why: str = "", fix: str = "", **more: Any) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.why = why
        self.fix = fix
        self.more = more

    def answer(self) -> dict[str, Any]:
        """The body of the answer, as every client of the API reads it."""
        return {"error": {"what": self.what, "why": self.why, "fix": self.fix}, **self.more}
