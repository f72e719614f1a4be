"""One endpoint of the API as a value: what it takes, and what it says."""

from __future__ import annotations

from typing import Any

from attrs import frozen


@frozen
class Endpoint:
    """`takes` is the attrs class of the body, None for GET; `says` the type of the answer."""

    method: str
    path: str  # "/api/v1/status"
    takes: type[Any] | None
    says: Any
    only_reads: bool  # and changes nothing: also for the role viewer

    @property
    def name(self) -> str:
        """As log and errors show it: "GET /api/v1/status"."""
        return f"{self.method} {self.path}"
