"""Tests for `m365gw.relay.tokens.taken_over`: sign-ins another program had."""

from __future__ import annotations

import json

from m365gw.relay.tokens.sign_in import used_at, vault_name
from m365gw.relay.tokens.taken_over import refresh_token_in
from tests.relay.entra import BROKEN, Answer, refusal
from tests.relay.signed_in import MAILBOX, SignedInCase

TAKEN_OVER = json.dumps({"RefreshToken": {"imported": {"secret": "RT-elsewhere"}}}).encode()


class TakenOverTests(SignedInCase):
    def setUp(self) -> None:
        super().setUp()
        self.store.kept[vault_name(MAILBOX)] = TAKEN_OVER

    def test_first_use_makes_it_ours(self) -> None:
        """Entra says whose it is, and from then on it is a sign-in like any other."""
        self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")
        self.assertEqual(self.entra.posts[0]["refresh_token"], "RT-elsewhere")
        self.assertEqual(self.refresh_tokens(), ["RT1"])
        self.assertEqual(len(self.stored()["Account"]), 1)
        self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")
        self.assertEqual(self.flow.acquire(fresh=True).token, "AT2")
        self.assertEqual(self.entra.posts[-1]["refresh_token"], "RT1")

    def test_trouble_costs_nothing(self) -> None:
        """While Entra is not well, or says no, what was taken over stays as it is."""
        for trouble in (BROKEN, Answer(400, refusal("invalid_grant", 700082))):
            self.entra.script = [trouble]
            self.refused(self.flow.acquire, fresh=False)
            self.assertEqual(self.store.kept[vault_name(MAILBOX)], TAKEN_OVER)
            self.assertFalse(self.flow.has_new_sign_in())  # so it is not asked for at once again
        self.assertEqual(self.flow.acquire(fresh=False).token, "AT1")

    def test_token_of_somebody_else(self) -> None:
        """It is not used for the mailbox, and the words say who it is."""
        self.entra.user = "somebody@else.example"
        problem = self.refused(self.flow.acquire, fresh=False)
        self.assertEqual(problem.diagnosis.key, "wrong-account")
        self.assertIn("somebody@else.example", problem.diagnosis.what)
        self.assertEqual(self.store.kept[vault_name(MAILBOX)], TAKEN_OVER)

    def test_sign_in_made_meanwhile_counts(self) -> None:
        """Whoever signs in while Entra is asked is not undone by the answer."""
        ask = self.flow._applications._open_session

        def slowly(cloud: object) -> object:
            self.patch(self.flow._applications, "_open_session", ask)
            self.sign_in()
            return ask(cloud)  # type: ignore[arg-type]

        self.patch(self.flow._applications, "_open_session", slowly)
        self.flow.acquire(fresh=False)
        self.assertEqual(self.refresh_tokens(), ["RT1"])

    def test_not_known_when_it_was_used(self) -> None:
        """So it is renewed with the first round of those that are idle."""
        self.assertEqual(used_at(self.store, MAILBOX), 0.0)

    def test_what_is_no_such_sign_in(self) -> None:
        """Damage is left to whoever opens it."""
        for stored in (b"{half", b"[]", b"{}", b'{"RefreshToken": {}}', b'{"RefreshToken": [1]}'):
            self.assertIsNone(refresh_token_in(stored))
