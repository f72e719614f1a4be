"""What keeps a mailbox from a token, as it is kept beside its messages and read back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft import entra, no_token
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.replies import diagnose
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.outcomes import TEXT_WIDTH, parse_outcome, render_outcome

OWN = Diagnosis("vault-failed", "What a@b.c signs in with cannot be read.", "y", "z", "operator")


class NoTokenTests(SynchronousTestCase):
    def kept(self, diagnosis: Diagnosis) -> Reply:
        """The reply as it comes back from the disk."""
        line = render_outcome(Outcome.PENDING, no_token.reply_of(diagnosis), 1.0)
        return parse_outcome(line)[1]

    def test_every_row_of_the_table_is_read_back(self) -> None:
        """Whole, with who must act, whatever little room there is."""
        for row in entra.ROWS:
            diagnosis = row.verdict.diagnosis
            with self.subTest(key=diagnosis.key):
                self.assertEqual(diagnose(self.kept(diagnosis)), diagnosis)

    def test_what_no_table_has(self) -> None:
        """It keeps its words, and says where the rest is."""
        for own in (OWN, Diagnosis("x-y", "w" * TEXT_WIDTH, "y", "z", "entra-admin")):
            found = diagnose(self.kept(own))
            self.assertEqual((found.key, found.what[:40]), (own.key, own.what[:40]))
            self.assertIn("m365gw mailbox show <mailbox>", found.fix)
        self.assertIn("<mailbox>", diagnose(Reply(0, "", "no access token: x-y")).what)

    def test_without_a_key(self) -> None:
        """It is no host that cannot be reached."""
        found = diagnose(Reply(0, "", "no access token"))
        self.assertEqual(found.key, "no-access-token")

    def test_what_is_none(self) -> None:
        """Replies of servers, and connections that failed."""
        for reply in (Reply(0, "", "refused"), Reply(451, "4.7.0", "no access token: x-y")):
            self.assertIsNone(no_token.known(reply))
