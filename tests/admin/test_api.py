"""The JSON API: every request gets an answer in one shape, and none an internal of ours."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.body import Nothing
from m365gw.admin.http import (
    CUT_OFF,
    IDLE_SECONDS,
    MOST_BODY,
    MOST_CONNECTIONS,
    Caller,
    site,
)
from m365gw.admin.refusal import Refusal
from tests.admin.requests import Stage, answered


@frozen
class Order:
    queue_ids: tuple[str, ...]
    reason: str = ""
    seconds: float = 60.0


class ApiTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage("debug")
        self.orders: list[tuple[Any, Caller]] = []
        self.stage.api.get("/status", lambda: {"version": "1"})
        self.stage.api.post("/queue/hold", Order, self.hold)

    def hold(self, order: Order, caller: Caller) -> Any:
        self.orders.append((order, caller))
        return {"results": []}

    def refused(self, status: int, method: str, path: str, body: bytes = b"") -> str:
        """A request that is refused in the error shape; gives what it says."""
        said = self.stage.ask(method, path, body)
        self.assertEqual(said.status, status)
        self.assertIn("content-type: application/json", said.header)
        self.assertEqual(set(said.body["error"]), {"what", "why", "fix"})
        return " ".join(said.body["error"].values())


class AnswerTests(ApiTestCase):
    def test_a_value_is_sent_as_json(self) -> None:
        """What an endpoint gives is the body; nothing may be cached."""
        said = self.stage.ask("GET", "/api/v1/status")
        self.assertEqual((said.status, said.body), (200, {"version": "1"}))
        self.assertIn("content-type: application/json", said.header)
        self.assertIn("cache-control: no-store", said.header)

    def test_head_has_no_body(self) -> None:
        """HEAD asks like GET and gets the header alone."""
        said = self.stage.ask("HEAD", "/api/v1/status")
        self.assertEqual((said.status, said.body), (200, None))

    def test_a_coroutine_is_waited_for(self) -> None:
        """An answer may come later."""
        later: Deferred[str] = Deferred()

        async def answer() -> Any:
            return {"said": await later}

        self.stage.api.get("/later", answer)
        transport = self.stage.send(b"GET /api/v1/later HTTP/1.0\r\n\r\n")
        self.assertEqual(transport.value(), b"")
        later.callback("now")
        self.assertEqual(answered(transport).body, {"said": "now"})

    def test_who_left_interrupts_nothing(self) -> None:
        """An order that has begun is carried out, though nobody waits for its answer."""
        later: Deferred[None] = Deferred()
        done: list[str] = []

        async def answer(_: Nothing, caller: Caller) -> Any:
            await later
            done.append(caller.name)

        self.stage.api.post("/reload", Nothing, answer)
        self.stage.send(b"POST /api/v1/reload HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        self.stage.protocol.connectionLost(Failure(ConnectionDone()))
        later.callback(None)
        self.assertEqual(done, ["root[1]"])

    def test_the_endpoint_gets_its_body_and_caller(self) -> None:
        """A body becomes a value of its class."""
        body = b'{"queue_ids": ["A", "B"], "seconds": 5}'
        said = self.stage.ask("POST", "/api/v1/queue/hold", body)
        self.assertEqual(said.body, {"results": []})
        order = Order(("A", "B"), "", 5.0)
        self.assertEqual(self.orders, [(order, Caller("root[1]"))])


class RefusalTests(ApiTestCase):
    def test_unknown_path(self) -> None:
        """What is there is named."""
        for path in ("/", "/api/v1", "/api/v1/status/", "/api/v1/status%2f", "/api//v1/status"):
            with self.subTest(path=path):
                self.assertIn("GET /api/v1/status", self.refused(404, "GET", path))

    def test_wrong_method(self) -> None:
        """What is taken is named, also in the header."""
        self.assertIn("It takes POST", self.refused(405, "GET", "/api/v1/queue/hold"))
        said = self.stage.ask("DELETE", "/api/v1/status")
        self.assertIn("allow: get, head", said.header)

    def test_address_that_is_no_text(self) -> None:
        """Octets that are not UTF-8 are refused, escaped or not."""
        self.refused(400, "GET", "/api/v1/%ff")
        self.assertEqual(self.stage.ask("GET", "", raw_path=b"/api/v1/\xff").status, 400)

    def test_query(self) -> None:
        """A key nobody reads is never overlooked."""
        self.refused(400, "GET", "/api/v1/status?mailbox=a")

    def test_bodies(self) -> None:
        """What is wrong is named, with the keys there are."""
        for body, words in {
            b"": "queue_ids",
            b"{": "not JSON",
            b"\xff": "not JSON",
            b"[" * 60000: "not JSON",
            b"[]": "not a JSON object",
            b'{"queue_ids": "AB"}': "must be a list",
            b'{"queue_ids": [1]}': "must be a text",
            b'{"queue_ids": ["\\ud800"]}': "must be a text",
            b'{"\\ud800": 1, "queue_ids": []}': "\ud800",
            b'{"queue_ids": [], "seconds": true}': "must be a number",
            b'{"queue_ids": [], "seconds": 1e400}': "must be a number",
            b'{"queue_ids": [], "reasons": ""}': "reasons",
        }.items():
            with self.subTest(body=body[:40]):
                self.assertIn(words, self.refused(400, "POST", "/api/v1/queue/hold", body))
        self.assertEqual(self.orders, [])

    def test_long_body(self) -> None:
        """One that is too long is not kept, and refused."""
        body = b'{"queue_ids": ["' + b"A" * MOST_BODY + b'"]}'
        self.assertIn("too long", self.refused(413, "POST", "/api/v1/queue/hold", body))
        self.assertEqual(self.orders, [])

    def test_endless_body(self) -> None:
        """One that goes on and on is cut off."""
        transport = self.stage.send(
            b"POST /api/v1/queue/hold HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b"A" * 65536 + b"\r\n"
        for _ in range(CUT_OFF // 65536):
            self.stage.protocol.dataReceived(chunk)
        self.assertFalse(transport.disconnected)
        self.stage.protocol.dataReceived(chunk)
        self.assertTrue(transport.disconnected)

    def test_more_clients_than_a_listener_takes(self) -> None:
        """They are closed at once; when one has left another is taken."""
        factory = site(self.stage.api.resource(self.stage.who), self.stage.clock)
        taken = [factory.buildProtocol(None) for _ in range(MOST_CONNECTIONS)]
        self.assertIsNone(factory.buildProtocol(None))
        taken[0].makeConnection(StringTransport())
        taken[0].connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(factory.buildProtocol(None))
        self.assertIsNone(factory.buildProtocol(None))

    def test_silent_client(self) -> None:
        """A connection on which nothing moves is closed."""
        transport = self.stage.send(b"POST /api/v1/queue/hold HTTP/1.1\r\n")
        self.stage.clock.advance(IDLE_SECONDS + 1)
        self.assertTrue(transport.disconnecting)

    def test_refusal_of_an_endpoint(self) -> None:
        """Its words and what it adds are the answer."""

        def answer(_: Nothing, caller: Caller) -> Any:
            raise Refusal(422, "No.", "Because.", "Do this.", problems=["one"])

        self.stage.api.post("/reload", Nothing, answer)
        said = self.stage.ask("POST", "/api/v1/reload")
        self.assertEqual(said.status, 422)
        told = {"what": "No.", "why": "Because.", "fix": "Do this."}
        self.assertEqual(said.body, {"error": told, "problems": ["one"]})

    def test_unforeseen_failure(self) -> None:
        """The client learns that it failed, the log where; no text of the error leaves."""

        def answer() -> Any:
            raise ValueError("a secret")

        self.stage.api.get("/broken", answer)
        said = self.refused(500, "GET", "/api/v1/broken")
        self.assertNotIn("secret", said)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_an_answer_json_cannot_say(self) -> None:
        """It is a failure of ours like any other."""
        self.stage.api.get("/broken", lambda: {"until": float("inf")})
        self.refused(500, "GET", "/api/v1/broken")
        self.flushLoggedErrors(ValueError)


class CallerTests(ApiTestCase):
    def test_a_caller_that_is_not_known(self) -> None:
        """Who the listener does not know reaches no endpoint."""

        def stranger(request: object) -> Caller:
            raise Refusal(401, "Sign in first.")

        self.stage.who = stranger  # type: ignore[method-assign]
        self.refused(401, "POST", "/api/v1/queue/hold", b'{"queue_ids": []}')
        self.assertEqual(self.orders, [])

    def test_changes_are_logged_with_who(self) -> None:
        """Changing is logged at info, reading at debug."""
        self.stage.ask("POST", "/api/v1/queue/hold", b'{"queue_ids": []}')
        self.stage.ask("GET", "/api/v1/status")
        told = [(line["level"], line["order"], line["by"]) for line in self.stage.log()]
        self.assertEqual(
            told,
            [
                ("info", "POST /api/v1/queue/hold", "root[1]"),
                ("debug", "GET /api/v1/status", "root[1]"),
            ],
        )
