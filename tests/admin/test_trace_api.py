"""The trace as programs follow it."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.trace_api import Traces, add_trace
from m365gw.tracing import CLIENT, IN, Tracing
from tests.admin.requests import Stage


class TraceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.tracing = Tracing(self.stage.clock.seconds)
        add_trace(self.stage.api, Traces(self.tracing, self.stage.clock))

    def post(self, path: str, **body: Any) -> Any:
        return self.stage.ask("POST", f"/api/v1/trace/{path}", json.dumps(body).encode())

    def wait(self, **asked: Any) -> StringTransport:
        body = json.dumps(asked).encode()
        head = b"POST /api/v1/trace/follow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        return self.stage.send(head % len(body) + body)

    def test_from_beginning_to_end(self) -> None:
        """What is spoken is there when it is asked for, each line once."""
        name = self.post("begin", client="10.1.0.0/16").body["id"]
        spoken = self.tracing.begin(IN, "10.1.0.7:1", client="10.1.0.7", listener="smtps")
        spoken.say(CLIENT, "EHLO x")
        said = self.post("follow", id=name).body
        self.assertEqual((said["missed"], said["over"]), (0, ""))
        (line,) = said["lines"]
        self.assertEqual(
            (line["connection"], line["speaker"], line["text"], line["listener"], line["way"]),
            ("10.1.0.7:1", "C", "EHLO x", "smtps", "in"),
        )
        spoken.say(CLIENT, "NOOP")
        (line,) = self.post("follow", id=name, seen=line["number"]).body["lines"]
        self.assertEqual(line["text"], "NOOP")
        self.post("end", id=name)
        self.assertFalse(self.tracing.is_on)
        self.assertEqual(self.post("follow", id=name, seen=2).body["over"], "it was ended")

    def test_an_answer_waits_for_a_line(self) -> None:
        """It comes with the first one, or empty when the time is up."""
        name = self.post("begin").body["id"]
        waiting = self.wait(id=name, seconds=5.0)
        self.assertEqual(waiting.value(), b"")
        self.tracing.begin(IN, "10.1.0.7:1").say(CLIENT, "EHLO x")
        self.assertIn(b"EHLO x", waiting.value())
        waiting = self.wait(id=name, seconds=5.0, seen=1)
        self.stage.clock.advance(5)
        self.assertIn(b'"lines": []', waiting.value())

    def test_what_makes_no_sense_is_said(self) -> None:
        """In words, and nothing is begun."""
        self.assertEqual(self.post("begin", client="printer").status, 400)
        self.assertEqual(self.post("begin", seconds=0).status, 400)
        self.assertEqual(self.post("begin", seconds=90000).status, 400)
        self.assertEqual(self.post("follow", id="nothing").status, 404)
        self.assertFalse(self.tracing.is_on)

    def test_too_many_are_turned_away(self) -> None:
        """Until one ends."""
        statuses = [self.post("begin").status for _ in range(9)]
        self.assertEqual(statuses, [200] * 8 + [429])
