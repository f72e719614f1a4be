"""One POST over a real connection on loopback: what is trusted, followed, read and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from m365gw.alerts.posting import HttpsPost, Outcome, outcome_of, place_of
from tests.edge.handshake import write_pair

Request = Any


class Pages(Resource):
    """Answers each POST by a function, and notes what came."""

    isLeaf = True

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        super().__init__()
        self.answer = answer
        self.paths: list[bytes] = []

    def render_POST(self, request: Request) -> Any:
        self.paths.append(request.path)
        return self.answer(request)


class PostTests(TestCase):
    def listen(self, answer: Callable[[Request], Any], context: Any = None) -> tuple[Pages, str]:
        """A receiver, and its address; with a context it speaks TLS."""
        pages = Pages(answer)
        site: Any = Site(pages)
        real: Any = reactor
        if context is None:
            port = real.listenTCP(0, site, interface="127.0.0.1")
        else:
            port = real.listenSSL(0, site, context, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
        return pages, f"{scheme}://{host}:{port.getHost().port}/s3cret"

    async def post(self, url: str, ca_file: str = "") -> Outcome:
        return await HttpsPost(reactor, ca_file)(url, b"{}", {"X-Test": "1"})

    async def test_a_positive_answer(self) -> None:
        """It is taken."""
        _, url = self.listen(lambda request: b"ok")
        self.assertTrue((await self.post(url)).is_taken)

    async def test_no_redirect_is_followed(self) -> None:
        """Who answers with one may send news wherever it likes."""

        def redirect(request: Request) -> bytes:
            request.redirect(b"/elsewhere")
            return b""

        pages, url = self.listen(redirect)
        outcome = await self.post(url)
        self.assertEqual((outcome.is_taken, outcome.words), (False, "HTTP status 302"))
        self.assertEqual(pages.paths, [b"/s3cret"])

    async def test_an_endless_answer_is_cut_off(self) -> None:
        """Its status counts; the rest is nobody's concern."""

        def endless(request: Request) -> int:
            def more(*_: object) -> None:
                if not request._disconnected:
                    request.write(b"x" * 65536)
                    real: Any = reactor
                    real.callLater(0, more)

            more()
            return NOT_DONE_YET

        _, url = self.listen(endless)
        self.assertTrue((await self.post(url)).is_taken)

    async def test_a_certificate_must_be_trusted(self) -> None:
        """One of a stranger is refused, with no word of the address; its own authority is taken."""
        pair = write_pair(self.mktemp(), "localhost", days=10_000)
        context = ssl.DefaultOpenSSLContextFactory(pair.key, pair.certificate)
        pages, url = self.listen(lambda request: b"ok", context)
        outcome = await self.post(url)
        self.assertFalse(outcome.is_taken)
        self.assertIn("certificate", outcome.words)
        self.assertNotIn("s3cret", outcome.words)
        self.assertEqual(pages.paths, [])
        self.assertTrue((await self.post(url, pair.certificate)).is_taken)

    async def test_nobody_there(self) -> None:
        """Said without the address."""
        outcome = await self.post("http://127.0.0.1:9/s3cret")
        self.assertFalse(outcome.is_taken or outcome.is_refused)
        self.assertNotIn("s3cret", outcome.words)

    async def test_an_authority_that_cannot_be_read(self) -> None:
        """It is a failure as any other, and tried again."""
        file = Path(self.mktemp())
        self.assertFalse((await self.post("https://127.0.0.1:9/", str(file))).is_taken)

    def test_what_a_status_means(self) -> None:
        """Retry-After is bounded; a refusal of the body is told from one of the sender."""
        self.assertEqual(outcome_of(429, "30").wait, 30.0)
        self.assertEqual(outcome_of(503, "99999999").wait, 3600.0)
        self.assertEqual(outcome_of(503, "Wed, 21 Oct 2026 07:28:00 GMT").wait, 0.0)
        self.assertTrue(outcome_of(400, "").is_refused)
        self.assertFalse(outcome_of(403, "").is_refused)

    def test_what_may_be_shown_of_an_address(self) -> None:
        """The host; the rest often is a secret."""
        shown = place_of("https://hooks.example.com:8443/services/T0/s3cret?key=s3cret")
        self.assertEqual(shown, "https://hooks.example.com:8443/...")
