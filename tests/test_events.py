"""The log: both formats carry the same facts, and nothing from outside breaks a line."""

from __future__ import annotations

import io
import json
import os
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog


def emitted(format: str, level: str = "info", **fields: object) -> str:
    """One delivery event, as it is written."""
    stream = io.StringIO()
    log = EventLog(stream, hostname="relay", format=format, level=level, clock=lambda: 0.25)
    log.emit("delivery", "smtp", "4QX", note="250 OK", **fields)
    return stream.getvalue()


class ListenerTests(SynchronousTestCase):
    def test_hears_what_is_not_written(self) -> None:
        """Whoever listens is told of every event, whatever the level of the log."""
        stream, heard = io.StringIO(), []
        log = EventLog(stream, hostname="gw", level="error")
        log.listeners.append(lambda *said: heard.append(said))
        log.emit("delivery", "smtp", "4Q7BX2K9M3PDW", note="done", to_="a@b.c")
        self.assertEqual(heard, [("delivery", "4Q7BX2K9M3PDW", "done", {"to": "a@b.c"})])
        self.assertEqual(stream.getvalue(), "")


class PlainTests(SynchronousTestCase):
    def test_looks_like_postfix(self) -> None:
        """A line that tools for Postfix's maillog understand."""
        line = emitted("plain", to="a@b.c", dsn="2.0.0", status="sent")
        self.assertRegex(
            line,
            r"^\w{3} [ \d]\d \d\d:\d\d:\d\d relay m365gw/smtp\[\d+\]: "
            r"4QX: to=<a@b\.c>, dsn=2\.0\.0, status=sent \(250 OK\)\n$",
        )

    def test_words_of_its_own(self) -> None:
        """Where Postfix has other words for an event the line has these; JSON has the fields."""
        words = "unknown[192.0.2.7]: SASL PLAIN authentication failed: x"
        line = emitted("plain", plain=words, sasl_method="PLAIN")
        self.assertTrue(line.endswith(f"4QX: {words}\n"), line)
        self.assertNotIn(words, emitted("json", plain=words, sasl_method="PLAIN"))

    def test_names_the_process_that_writes(self) -> None:
        """A daemon has another number than the process that made its log."""
        stream = io.StringIO()
        log = EventLog(stream, hostname="relay")
        self.patch(os, "getpid", lambda: 4711)
        log.emit("service.stopping", "master")
        self.assertIn(" m365gw/master[4711]: ", stream.getvalue())

    def test_in_the_journal(self) -> None:
        """It keeps time and host itself, and is told the priority."""
        with open(self.mktemp(), "w+", encoding="utf-8") as stream:
            seen = os.fstat(stream.fileno())
            for place, head in (
                (f"{seen.st_dev}:{seen.st_ino}", "<4>m365gw/smtp["),
                (f"{seen.st_dev}:{seen.st_ino + 1}", "Jan "),
            ):
                stream.seek(0)
                with mock.patch.dict(os.environ, {"JOURNAL_STREAM": place}):
                    log = EventLog(stream, hostname="relay", clock=lambda: 86400.0)
                log.emit("delivery", "smtp", level="warn", note="slow")
                stream.seek(0)
                self.assertTrue(stream.read().startswith(head))

    @given(st.text())
    def test_one_event_is_one_line(self, value: str) -> None:
        """No value can start a line of its own."""
        line = emitted("plain", from_=value, helo=value)
        self.assertEqual(len(line.splitlines()), 1)

    def test_what_is_no_text_costs_no_line(self) -> None:
        """A lone surrogate, which no stream can write, is made a question mark in both formats."""
        for format in ("plain", "json"):
            line = emitted(format, mailbox="a\ud800b\udcffc")
            self.assertIn("a?b?c", line)
            self.assertEqual(line.encode().decode(), line)


class JsonTests(SynchronousTestCase):
    def test_fixed_keys(self) -> None:
        """The same facts under fixed names."""
        record = json.loads(emitted("json", from_="a@b.c", size=12))
        self.assertEqual(
            record,
            {
                "ts": "1970-01-01T00:00:00.250Z",
                "level": "info",
                "event": "delivery",
                "program": "smtp",
                "qid": "4QX",
                "from": "a@b.c",
                "size": 12,
                "note": "250 OK",
            },
        )

    @given(st.text())
    def test_one_event_is_one_line(self, value: str) -> None:
        """No value can start a line of its own."""
        self.assertEqual(len(emitted("json", from_=value).splitlines()), 1)


class WritingTests(SynchronousTestCase):
    def test_levels(self) -> None:
        """What is below the level is not written."""
        self.assertEqual(emitted("plain", level="warn"), "")

    def test_lines_are_written_together(self) -> None:
        """With a loop to wait for, lines of one turn become one write."""
        stream, asked = io.StringIO(), []
        log = EventLog(stream, hostname="relay", flush_soon=asked.append)
        log.emit("a", "smtpd", note="one")
        log.emit("b", "smtpd", note="two")
        self.assertEqual((len(asked), stream.getvalue()), (1, ""))
        asked[0]()
        self.assertEqual(len(stream.getvalue().splitlines()), 2)

    def test_a_full_disk_costs_lines_and_nothing_else(self) -> None:
        """A log that cannot be written raises nothing."""

        class Full:
            def write(self, text: str) -> None:
                raise OSError(28, "No space left on device")

            def flush(self) -> None:
                raise AssertionError("not reached")

        EventLog(Full(), hostname="relay").emit("a", "smtpd", note="one")

    def test_overlong_values_are_cut(self) -> None:
        """A reply of a megabyte is not a megabyte of log."""
        self.assertLess(len(emitted("plain", reply="x" * 10**6)), 2000)

    def test_failures_of_the_program_are_logged_as_errors(self) -> None:
        """A traceback reaches the log line by line."""
        stream = io.StringIO()
        log = EventLog(stream, hostname="relay")
        logger = Logger(observer=LogPublisher(log.observe))
        try:
            raise ValueError("broken")
        except ValueError:
            logger.failure("while testing")
        said = stream.getvalue()
        self.assertIn("error: while testing", said)
        self.assertIn("ValueError: broken", said)


class NewSettingsTests(SynchronousTestCase):
    def test_format_and_level(self) -> None:
        """Both can change while the log is written."""
        stream = io.StringIO()
        written = EventLog(stream, hostname="relay")
        written.debug("smtpd", "unheard")
        written.configure(format="json", level="debug")
        written.debug("smtpd", "heard")
        self.assertEqual(json.loads(stream.getvalue())["note"], "heard")
        written.configure(format="plain", level="warn")
        self.assertFalse(written.is_debugging)
