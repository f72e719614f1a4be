"""Tests for `m365gw.relay.tokens.https`."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.tokens.https import Fault, HttpsClient, https_session
from tests.relay.entra import CLOUD, Answer, refusal


class Recorder:
    """A session that gives one answer and keeps what it was asked with."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.keywords: dict[str, Any] = {}

    def get(self, url: str, **keywords: Any) -> Any:
        self.keywords = keywords
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    post = get

    def close(self) -> None:
        pass


class HttpsClientTests(SynchronousTestCase):
    """What MSAL talks through."""

    def test_every_request_is_bounded(self) -> None:
        """No request waits forever, whatever MSAL asks for, and none follows a redirect."""
        session = Recorder(Answer(200, {}))
        client = HttpsClient(session)
        for ask in (client.get, client.post):
            ask("https://login.example/x", timeout=None, verify=False)
            self.assertEqual(session.keywords["timeout"], (5.0, 20.0))
            self.assertIs(session.keywords["allow_redirects"], False)
            self.assertNotIn("verify", session.keywords)

    def test_error_fields_are_kept(self) -> None:
        """What Entra said stays known, even when MSAL turns it into an exception."""
        answer = Answer(
            400, refusal("invalid_grant", 50173, suberror="bad_token"), {"Retry-After": "7"}
        )
        client = HttpsClient(Recorder(answer))
        client.post("https://login.example/x")
        self.assertEqual(
            client.last, Fault(400, "invalid_grant", "bad_token", (50173,), 7.0, "AADSTS50173")
        )

    def test_page_of_a_proxy(self) -> None:
        """An answer that is not JSON leaves its status only; odd JSON does no harm."""
        for body in ("<html>", "[1]", {"error": None, "error_codes": "x", "suberror": 3}):
            client = HttpsClient(Recorder(Answer(502, body)))
            client.get("https://login.example/x")
            self.assertEqual((client.last.status, client.last.error), (502, ""))
            self.assertEqual(client.last.codes, ())

    def test_no_answer_forgets_the_last_one(self) -> None:
        """After a request without an answer the fault of the one before does not count."""
        session = Recorder(Answer(400, refusal("invalid_client")))
        client = HttpsClient(session)
        client.post("https://login.example/x")
        session.answer = OSError("reset")
        self.assertRaises(OSError, client.post, "https://login.example/x")
        self.assertEqual(client.last, Fault())

    def test_retry_after(self) -> None:
        """Seconds are taken up to an hour; a date is not."""
        for text, seconds in (("5", 5.0), ("999999", 3600.0), ("Sat, 21 Nov 2026", 0.0), ("-1", 0)):
            client = HttpsClient(Recorder(Answer(429, {}, {"Retry-After": text})))
            client.get("https://login.example/x")
            self.assertEqual(client.last.retry_after, seconds)

    def test_tokens_are_not_kept(self) -> None:
        """Nothing of a good answer stays."""
        client = HttpsClient(Recorder(Answer(200, {"access_token": "AT1", "error": "AT1"})))
        client.post("https://login.example/x")
        self.assertNotIn("AT1", repr(client.last))


class SessionTests(SynchronousTestCase):
    """The session below."""

    def test_environment_does_not_count(self) -> None:
        """Trap of MSAL: proxies and certificates of the environment would win over ours."""
        self.assertFalse(https_session(CLOUD).trust_env)
        self.assertEqual(https_session(CLOUD).proxies, {})

    def test_proxy_of_the_cloud(self) -> None:
        """A proxy is used when the configuration names one."""
        proxy = "http://proxy.contoso.com:3128"
        session = https_session(evolve(CLOUD, proxy=proxy))
        self.assertEqual(session.proxies, {"https": proxy})

    def test_verification_is_always_on(self) -> None:
        """Without a file the usual authorities, with one only that."""
        self.assertIs(https_session(CLOUD).verify, True)
        self.assertEqual(https_session(evolve(CLOUD, ca_file="ca.pem")).verify, "ca.pem")
