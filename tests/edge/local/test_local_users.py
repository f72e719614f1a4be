"""Which local users may send, as whom."""

from __future__ import annotations

import pwd

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.local import Local
from m365gw.edge.admission.rules import Allowed, Denied
from m365gw.edge.local.local_users import LocalUsers

NOBODY = pwd.getpwnam("nobody")
NAMELESS = 3_999_999_999  # a number that no user has


def rule(user: str, sender: str = "*@contoso.com", mailbox: str = "relay@contoso.com") -> Local:
    return Local(user=user, senders=(sender,), mailbox=mailbox)


class LocalUsersTests(SynchronousTestCase):
    def test_closed_by_default(self) -> None:
        """Without a rule nobody may, root neither."""
        for uid in (0, NOBODY.pw_uid, NAMELESS):
            decision = LocalUsers([]).user(uid).may_send("a@contoso.com")
            assert isinstance(decision, Denied)
            self.assertEqual((decision.reply.code, decision.reply.status), (550, "5.7.1"))
        self.assertEqual(LocalUsers([]).permitted, [])

    def test_a_rule_of_its_own_goes_before_that_of_all(self) -> None:
        """By name, by number, then "*"; one rule, not the sum of them."""
        users = LocalUsers([rule("*", "all@contoso.com"), rule("nobody", "no@contoso.com")])
        nobody = users.user(NOBODY.pw_uid)
        self.assertIsInstance(nobody.may_send("no@contoso.com"), Allowed)
        self.assertIsInstance(nobody.may_send("all@contoso.com"), Denied)
        self.assertIsInstance(users.user(NAMELESS).may_send("all@contoso.com"), Allowed)
        self.assertIsNone(users.permitted)

    def test_by_number(self) -> None:
        """For a user of a container, who has no name here."""
        users = LocalUsers([rule(str(NAMELESS)), rule("nobody"), rule("gone-since-long")])
        self.assertEqual(users.permitted, sorted([NAMELESS, NOBODY.pw_uid]))
        user = users.user(NAMELESS)
        self.assertEqual((user.name, user.uid), (str(NAMELESS), NAMELESS))
        decision = user.may_send("a@contoso.com")
        assert isinstance(decision, Allowed)
        self.assertEqual(decision.mailbox, "relay@contoso.com")
