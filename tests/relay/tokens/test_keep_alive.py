"""Tests for `m365gw.relay.tokens.keep_alive`."""

from __future__ import annotations

import io
import json
import time

from twisted.internet.task import Clock

from m365gw.config.settings import Mailbox
from m365gw.events import EventLog
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.keep_alive import FIRST_ROUND, ROUND, WEEK, KeepAlive
from m365gw.relay.tokens.sign_in import vault_name
from m365gw.relay.tokens.tokens import Tokens
from tests.relay.entra import CLOUD, OFFLINE, Answer, mailbox, refusal
from tests.relay.signed_in import MAILBOX, SignedInCase
from tests.relay.tokens.test_tokens import Calls

REVOKED = Answer(400, refusal("invalid_grant", 50173, suberror="bad_token"))


class KeepAliveTests(SignedInCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock, self.calls = Clock(), Calls()
        self.began = time.time()
        self.told: list[tuple[str, str]] = []
        app = mailbox(address="app@contoso.com")
        tokens = Tokens(
            {"worldwide": CLOUD},
            self.store,
            EventLog(io.StringIO(), hostname="relay"),
            self.calls,
            mailboxes=[app, MAILBOX],
            open_session=self.entra.session,
            monotonic=self.clock.seconds,
            clock=lambda: self.began + self.clock.seconds(),
        )
        self.keep_alive = KeepAlive(
            tokens=tokens, clock=self.clock, failed=self.failed, refreshed=self.refreshed
        )
        self.keep_alive.start()

    def failed(self, box: Mailbox, problem: TokenUnavailable) -> None:
        self.told.append((box.address, problem.diagnosis.key))

    def refreshed(self, box: Mailbox) -> None:
        self.told.append((box.address, "refreshed"))

    def age(self, seconds: float) -> None:
        """The sign-in was last used so long ago."""
        cache = self.stored()
        for token in cache["RefreshToken"].values():
            token["last_modification_time"] = str(int(self.began - seconds))
        self.store.kept[vault_name(MAILBOX)] = json.dumps(cache).encode()

    def refreshes(self) -> int:
        return sum(form["grant_type"] == "refresh_token" for form in self.entra.posts[2:])

    def test_idle_sign_in_is_refreshed_once_a_week(self) -> None:
        """Not at the start, not what was used lately; and once, not in each round."""
        self.sign_in()
        self.age(WEEK - ROUND)
        self.assertEqual(self.refreshes(), 0)
        self.clock.advance(FIRST_ROUND)
        self.assertEqual(self.refreshes(), 0)
        self.clock.pump([ROUND, ROUND, ROUND])
        self.assertEqual(self.refreshes(), 1)
        self.assertEqual(self.told, [(MAILBOX.address, "refreshed")])

    def test_one_after_the_other(self) -> None:
        """However many there are, one request at a time is under way, also when it hangs."""
        self.sign_in()
        self.age(2 * WEEK)
        self.calls.is_holding = True
        self.clock.pump([FIRST_ROUND, ROUND, ROUND])
        self.assertEqual(len(self.calls.held), 1)

    def test_dead_sign_in_is_told_before_mail_comes(self) -> None:
        """Nobody signed in, or the sign-in was revoked: somebody has to act; then all is well."""
        self.clock.advance(FIRST_ROUND)
        self.sign_in()
        self.age(2 * WEEK)
        self.entra.script = [REVOKED]
        self.clock.advance(ROUND)
        self.sign_in()
        self.clock.advance(ROUND)
        keys = [key for _, key in self.told]
        self.assertEqual(keys, ["not-signed-in", "signin-revoked", "refreshed"])

    def test_trouble_is_tried_again_in_the_next_round(self) -> None:
        """A network that is down tells nothing about a sign-in."""
        self.sign_in()
        self.age(2 * WEEK)
        self.entra.script = [OFFLINE]
        self.clock.advance(FIRST_ROUND)
        self.assertEqual(self.told, [])
        self.clock.advance(ROUND)
        self.assertEqual(self.told, [(MAILBOX.address, "refreshed")])

    def test_stopped(self) -> None:
        """After its end nothing is asked, whether it had begun or not."""
        self.keep_alive.stop()
        self.clock.pump([FIRST_ROUND, ROUND])
        self.assertEqual(self.told, [])
