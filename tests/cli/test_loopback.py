"""Tests for `m365gw.cli.loopback`: what comes back, and what else knocks."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.loopback import LONGEST_REQUEST, Loopback, parameters

PATIENCE = 120.0  # seconds until a failure is told


class LoopbackTests(SynchronousTestCase):
    """A browser, played by a socket."""

    def setUp(self) -> None:
        self.loopback = Loopback()
        self.addCleanup(self.loopback.__exit__, None, None, None)
        self.said = b""

    def knock(self, request: bytes) -> threading.Thread:
        def ask() -> None:
            port = urlsplit(self.loopback.address).port
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                connection.sendall(request)
                while octets := connection.recv(4096):
                    self.said += octets

        thread = threading.Thread(target=ask)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def test_browser_that_comes_back(self) -> None:
        """Its parameters are taken, and it is shown a sentence that cannot be markup."""
        browser = self.knock(b"GET /?code=a%26b&state=s HTTP/1.1\r\nHost: localhost\r\n\r\n")
        arrival = self.loopback.wait(PATIENCE)
        assert arrival is not None
        self.assertEqual(arrival.arguments, {"code": "a&b", "state": "s"})
        self.assertNotIn("a&b", repr(arrival))
        arrival.answer("<b> is signed in")
        browser.join()
        self.assertIn(b"200 OK", self.said)
        self.assertIn(b"&lt;b&gt; is signed in", self.said)

    def test_what_else_knocks(self) -> None:
        """A favicon, a form, noise, a request without an end: 404, and it is waited on."""
        for request in (
            b"GET /favicon.ico HTTP/1.1\r\n\r\n",
            b"POST /?state=s HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01" + bytes(20) + b"\r\n\r\n",
            b"GET http://[/?state=s HTTP/1.1\r\n\r\n",
            b"GET /?state=s" + b"x" * (LONGEST_REQUEST - 13),
        ):
            self.said = b""
            browser = self.knock(request)
            self.assertIsNone(self.loopback.wait(PATIENCE))
            browser.join()
            self.assertIn(b"404", self.said)

    def test_nobody(self) -> None:
        """When the time is over nobody came."""
        self.assertIsNone(self.loopback.wait(0))

    @settings(max_examples=100, deadline=None)
    @given(st.text())
    def test_any_text_may_be_pasted(self, text: str) -> None:
        """Parameters are found only where there is a state; nothing is raised."""
        for address in (text, f"http://localhost/?state=1&x={text}"):
            found = parameters(address)
            self.assertTrue(found is None or "state" in found)
