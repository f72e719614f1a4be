"""What is measured: the loads, from the one the goals are set for to the dearest."""

from __future__ import annotations

from typing import Final

from attrs import frozen

KIB: Final = 1024


@frozen
class Cell:
    """One load: size of a message in octets, sessions at a time, messages of a connection."""

    size: int
    sessions: int
    per_connection: int | None = None  # None: all of a session's
    starttls: bool = False

    @property
    def title(self) -> str:
        """The load in words."""
        sessions = "1 session" if self.sessions == 1 else f"{self.sessions} sessions"
        if self.per_connection is None:
            connection = "many messages a connection"
        else:
            connection = "a connection with STARTTLS" if self.starttls else "a connection"
            connection += " for each message"
        return f"{self.size // KIB} KiB, {sessions}, {connection}"

    @property
    def arguments(self) -> list[str]:
        """The load as arguments of `bench.load`."""
        said = [f"--size={self.size}", f"--sessions={self.sessions}"]
        if self.per_connection is not None:
            said.append(f"--per-connection={self.per_connection}")
        return said + ["--starttls"] * self.starttls


HEADLINE: Final = Cell(10 * KIB, 10)  # what the goals are set for
CELLS: Final = (
    HEADLINE,
    Cell(10 * KIB, 1),
    Cell(10 * KIB, 100),
    Cell(10 * KIB, 10, per_connection=1),
    Cell(100 * KIB, 10),
    Cell(10 * KIB, 10, per_connection=1, starttls=True),
)
END_TO_END: Final = HEADLINE
