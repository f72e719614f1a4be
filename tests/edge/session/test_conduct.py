"""Patience with a client, and its end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.edge.session import answers
from m365gw.edge.session.conduct import Conduct


class ConductTests(SynchronousTestCase):
    """Errors and idle commands are counted, messages make up for them."""

    def setUp(self) -> None:
        self.conduct = Conduct(Limits(hard_error_limit=2, command_limit=3))

    def test_errors(self) -> None:
        """The error behind the last that is allowed; refusals for now are none."""
        for _ in range(10):
            self.assertIsNone(self.conduct.judge(answers.TOO_MANY_RECIPIENTS))
        for _ in range(2):
            self.assertIsNone(self.conduct.judge(answers.NEEDS_MAIL))
        self.assertEqual(self.conduct.judge(answers.NEEDS_MAIL), answers.TOO_MANY_ERRORS)

    def test_idle_commands(self) -> None:
        """The command behind the last that is allowed, not counting those of a message."""
        for _ in range(10):
            self.conduct.command()
            self.conduct.part_of_message()
        for _ in range(3):
            self.conduct.command()
            self.assertIsNone(self.conduct.judge(answers.OK))
        self.conduct.command()
        self.assertEqual(self.conduct.judge(answers.OK), answers.TOO_MANY_COMMANDS)

    def test_transactions(self) -> None:
        """A session may have so many, whatever becomes of them."""
        conduct = Conduct(Limits(transaction_limit=2))
        begun = []
        for _ in range(4):
            begun.append(conduct.begin_transaction())
            conduct.message_stored()
        self.assertEqual(begun, [True, True, False, False])

    def test_message_makes_up_for_all(self) -> None:
        """After a message that was stored the counts begin anew."""
        for _ in range(5):
            for _ in range(2):
                self.conduct.command()
                self.assertIsNone(self.conduct.judge(answers.NEEDS_MAIL))
            self.conduct.message_stored()
