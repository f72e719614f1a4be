"""Tests for flow managed-identity (`m365gw.relay.tokens.flows`)."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

import requests
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.clouds import Cloud
from m365gw.relay.tokens.failures import Grant, TokenUnavailable
from m365gw.relay.tokens.flows import IdentityFlow
from tests.relay.entra import CLOUD, Answer, mailbox

GOOD = Answer(200, {"access_token": "AT1", "expires_in": "3600", "token_type": "Bearer"})


class Host:
    """An Azure host; `answer` is what it says, or the exception on the way to it."""

    def __init__(self) -> None:
        self.answer: Answer | Exception = GOOD
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.clouds: list[Cloud] = []

    def session(self, cloud: Cloud) -> Any:
        self.clouds.append(cloud)
        return self

    def get(self, url: str, *, params: Any, headers: Any, **_: Any) -> Any:
        self.asked.append((url, params, headers))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        pass


class IdentityFlowTests(SynchronousTestCase):
    """Tokens of the host."""

    def setUp(self) -> None:
        self.host = Host()
        clean = {name: value for name, value in os.environ.items() if "IDENTITY" not in name}
        patch = mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def flow(self, client_id: str = "") -> IdentityFlow:
        box = mailbox(flow="managed-identity", client_secret="", client_id=client_id)
        return IdentityFlow(box, evolve(CLOUD, proxy="http://proxy:1"), self.host.session)

    def refused(self) -> TokenUnavailable:
        problem = self.assertRaises(TokenUnavailable, self.flow().acquire, fresh=True)
        assert isinstance(problem, TokenUnavailable)
        return problem

    def test_system_assigned(self) -> None:
        """The host's metadata address is asked for the resource of Exchange, by no proxy."""
        self.assertEqual(self.flow().acquire(fresh=False), Grant("AT1", 3600.0))
        url, params, headers = self.host.asked[0]
        self.assertEqual(url, "http://169.254.169.254/metadata/identity/oauth2/token")
        self.assertEqual(params["resource"], "https://outlook.office365.com")
        self.assertNotIn("client_id", params)
        self.assertEqual(headers["Metadata"], "true")
        self.assertEqual(self.host.clouds[0].proxy, "")

    def test_user_assigned(self) -> None:
        """client_id names which one."""
        self.flow("00000000-0000-4000-8000-0000000000a4").acquire(fresh=False)
        self.assertEqual(self.host.asked[0][1]["client_id"], "00000000-0000-4000-8000-0000000000a4")

    def test_app_service(self) -> None:
        """There the address and a header come from the environment, and times are of the clock."""
        self.host.answer = Answer(200, {"access_token": "AT1", "expires_on": "4102444800"})
        place = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi", "IDENTITY_HEADER": "h"}
        with mock.patch.dict(os.environ, place):
            self.assertGreater(self.flow().acquire(fresh=False).life, 3600)
        url, _, headers = self.host.asked[0]
        self.assertEqual((url, headers["X-IDENTITY-HEADER"]), ("http://127.0.0.1:1/msi", "h"))

    def test_bad_answers(self) -> None:
        """Each status has its reaction; what is no JSON is not shown."""
        unknown = {"error": "invalid_request", "error_description": "Identity not found"}
        for answer, reaction, key in (
            (Answer(400, unknown), "config", "managed-identity-unknown"),
            (Answer(400, "<html>AT-leaked"), "config", "managed-identity-unknown"),
            (Answer(404, "gone"), "retry", "managed-identity-busy"),
            (Answer(410, {}), "retry", "managed-identity-busy"),
            (Answer(429, {}, {"Retry-After": "7"}), "retry", "managed-identity-busy"),
            (Answer(500, "AT-leaked"), "retry", "managed-identity-busy"),
            (Answer(200, "<html>AT-leaked"), "retry", "managed-identity-unreachable"),
            (Answer(200, {"expires_in": "1"}), "retry", "managed-identity-unreachable"),
            (requests.ConnectTimeout("AT-leaked"), "retry", "managed-identity-unreachable"),
        ):
            self.host.answer = answer
            problem = self.refused()
            self.assertEqual((problem.reaction, problem.diagnosis.key), (reaction, key))
            self.assertNotIn("AT-leaked", str(problem))

    def test_nothing_is_remembered(self) -> None:
        """Trap of MSAL: it would repeat a 400 for a minute without asking."""
        self.host.answer = Answer(400, {"error": "invalid_request"})
        self.refused()
        self.host.answer = GOOD
        self.assertEqual(self.flow().acquire(fresh=True).token, "AT1")
