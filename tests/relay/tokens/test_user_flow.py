"""Tests for `m365gw.relay.tokens.user_flow`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

from m365gw.relay.tokens.failures import Grant
from m365gw.relay.tokens.sign_in import vault_name
from tests.relay.entra import (
    ADDRESS,
    BROKEN,
    OFFLINE,
    PROXY_PAGE,
    Answer,
    Store,
    refusal,
)
from tests.relay.signed_in import MAILBOX, SignedInCase


class UserFlowTests(SignedInCase):
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

    def test_sign_in_made_while_entra_was_asked_stays(self) -> None:
        """The answer to the old refresh token does not take the place of a new sign-in."""
        self.sign_in()
        signed_in: list[str] = []

        def sign_in() -> None:
            self.sign_in()
            signed_in.extend(self.refresh_tokens())

        self.while_asked(sign_in)
        self.flow.acquire(fresh=True)
        self.assertEqual(self.refresh_tokens(), signed_in)
        self.flow.acquire(fresh=True)
        self.assertEqual([self.entra.posts[-1]["refresh_token"]], signed_in)

    def test_sign_in_removed_while_entra_was_asked_stays_away(self) -> None:
        """A mailbox that was removed leaves no refresh token behind."""
        self.sign_in()
        self.while_asked(self.store.kept.clear)
        self.flow.acquire(fresh=True)
        self.assertEqual(self.store.kept, {})

    def while_asked(self, happens: Callable[[], object]) -> None:
        """Let this happen once, while the answer to the next request is on its way."""
        ask, left = self.flow._applications.ask, [happens]

        def slowly(*arguments: Any) -> Grant:
            grant = ask(*arguments)
            while left:
                left.pop()()
            return grant

        self.patch(self.flow._applications, "ask", slowly)

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

    def test_new_sign_in_is_told_from_the_old_one(self) -> None:
        """Only what was stored since the last request for a token is news, not what failed."""
        self.refused(self.flow.acquire, fresh=False)
        self.assertFalse(self.flow.has_new_sign_in())
        self.sign_in()
        self.assertTrue(self.flow.has_new_sign_in())
        self.entra.script = [Answer(400, refusal("invalid_grant", 700082))] * 2
        self.refused(self.flow.acquire, fresh=True)
        self.assertFalse(self.flow.has_new_sign_in())

    def _age_stored_token(self) -> None:
        """Entra said when the token is to be renewed, and that time is past."""
        cache = self.stored()
        for token in cache["AccessToken"].values():
            token["refresh_on"] = "1"
        self.store.kept[vault_name(MAILBOX)] = json.dumps(cache).encode()

    def _broken(self, name: str, secret: bytes) -> None:
        self.store.is_broken = True
        Store.store(self.store, name, secret)
