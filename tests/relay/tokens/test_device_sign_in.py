"""Tests for `m365gw.relay.tokens.device_sign_in`."""

from __future__ import annotations

from unittest import mock

from m365gw.relay.tokens.device_sign_in import DeviceSignIn
from tests.relay.entra import (
    CLOUD,
    PENDING,
    Answer,
    refusal,
)
from tests.relay.signed_in import MAILBOX, SignedInCase


class DeviceSignInTests(SignedInCase):
    """Signing in by device code."""

    def test_what_the_operator_is_told(self) -> None:
        """Code, page, sentence and time; the device code itself is not shown."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        self.assertEqual(sign_in.user_code, "ABCD-EFGH")
        self.assertEqual(sign_in.verification_uri, "https://microsoft.com/devicelogin")
        self.assertIn("ABCD-EFGH", sign_in.message)
        self.assertEqual(sign_in.interval, 5.0)
        self.assertTrue(890 < sign_in.expires_in <= 900)
        self.assertNotIn("a-secret-device-code", repr(sign_in))
        self.assertEqual(
            self.entra.posts[0]["scope"].split()[0], "https://outlook.office.com/SMTP.Send"
        )

    def test_pending_then_done(self) -> None:
        """Each poll asks once and returns at once; the sign-in is stored when it is done."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        self.entra.script = [PENDING]
        self.assertFalse(sign_in.poll(self.store))
        self.assertEqual(self.store.kept, {})
        with self.later(6), mock.patch("msal.oauth2cli.oauth2.time.time", return_value=2e10):
            self.assertTrue(sign_in.poll(self.store))
        self.assertEqual(self.refresh_tokens(), ["RT1"])

    def test_entra_is_not_asked_too_often(self) -> None:
        """Who polls faster than Entra allows is answered from here."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        self.entra.script = [PENDING]
        self.assertFalse(sign_in.poll(self.store))
        self.assertFalse(sign_in.poll(self.store))
        self.assertEqual(len(self.entra.posts), 2)

    def test_slow_down_lengthens_the_interval(self) -> None:
        """A server that says slow_down is asked five seconds less often."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        self.entra.script = [Answer(400, {"error": "slow_down"})]
        self.assertFalse(sign_in.poll(self.store))
        self.assertEqual(sign_in.interval, 10.0)

    def test_declined(self) -> None:
        """A person who says no ends the sign-in."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        self.entra.script = [Answer(400, refusal("authorization_declined"))]
        self.assertNotIn(self.refused(sign_in.poll, self.store).reaction, ("retry", "poll"))
        self.assertEqual(self.store.kept, {})

    def test_code_that_is_too_old(self) -> None:
        """After its time the code is not asked for again."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        with self.later(901):
            self.refused(sign_in.poll, self.store)
        self.assertEqual(len(self.entra.posts), 1)

    def test_wrong_account_is_not_stored(self) -> None:
        """Somebody who signed in as somebody else is told so; the old sign-in stays."""
        self.sign_in()
        before = dict(self.store.kept)
        self.entra.user = "eve@contoso.com"
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        problem = self.refused(sign_in.poll, self.store)
        self.assertEqual(problem.diagnosis.key, "wrong-account")
        self.assertIn("eve@contoso.com", problem.diagnosis.what)
        self.assertEqual(self.store.kept, before)

    def test_letter_case_of_the_account_does_not_matter(self) -> None:
        """Entra writes names as it likes."""
        self.entra.user = "Relay@Contoso.COM"
        self.sign_in()
        self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")

    def test_refused_start(self) -> None:
        """An app that is no public client is told apart at the start."""
        self.entra.script = [Answer(401, refusal("invalid_client", 7000218))]
        problem = self.refused(DeviceSignIn.begin, MAILBOX, CLOUD, self.entra.session)
        self.assertNotEqual(problem.reaction, "retry")
