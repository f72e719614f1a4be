"""The log: what happened, as Postfix-shaped lines or as JSON with fixed keys.

Every event has a name (`message.queued`, `delivery`, `incident.opened`), the program it comes from
(`smtpd`, `qmgr`, `smtp`, as in Postfix's maillog), a queue id where there is one, and fields. The
two formats carry the same facts:

    Nov 21 04:15:34 relay m365gw/smtp[812]: 4Q7B...: to=<a@b.c>, dsn=2.0.0, status=sent (250 OK)
    {"ts": "2026-11-21T04:15:34.120Z", "level": "info", "event": "delivery", "qid": ...}

In the journal of systemd, which keeps time and host itself, a plain line begins with the program.

Values come from outside, so control characters, line separators and overlong values are made
harmless here, at the one place where lines are written. Secrets are never handed to this module:
not at debug level either.

Lines are gathered and written together: `flush_soon` is asked once to call `flush` when the
program next has time.
"""

from __future__ import annotations

import json
import os
import re
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.logger import LogEvent, LogLevel

from m365gw.line_heads import SyslogHead, is_journal, journal_head
from m365gw.tracing import Tracing

LEVELS = {"debug": 0, "info": 1, "warn": 2, "error": 3}
LONGEST_VALUE = 1000  # characters; a remote reply may be far longer

# C0 and C1 controls, DEL, bidirectional controls, the Unicode line separators; and lone surrogates,
# which no stream can write: one would cost all lines that are written with it.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ADDRESS_FIELDS = frozenset({"from", "to", "orig_to"})


# Is given the name of an event, the queue id or "", the note, and the fields. Never fails.
Listener = Callable[[str, str, str, Mapping[str, object]], object]

# Is given what a line is made of: time, level, program, event, queue id, note and fields.
Reader = Callable[[float, str, str, str, str, str, list[tuple[str, object]]], object]

_LEVELS = {LogLevel.debug: "debug", LogLevel.info: "info", LogLevel.warn: "warn"}


class TextStream(Protocol):
    """Where lines go: a file, standard output."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


def cleaned(value: object) -> str:
    """A value as harmless text on one line: `?` for each unsafe character, cut when very long."""
    text = str(value)
    if len(text) > LONGEST_VALUE:
        text = text[:LONGEST_VALUE] + "..."
    return text if text.isprintable() else _UNSAFE.sub("?", text)


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
        self._head = journal_head if goes_to_journal else SyslogHead(hostname)
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
        now = self._clock()
        named = [(key.rstrip("_"), value) for key, value in fields.items()]
        for reader in self.readers:
            reader(now, level, program, event, qid, note, named)
        if self._is_json:
            self._write(self._as_json(now, event, program, qid, level, note, named))
        elif plain:
            self._write(self._as_plain(now, event, program, qid, level, plain, []))
        else:
            self._write(self._as_plain(now, event, program, qid, level, note, named))

    def count(self, event: str, **fields: object) -> None:
        """Something that is counted and not logged, as it happens too often for that."""
        for listener in self.listeners:
            listener(event, "", "", fields)

    def debug(self, program: str, text: str) -> None:
        """Log a line of protocol trace at debug level. The text must hold no secret."""
        if self.is_debugging:
            self.emit("trace", program, level="debug", note=text)

    def flush(self) -> None:
        """Write what was gathered. A stream that fails (disk full) costs log lines, not mail."""
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

    def _as_plain(
        self,
        now: float,
        event: str,
        program: str,
        qid: str,
        level: str,
        note: str,
        fields: list[tuple[str, object]],
    ) -> str:
        said = _said(fields, note)
        if len(said) > LONGEST_VALUE or not said.isprintable():  # seldom: then value by value
            fields = [(key, cleaned(value)) for key, value in fields]
            said = _said(fields, cleaned(note))
        if event.startswith("incident."):
            said = f"{event}: {said}"
        if level in ("warn", "error"):
            said = f"{'warning' if level == 'warn' else 'error'}: {said}"
        place = f"{qid}: " if qid else ""
        return f"{self._head(now, level)}m365gw/{program}[{os.getpid()}]: {place}{said}\n"

    def _as_json(
        self,
        now: float,
        event: str,
        program: str,
        qid: str,
        level: str,
        note: str,
        fields: list[tuple[str, object]],
    ) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        record: dict[str, Any] = {
            "ts": f"{seconds}.{int(now % 1 * 1000):03d}Z",
            "level": level,
            "event": event,
            "program": program,
        }
        if qid:
            record["qid"] = qid
        for key, value in fields:
            is_number = isinstance(value, int | float)
            record[key] = value if is_number else cleaned(value)
        if note:
            record["note"] = cleaned(note)
        return json.dumps(record, ensure_ascii=False) + "\n"

    def _write(self, line: str) -> None:
        self._lines.append(line)
        if self._flush_soon is None:
            self.flush()
        elif len(self._lines) == 1:
            self._flush_soon(self.flush)


def _said(fields: list[tuple[str, object]], note: str) -> str:
    """What a plain line says: the fields, and the note behind them in brackets."""
    parts = [
        f"{key}=<{value}>" if key in _ADDRESS_FIELDS else f"{key}={value}" for key, value in fields
    ]
    said = ", ".join(parts)
    if not note:
        return said
    return f"{said} ({note})" if said else note


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
