"""The log: every event is told here once, and becomes a line (`log_lines`) for whoever reads.

Every event has a name (`message.queued`, `delivery`, `incident.opened`), the program it comes from
(`smtpd`, `qmgr`, `smtp`, as in Postfix's maillog), a queue id where there is one, and fields. The
two formats, plain and JSON, carry the same facts. Secrets are never handed to this module: not at
debug level either.

Lines are gathered and written together: `flush_soon` is asked once to call `flush` when the
program next has time. A stream that fails costs log lines, not mail.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.logger import LogEvent, LogLevel

from m365gw.log_lines import (
    LEVELS,
    Head,
    Line,
    SyslogHead,
    as_json,
    as_plain,
    is_journal,
    journal_head,
)
from m365gw.tracing import Tracing

# Is given the name of an event, the queue id or "", the note, and the fields. Never fails.
Listener = Callable[[str, str, str, Mapping[str, object]], object]

# Is given each line that is written. Never fails.
Reader = Callable[[Line], object]

_LEVELS = {LogLevel.debug: "debug", LogLevel.info: "info", LogLevel.warn: "warn"}


class TextStream(Protocol):
    """Where lines go: a file, standard output."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class EventLog:
    """Writes events to a stream in the chosen format. Made once, handed to whoever logs."""

    def __init__(
        self,
        stream: TextStream,
        *,
        hostname: str,
        format: str = "plain",
        level: str = "info",
        clock: Callable[[], float] = time.time,
        flush_soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._stream = stream
        goes_to_journal = is_journal(stream, os.environ)
        self._head: Head = journal_head if goes_to_journal else SyslogHead(hostname)
        self.configure(format=format, level=level)
        self._clock = clock
        self._flush_soon = flush_soon
        self._lines: list[str] = []
        self.listeners: list[Listener] = []  # told of every event, whatever the level
        self.readers: list[Reader] = []  # told of every event that is written
        self.tracing = Tracing(clock)  # the protocol itself, for who watches; it is not written

    def configure(self, *, format: str, level: str) -> None:
        """From now on log in this format, from this level on."""
        self._is_json = format == "json"
        self._threshold = LEVELS[level]
        self.is_debugging = self._threshold == 0

    def emit(
        self,
        event: str,
        program: str,
        qid: str = "",
        *,
        level: str = "info",
        note: str = "",
        plain: str = "",
        **fields: object,
    ) -> None:
        """Log one event. A field's trailing underscore is dropped (`from_` is `from`).

        `plain` is what a plain line says instead of note and fields, where Postfix has words of
        its own for them.
        """
        if self.listeners:
            heard = {key.rstrip("_"): value for key, value in fields.items()}
            for listener in self.listeners:
                listener(event, qid, note, heard)
        if LEVELS[level] < self._threshold:
            return
        named = [(key.rstrip("_"), value) for key, value in fields.items()]
        line = Line(self._clock(), level, program, event, qid, note, named)
        for reader in self.readers:
            reader(line)
        if self._is_json:
            self._write(as_json(line))
        elif plain:
            self._write(as_plain(line._replace(note=plain, fields=[]), self._head))
        else:
            self._write(as_plain(line, self._head))

    def count(self, event: str, **fields: object) -> None:
        """Something that is counted and not logged, as it happens too often for that."""
        for listener in self.listeners:
            listener(event, "", "", fields)

    def debug(self, program: str, text: str) -> None:
        """Log a line of protocol trace at debug level. The text must hold no secret."""
        if self.is_debugging:
            self.emit("trace", program, level="debug", note=text)

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except OSError:
            return

    def observe(self, event: LogEvent) -> None:
        """Take an event of `twisted.logger`: what the libraries and failures have to say."""
        level = _LEVELS.get(event.get("log_level", LogLevel.info), "error")
        if level == "info" and not str(event.get("log_namespace", "")).startswith("m365gw"):
            level = "debug"  # "starting protocol", "port closed": of use to programmers only
        if LEVELS[level] < self._threshold:
            return
        for line in _text_of(event).splitlines():
            self.emit("program", "master", level=level, note=line)

    def _write(self, line: str) -> None:
        self._lines.append(line)
        if self._flush_soon is None:
            self.flush()
        elif len(self._lines) == 1:
            self._flush_soon(self.flush)


def _text_of(event: LogEvent) -> str:
    """What a `twisted.logger` event says, with its traceback when it has one."""
    # Imported late: it is wanted only when a library speaks.
    from twisted.logger import formatEvent

    text = formatEvent(event) or ""
    failure = event.get("log_failure")
    if failure is not None:
        # The frames and the kind of error, without the values of variables: those may be secret.
        frames = "".join(traceback.format_tb(failure.getTracebackObject()))
        text = f"{text}\n{frames}{failure.type.__name__}: {failure.value}"
    return text
