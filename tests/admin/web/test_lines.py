"""Log and protocol on a page: what is shown, as it comes, and that nothing of it is ever markup."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from m365gw.tracing import CLIENT, IN, SERVER
from tests.admin.web.browser import HASH, Browser, ConsoleTestCase
from tests.admin.web.test_pages import ESCAPED, HOSTILE, PageTestCase


class LinesTestCase(PageTestCase):
    def opened(self, path: str, browser: Browser | None = None) -> Any:
        """A stream of events on a connection of its own."""
        browser = browser or self.signed
        transport = browser.begin(browser.head("GET", path, 0, {}))
        self.addCleanup(browser.protocol.connectionLost, Failure(ConnectionDone()))
        return transport

    def received(self, transport: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for line in transport.value().decode().splitlines():
            if line.startswith("data: ["):
                found += json.loads(line.removeprefix("data: "))
        return found


class LogTests(LinesTestCase):
    def test_what_was_written_and_what_comes(self) -> None:
        """The page has the last lines; its stream goes on behind them, each line once."""
        log = self.stage.log
        log.emit("message.queued", "smtpd", "4Q7BX2K9M3PDW", client="unknown[10.1.0.7]")
        body = self.shown("/log")
        self.assertIn("client=unknown[10.1.0.7]", body)
        self.assertIn('href="/queue/4Q7BX2K9M3PDW"', body)
        stream = self.opened(f"/log/stream?seen={self.stage.tail.count}")
        log.emit("login.failed", "smtpd", level="warn", note="wrong password")
        self.stage.clock.advance(0.5)
        self.stage.clock.advance(0.5)
        (line,) = self.received(stream)
        self.assertEqual((line["text"], line["tone"]), ("login.failed: wrong password", "warn"))

    def test_filters(self) -> None:
        """The page, its stream and what is taken along show the same lines."""
        log = self.stage.log
        log.emit("message.queued", "smtpd", "4Q7BX2K9M3PDW", sasl_username="printer3")
        log.emit("service.problem", "master", level="error", note="disk full")
        query = "level=error&q=disk"
        stream = self.opened(f"/log/stream?{query}")
        for said in (
            self.shown(f"/log?{query}"),
            self.shown(f"/log/download?{query}"),
            str(self.received(stream)),
        ):
            self.assertIn("disk full", said)
            self.assertNotIn("printer3", said)
        self.assertIn("printer3", self.shown("/log?client=printer3"))

    def test_hostile_lines(self) -> None:
        """Whatever a client says of itself is text, on the page and in the stream."""
        self.stage.log.emit("message.refused", "smtpd", helo=HOSTILE, from_=HOSTILE, note=HOSTILE)
        body = self.shown("/log")
        self.assertIn(ESCAPED, body)
        self.assertNotIn("<script>alert", body)
        stream = self.opened("/log/stream")
        (line,) = [each for each in self.received(stream) if "refused" in each["text"]]
        self.assertIn("<script>alert(1)</script>", line["text"])
        for name in ("q", "client", "message", "program", "mailbox", "level"):
            self.assertNotIn("<script>alert", self.shown(f"/log?{name}=%22%3E%3Cscript%3Ealert"))

    def test_what_is_taken_along_has_no_names(self) -> None:
        """Addresses, logins and hosts are replaced, each by the same wherever it stands."""
        told = {"client": "unknown[10.1.0.7]", "from_": "scan@contoso.com"}
        self.stage.log.emit("message.queued", "smtpd", "4Q7BX2K9M3PDW", **told)
        answer = self.signed.get("/log/download")
        self.assertIn("attachment", answer.headers["content-disposition"])
        for name in ("10.1.0.7", "scan@", "contoso"):
            self.assertNotIn(name, answer.body)
        self.assertIn("user1@host1.example", answer.body)

    def test_a_stream_ends_with_its_session(self) -> None:
        """Whoever is signed out elsewhere sees nothing more."""
        stream = self.opened("/log/stream")
        self.stage.operators.remove("anna", "test")
        self.stage.clock.pump([1] * 20)
        self.assertIn(b'event: over\ndata: "signed-out"', stream.value())
        self.stage.log.emit("x", "smtpd", note="secret of the house")
        self.stage.clock.advance(1)
        self.assertNotIn(b"secret of the house", stream.value())


class TraceTests(LinesTestCase):
    def begun(self, **wish: str) -> str:
        answer = self.signed.send("/trace", **wish)
        self.assertEqual(answer.status, 303)
        return answer.headers["location"]

    def test_from_the_form_to_its_end(self) -> None:
        """What is spoken appears; when it is ended nobody watches any more."""
        path = self.begun(client="10.1.0.0/16", seconds="60")
        spoken = self.stage.log.tracing.begin(IN, "10.1.0.7:1", client="10.1.0.7")
        spoken.say(CLIENT, f"EHLO {HOSTILE}")
        body = self.shown(path)
        self.assertIn(ESCAPED, body)
        self.assertNotIn("<script>alert", body)
        name = path.rpartition("/")[2]
        stream = self.opened(f"/trace/lines?name={name}&seen=1")
        spoken.say(SERVER, "250 gw.example.com")
        self.stage.clock.advance(1)
        (line,) = self.received(stream)
        self.assertEqual(line["text"], "gateway: 250 gw.example.com")
        self.signed.send(f"{path}/end")
        self.stage.clock.advance(1)
        self.assertIn(b"event: over", stream.value())
        self.assertFalse(self.stage.log.tracing.is_on)
        self.assertIn(("anna", "trace.begun", "client 10.1.0.0/16"), self.stage.audited)

    def test_it_is_its_owners(self) -> None:
        """Nobody sees it in another session, whatever he knows of it."""
        path = self.begun()
        other = self.signed_in()
        self.assertEqual(other.get(path).status, 404)
        stream = self.opened(f"/trace/lines?name={path.rpartition('/')[2]}", other)
        self.assertIn(b"404", stream.value().split(b"\r\n")[0])

    def test_what_makes_no_sense_is_said(self) -> None:
        """And nothing is begun."""
        self.assertEqual(self.signed.send("/trace", client="printer").status, 400)
        self.assertEqual(self.signed.send("/trace", seconds="9999999").status, 400)
        self.assertFalse(self.stage.log.tracing.is_on)


class RoleTests(ConsoleTestCase):
    def test_without_a_session_nothing_flows(self) -> None:
        """Neither page nor stream."""
        for path in ("/log", "/trace", "/log/download"):
            self.assertEqual(self.browser.get(path).status, 303)
        for path in ("/log/stream", "/trace/lines?name=x"):
            self.assertEqual(self.browser.get(path).status, 401, path)

    def test_a_viewer_reads_the_log_and_begins_no_trace(self) -> None:
        """He may look at what is logged anyway."""
        self.stage.operators.add("vera", HASH, "viewer", "test")
        viewer = self.signed_in("vera")
        self.assertEqual(viewer.get("/log").status, 200)
        self.assertEqual(viewer.send("/trace").status, 403)
        self.assertFalse(self.stage.log.tracing.is_on)
