"""Tests for `m365gw.relay.tokens.flows`."""

from __future__ import annotations

import logging
from pathlib import Path

import jwt
import requests
from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.certificates import app_certificate
from m365gw.relay.tokens.credentials import credentials_of
from m365gw.relay.tokens.failures import Grant, TokenUnavailable
from m365gw.relay.tokens.flows import AppFlow
from tests.relay.entra import (
    BROKEN,
    CLOUD,
    OFFLINE,
    PROXY_PAGE,
    Answer,
    Entra,
    Store,
    mailbox,
    refusal,
)


class SecretFlowTests(SynchronousTestCase):
    """Client credentials with a secret."""

    def setUp(self) -> None:
        self.entra = Entra()
        self.flow = AppFlow(mailbox(), CLOUD, self.entra.session, Store())

    def refused(self, *, fresh: bool = False) -> TokenUnavailable:
        problem = self.assertRaises(TokenUnavailable, self.flow.acquire, fresh=fresh)
        assert isinstance(problem, TokenUnavailable)
        return problem

    def test_nothing_is_asked_before_it_is_needed(self) -> None:
        """The service starts without a network: making a flow asks nobody."""
        self.assertEqual((self.entra.opened, self.entra.gets), (0, []))

    def test_token(self) -> None:
        """The application asks for the scope of its cloud, at its tenant, with its secret."""
        self.assertEqual(self.flow.acquire(fresh=False), Grant("AT1", 3600.0))
        form = self.entra.posts[0]
        self.assertEqual(form["client_secret"], "s3cret-value")
        self.assertEqual(form["scope"], "https://outlook.office365.com/.default")
        self.assertEqual(
            self.entra.gets,
            [
                "https://login.microsoftonline.com/contoso.example"
                "/v2.0/.well-known/openid-configuration"
            ],
        )

    def test_fresh_is_never_from_a_cache(self) -> None:
        """A token that was refused is not given out again."""
        self.flow.acquire(fresh=False)
        self.assertEqual(self.flow.acquire(fresh=True).token, "AT2")
        self.assertEqual(len(self.entra.gets), 1)

    def test_errors_become_diagnoses(self) -> None:
        """An error of Entra becomes a reaction and a diagnosis, with a wait of a minute."""
        self.entra.script = [Answer(401, refusal("invalid_client", 7000222))]
        problem = self.refused()
        self.assertEqual(problem.retry_after, 60.0)
        self.assertNotEqual(problem.reaction, "retry")
        self.assertTrue(problem.diagnosis.fix)

    def test_remembered_error_is_not_news(self) -> None:
        """Trap of MSAL: it repeats a 400 for a minute without asking; here the next ask is real."""
        self.entra.script = [Answer(400, refusal("invalid_scope", 70011))]
        self.refused()
        self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")

    def test_5xx_is_temporary(self) -> None:
        """Trap of MSAL: it raises on 5xx; here it is a reason to retry, when Entra says so."""
        self.entra.script = [BROKEN]
        problem = self.refused()
        self.assertEqual((problem.reaction, problem.retry_after), ("retry", 120.0))

    def test_proxy_page_is_temporary_and_not_shown(self) -> None:
        """Trap of MSAL: an answer that is not JSON raises, with its body; the body stays here."""
        self.entra.script = [PROXY_PAGE]
        problem = self.refused()
        self.assertEqual(problem.reaction, "retry")
        self.assertNotIn("AT-leaked", str(problem) + repr(problem.__dict__))
        self.assertIsNone(problem.__cause__)
        self.assertTrue(problem.__suppress_context__)

    def test_network_trouble_is_temporary(self) -> None:
        """No route, a timeout, a bad certificate of the other side: retry, by name only."""
        for trouble in (OFFLINE, requests.Timeout("x"), requests.exceptions.SSLError("x")):
            self.entra.script = [trouble]
            problem = self.refused()
            self.assertEqual(problem.reaction, "retry")
            self.assertIn(type(trouble).__name__, str(problem))
            self.assertNotIn("secret", str(problem))

    def test_answers_that_lack_fields(self) -> None:
        """Without a life a token is taken to live ten minutes; without a token there is none."""
        self.entra.script = [Answer(200, {"access_token": "AT0"}), Answer(200, {"expires_in": 9})]
        self.assertEqual(self.flow.acquire(fresh=True), Grant("AT0", 600.0))
        self.assertEqual(self.refused(fresh=True).reaction, "retry")

    def test_life_that_is_no_number(self) -> None:
        """What nobody can use is temporary, and not shown."""
        self.entra.script = [Answer(200, {"access_token": "AT-leaked", "expires_in": "soon"})]
        problem = self.refused()
        self.assertEqual(problem.reaction, "retry")
        self.assertNotIn("AT-leaked", str(problem))

    def test_clock_that_is_wrong(self) -> None:
        """Trap of MSAL: what it signs is dated by our clock; Entra then says 700024 or 500133."""
        for number in (700024, 500133):
            self.entra.script = [Answer(401, refusal("invalid_client", number))]
            problem = self.refused()
            self.assertEqual((problem.reaction, problem.diagnosis.key), ("config", "clock-wrong"))

    def test_trace_for_support(self) -> None:
        """The number and Microsoft's trace id are told, as its support asks for them."""
        said = refusal("invalid_client", 7000222, trace_id="0f0f0f0f-1111-2222")
        self.entra.script = [Answer(401, said)]
        self.assertIn("(AADSTS7000222, trace 0f0f0f0f-1111-2222)", str(self.refused()))

    def test_no_network_when_it_is_first_needed(self) -> None:
        """Trap of MSAL: its constructor asks the network; a failure there is just temporary."""
        self.entra.discovery = OFFLINE
        self.assertEqual(self.refused().reaction, "retry")
        self.entra.discovery = None
        self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")

    def test_unknown_tenant(self) -> None:
        """Trap of MSAL: an unknown tenant is a ValueError of the constructor; Entra said more."""
        self.entra.discovery = Answer(400, refusal("invalid_tenant", 90002))
        self.assertNotEqual(self.refused().reaction, "retry")

    def test_sessions_are_closed(self) -> None:
        """A failure leaves no https session open."""
        self.entra.script = [BROKEN]
        self.refused()
        self.assertEqual((self.entra.opened, self.entra.closed), (1, 1))

    def test_secrets_are_not_in_repr(self) -> None:
        """A grant does not show its token."""
        self.assertNotIn("AT1", repr(Grant("AT1", 1.0)))

    def test_library_does_not_log_bodies(self) -> None:
        """MSAL's log, which holds bodies of answers, is off."""
        self.assertFalse(logging.getLogger("msal.oauth2cli.oauth2").isEnabledFor(logging.ERROR))

    def test_secret_file_is_read_anew(self) -> None:
        """A secret that was replaced on disk is used after the failure of the old one."""
        file = Path(self.mktemp())
        file.write_text("old\n")
        flow = AppFlow(mailbox(client_secret_file=str(file)), CLOUD, self.entra.session, Store())
        self.entra.script = [Answer(401, refusal("invalid_client", 7000215))]
        self.assertRaises(TokenUnavailable, flow.acquire, fresh=False)
        file.write_text("new\n")
        flow.acquire(fresh=False)
        self.assertEqual([form["client_secret"] for form in self.entra.posts], ["old", "new"])


class CertificateFlowTests(SynchronousTestCase):
    """Client credentials with a certificate."""

    def setUp(self) -> None:
        self.key, self.certificate = app_certificate("m365gw")
        self.file = Path(self.mktemp())
        self.mailbox = mailbox(
            flow="certificate", client_secret="", certificate_file=str(self.file)
        )

    def refused(self) -> TokenUnavailable:
        problem = self.assertRaises(TokenUnavailable, credentials_of, self.mailbox)
        assert isinstance(problem, TokenUnavailable)
        self.assertEqual((problem.reaction, problem.diagnosis.who), ("config", "operator"))
        return problem

    def test_assertion_is_signed_with_the_certificate(self) -> None:
        """Entra gets an assertion for its token endpoint that the certificate verifies."""
        self.file.write_bytes(self.certificate + self.key)
        entra = Entra()
        AppFlow(self.mailbox, CLOUD, entra.session, Store()).acquire(fresh=False)
        form = entra.posts[0]
        self.assertNotIn("client_secret", form)
        key = x509.load_pem_x509_certificate(self.certificate).public_key()
        claims = jwt.decode(
            form["client_assertion"],
            key,  # type: ignore[arg-type]  # RSA, as made above
            algorithms=["PS256"],
            audience="https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token",
        )
        self.assertEqual(claims["iss"], self.mailbox.client_id)

    def test_missing_file(self) -> None:
        """A file that cannot be read is the operator's to mend, and named."""
        self.assertIn(str(self.file), self.refused().diagnosis.why)

    def test_file_that_is_no_text(self) -> None:
        """A PFX in its place is told apart from trouble with the network."""
        self.file.write_bytes(b"\x30\x82\xff\xfe")
        self.assertIn("neither PEM nor a PFX", self.refused().diagnosis.why)

    def test_unusable_files(self) -> None:
        """Without key, without certificate, or damaged: configuration, and no key in the words."""
        for octets in (b"", self.key, self.certificate, self.key[:200] + self.certificate):
            self.file.write_bytes(octets)
            problem = self.refused()
            self.assertEqual(problem.diagnosis.key, "certificate-unusable")
            self.assertNotIn("BEGIN", str(problem))

    def test_key_of_another_certificate(self) -> None:
        """Key and certificate that do not belong together are found here, not by Entra."""
        self.file.write_bytes(app_certificate("other")[0] + self.certificate)
        self.assertIn("belongs to the private key", self.refused().diagnosis.why)
