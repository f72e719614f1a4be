"""Every diagnosis, as people get to read it: names filled in wherever they are known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.vault import VaultError
from m365gw.microsoft import entra, entra_apps, replies
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Reaction
from m365gw.relay.delivery import attempt
from m365gw.relay.tokens.failures import sealed_away, unavailable
from m365gw.relay.tokens.https import Fault
from m365gw.spool.reasons import reason_of
from tests.relay.entra import mailbox
from tests.relay.stage import Stage, refuse

PLACEHOLDER = re.compile(r"<(mailbox|sender|tenant|client id)>")
KNOWN = frozenset({"mailbox", "sender", "tenant", "client id"})
ENTRA_DEFAULTS = (
    entra_apps.SERVICE,
    entra_apps.THROTTLED,
    entra_apps.UNREACHABLE,
    entra_apps.UNKNOWN,
)


def reactions() -> Iterator[Reaction]:
    """All reactions of the tables."""
    yield from (row.reaction for row in replies.ROWS)
    for defaults in replies.DEFAULTS.values():
        yield from (defaults.lost, defaults.temporary, defaults.permanent)


def diagnoses() -> Iterator[Diagnosis]:
    """All diagnoses of the tables."""
    for first in reactions():
        reaction: Reaction | None = first
        while reaction is not None:
            yield reaction.diagnosis
            reaction = reaction.then
    yield from (row.verdict.diagnosis for row in entra.ROWS)
    yield from (verdict.diagnosis for verdict in ENTRA_DEFAULTS)


class WordsTests(SynchronousTestCase):
    """No placeholder where the name is known."""

    def test_all_placeholders_have_names(self) -> None:
        """What stands in angle brackets is one of the four names, and all are filled in."""
        for diagnosis in diagnoses():
            found = set(re.findall(r"<([^>]+)>", str(diagnosis)))
            self.assertLessEqual(found, KNOWN, diagnosis.key)
            named = diagnosis.about(mailbox="m@x", sender="s@x", tenant="t", client_id="c")
            self.assertIsNone(PLACEHOLDER.search(str(named)), diagnosis.key)

    def test_mail_out_names_them(self) -> None:
        """Whatever Microsoft answers, however often: logs, incidents, reports and reasons."""
        for reaction in set(reactions()):
            self.patch(attempt, "react", lambda *_, due=reaction: due)
            stage = Stage(self, client_id="00000000-0000-4000-8000-0000000000a1")
            stage.dispatch.start()
            stage.pool.script = [refuse(550, "5.9.9", "no")] * 6
            for sender in ("app@contoso.com", "o'neill@contoso.com", ""):
                stage.send(sender=sender)
                stage.wait(5000, 500)
            said = stage.lines.getvalue()
            self.assertIn("delivery", said)
            said += "".join(one.content.decode() for one in stage.pool.delivered)
            said += "".join(queued.reason for queued in stage.queued())
            self.assertIsNone(PLACEHOLDER.search(said), reaction)
            stage.crash()

    def test_sign_in_names_them(self) -> None:
        """Whatever Entra answers."""
        for row in entra.ROWS:
            for error in (*row.errors, *row.vague, "invalid_grant"):
                fault = Fault(400, error, (*row.suberrors, "")[0], row.codes[:1])
                problem = unavailable(fault, mailbox())
                self.assertIsNone(PLACEHOLDER.search(f"{problem} {problem.diagnosis}"))

    def test_the_queue_says_why_there_is_no_token(self) -> None:
        """What Entra said, and not that it could not be reached; what is found out here as well."""
        vault = sealed_away(mailbox(), VaultError("keys/seal is not there"))
        for problem, words in (
            (unavailable(Fault(400, "invalid_client", "", (700027,)), mailbox()), "certificate"),
            (vault, "What relay@contoso.com signs in with cannot be read or kept."),
        ):
            stage = Stage(self)
            stage.dispatch.start()
            stage.pool.script = [problem]
            stage.send()
            [queued] = stage.queued()
            reason = reason_of(queued)
            self.assertIn(words, reason)
            self.assertIn(f"no access token: {problem.diagnosis.key}", reason)
            self.assertNotIn("could not be reached", reason)
            stage.crash()
