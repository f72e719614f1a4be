"""Tests for `m365gw.relay.sign_in`."""

from __future__ import annotations

import json
import time
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.flows import TokenUnavailable
from m365gw.relay.sign_in import DeviceSignIn, UserFlow, vault_name
from tests.relay.entra import (
    ADDRESS,
    BROKEN,
    CLOUD,
    OFFLINE,
    PENDING,
    PROXY_PAGE,
    Answer,
    Entra,
    Store,
    mailbox,
    refusal,
)

MAILBOX = mailbox(flow="device", client_secret="")


class Case(SynchronousTestCase):
    """A mailbox of flow device, Entra and a vault."""

    def setUp(self) -> None:
        self.entra = Entra()
        self.store = Store()
        self.flow = UserFlow(MAILBOX, CLOUD, self.entra.session, self.store)

    def sign_in(self) -> None:
        """Somebody signs in."""
        sign_in = DeviceSignIn.begin(MAILBOX, CLOUD, self.entra.session)
        self.assertTrue(sign_in.poll(self.store))

    def stored(self) -> dict[str, Any]:
        """MSAL's cache as it lies in the vault."""
        cache: dict[str, Any] = json.loads(self.store.kept[vault_name(MAILBOX)])
        return cache

    def refresh_tokens(self) -> list[str]:
        return [each["secret"] for each in self.stored()["RefreshToken"].values()]

    def later(self, seconds: float) -> Any:
        """As long as this is entered, so many seconds have passed."""
        now = time.monotonic() + seconds
        return mock.patch("m365gw.relay.sign_in.time.monotonic", return_value=now)

    def refused(self, function: Any, *arguments: Any, **keywords: Any) -> TokenUnavailable:
        problem = self.assertRaises(TokenUnavailable, function, *arguments, **keywords)
        assert isinstance(problem, TokenUnavailable)
        return problem


class DeviceSignInTests(Case):
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


class UserFlowTests(Case):
    """Tokens from a stored sign-in."""

    def test_nobody_signed_in(self) -> None:
        """Without a sign-in the operator is told the command; Entra is not asked."""
        problem = self.refused(self.flow.acquire, fresh=False)
        self.assertEqual(problem.reaction, "login")
        self.assertIn(f"m365gw mailbox signin {ADDRESS}", problem.diagnosis.fix)
        self.assertEqual(self.entra.gets, [])

    def test_stored_token_is_used_first(self) -> None:
        """After a restart the token that was stored serves, without a request for a new one."""
        self.sign_in()
        self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")

    def test_rotated_refresh_token_is_stored_before_use(self) -> None:
        """The newest refresh token is in the vault when the access token is given out."""
        self.sign_in()
        self.assertEqual(self.flow.acquire(fresh=True).token, "AT2")
        self.assertEqual(self.refresh_tokens(), ["RT2"])
        self.assertEqual(self.entra.posts[-1]["refresh_token"], "RT1")

    def test_unstored_token_is_not_given_out(self) -> None:
        """When the vault fails, no token is used whose refresh token could be lost."""
        self.sign_in()
        self.flow.acquire(fresh=False)
        with mock.patch.object(self.store, "store", side_effect=self._broken):
            problem = self.refused(self.flow.acquire, fresh=True)
        self.assertEqual(problem.diagnosis.key, "vault-failed")

    def test_vault_that_does_not_open(self) -> None:
        """A vault that cannot be read is the operator's to mend, and nothing is overwritten."""
        self.sign_in()
        before = dict(self.store.kept)
        self.store.is_broken = True
        problem = self.refused(self.flow.acquire, fresh=False)
        self.assertEqual((problem.reaction, problem.diagnosis.who), ("config", "operator"))
        self.assertEqual(self.store.kept, before)

    def test_damaged_sign_in_is_kept(self) -> None:
        """What cannot be read is not overwritten."""
        self.store.kept[vault_name(MAILBOX)] = b"{half"
        problem = self.refused(self.flow.acquire, fresh=False)
        self.assertEqual(problem.diagnosis.key, "sign-in-damaged")
        self.assertEqual(self.store.kept[vault_name(MAILBOX)], b"{half")

    def test_revoked_refresh_token_is_never_deleted(self) -> None:
        """An error of Entra deletes nothing: one bad answer must not cost the sign-in."""
        self.sign_in()
        self.entra.script = [Answer(400, refusal("invalid_grant", 50173, suberror="bad_token"))]
        problem = self.refused(self.flow.acquire, fresh=True)
        self.assertNotEqual(problem.reaction, "retry")
        self.assertEqual(self.refresh_tokens(), ["RT1"])
        self.assertEqual(self.flow.acquire(fresh=True).token, "AT2")

    def test_new_sign_in_is_noticed(self) -> None:
        """A sign-in made by another process is used at the next request, and not overwritten."""
        self.sign_in()
        self.flow.acquire(fresh=True)
        self.sign_in()
        self.assertEqual(self.flow.acquire(fresh=True).token, "AT4")
        self.assertEqual(self.entra.posts[-1]["refresh_token"], "RT3")

    def test_good_token_survives_trouble(self) -> None:
        """Trap of MSAL: an aging token is given out although Entra answers 5xx or a page."""
        for trouble in (BROKEN, PROXY_PAGE, OFFLINE):
            self.setUp()
            self.sign_in()
            self._age_stored_token()
            self.entra.script = [trouble]
            self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")

    def test_trouble_without_a_token_is_temporary(self) -> None:
        """The same without a token that is still good: retry."""
        self.sign_in()
        for trouble in (BROKEN, PROXY_PAGE, OFFLINE):
            self.entra.script = [trouble]
            self.assertEqual(self.refused(self.flow.acquire, fresh=True).reaction, "retry")

    def _age_stored_token(self) -> None:
        """Entra said when the token is to be renewed, and that time is past."""
        cache = self.stored()
        for token in cache["AccessToken"].values():
            token["refresh_on"] = "1"
        self.store.kept[vault_name(MAILBOX)] = json.dumps(cache).encode()

    def _broken(self, name: str, secret: bytes) -> None:
        self.store.is_broken = True
        Store.store(self.store, name, secret)
