"""Where the dialogue with Microsoft is shown: in the log at debug level, and to whoever watches.

What is secret in it was hidden before it comes here.
"""

from __future__ import annotations

from m365gw.events import EventLog
from m365gw.tracing import OUT, Conversation


class WireTrace:
    """The trace of one connection. `program` is how the log calls it, `name` where it leads."""

    def __init__(self, log: EventLog, program: str, name: str, mailbox: str) -> None:
        self._log = log
        self._program = program
        self._name = name
        self._mailbox = mailbox
        self._spoken: Conversation | None = None

    @property
    def is_on(self) -> bool:
        """Whether anybody wants to know."""
        return self._log.tracing.is_on or self._log.is_debugging

    def __call__(self, line: str) -> None:
        """A line that was spoken: "C: ..." is ours, "S: ..." the other side's."""
        self._log.debug(self._program, line)
        tracing = self._log.tracing
        if tracing.is_on:
            if self._spoken is None:
                self._spoken = tracing.begin(OUT, self._name, mailbox=self._mailbox)
            self._spoken.say(line[:1], line[3:])

    def over(self) -> None:
        """The connection has ended."""
        if self._spoken is not None:
            self._log.tracing.over(self._spoken)
