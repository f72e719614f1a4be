"""Every row of the tables: the state it leads to, the words shown, and what becomes of mail.

The codes are those of Microsoft's own pages (see `docs/troubleshooting.md`, which is made from the
same tables): none may be missing.
"""

from __future__ import annotations

import io
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft import entra, entra_apps, replies, rows_connector, rows_graph
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra_identities import explain_identity
from m365gw.microsoft.reactions import Action, Reaction, Scope
from m365gw.microsoft.replies import Phase
from m365gw.microsoft.rows import BEFORE_MAIL
from m365gw.relay.delivery.attempt import without_token
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import Account, State
from m365gw.relay.tokens.flows import TokenUnavailable

ROOT = Path(__file__).parents[2]
BOX, SENDER, TENANT = "relay@contoso.com", "scan@contoso.com", "contoso.onmicrosoft.com"
APP = "00000000-0000-4000-8000-0000000000a1"
NOW = 1_800_000_000.0
PLACEHOLDER = re.compile(r"<(mailbox|sender|tenant|client id)>")

ENTRA_CODES = frozenset({
    16000, 28002, 28003, 40010, 50011, 50020, 50033, 50034, 50053, 50055, 50057, 50058, 50072,
    50074, 50076, 50078, 50079, 50087, 50089, 50105, 50131, 50132, 50133, 50158, 50173, 50194,
    50196, 53000, 53001, 53002, 53003, 53011, 54005, 65001, 65004, 65005, 70000, 70001, 70002,
    70008, 70011, 70012, 70016, 70019, 70020, 70043, 80005, 90002, 90006, 90012, 90024, 90033,
    90038, 90055, 90090, 90094, 90130, 500011, 500133, 500208, 501481, 530032, 530035, 650056,
    650057, 700016, 700020, 700022, 700024, 700025, 700027, 700082, 700084, 900023, 7000112,
    7000215, 7000218, 7000222, 9002332,
})  # fmt: skip
ENTRA_NAMES = frozenset({
    "access_denied", "additional_action", "authorization_declined", "authorization_pending",
    "bad_token", "bad_verification_code", "basic_action", "consent_required", "expired_token",
    "interaction_required", "invalid_client", "invalid_grant", "message_only", "server_error",
    "slow_down", "temporarily_unavailable", "token_expired", "unauthorized_client",
    "unsupported_grant_type", "user_password_expired",
})  # fmt: skip
GRAPH_NAMES = frozenset({
    "ApplicationThrottled", "ErrorAccessDenied", "ErrorExceededConnectionCount",
    "ErrorInternalServerTransientError", "ErrorInvalidRecipients", "ErrorInvalidUser",
    "ErrorMailboxStoreUnavailable", "ErrorMessageSizeExceeded", "ErrorMimeContentInvalid",
    "ErrorMimeContentInvalidBase64String", "ErrorQuotaExceeded", "ErrorSendAsDenied",
    "ErrorServerBusy", "ErrorSubmissionQuotaExceeded", "InvalidAuthenticationToken",
    "MailboxNotEnabledForRESTAPI", "ResourceNotFound", "TooManyRequests",
})  # fmt: skip
GRAPH_STATUSES = frozenset({200, 202, 401, 403, 404, 413, 429, 500, 502, 503, 504})
# Of an Azure host that gives no token; 0: none answered.
IDENTITY_STATUSES = (0, 400, 403, 404, 410, 429, 500, 503)
# Those that say something by themselves; 5.2.0 and its like are told apart by words.
STATUSES = (
    "4.3.1", "4.3.2", "4.3.111", "4.5.3", "4.5.127",
    "4.7.0", "4.7.66", "4.7.500", "4.7.699", "4.7.850", "4.7.899", "5.1.1", "5.1.3", "5.1.7",
    "5.1.8", "5.1.10", "5.1.90", "5.2.2", "5.2.3", "5.2.121", "5.2.122", "5.2.252",
    "5.3.3", "5.3.4", "5.4.1", "5.4.6", "5.4.14", "5.5.3", "5.5.105", "5.5.124", "5.5.127",
    "5.6.0", "5.6.11", "5.6.211", "5.7.3", "5.7.4", "5.7.30", "5.7.57", "5.7.60",
    "5.7.67", "5.7.139", "5.7.232", "5.7.501", "5.7.502", "5.7.503", "5.7.504", "5.7.505",
    "5.7.506", "5.7.507", "5.7.508", "5.7.510", "5.7.511", "5.7.512", "5.7.606", "5.7.700",
    "5.7.703", "5.7.705", "5.7.708", "5.7.750", "5.7.900", "5.7.999",
)  # fmt: skip

# Who is at fault when a message is returned: it, or its recipients, and never a mailbox.
RETURNED = {"sender", "operator", "exchange-admin"}
STATES = {
    "mailbox-user": State.NEEDS_SIGNIN,
    "operator": State.MISCONFIGURED,
    "entra-admin": State.NEEDS_ADMIN,
    "exchange-admin": State.NEEDS_ADMIN,
    "microsoft": State.NEEDS_ADMIN,
}


def chain(reaction: Reaction) -> Iterator[Reaction]:
    """A reaction and all it leads to."""
    yield reaction
    if reaction.then is not None:
        yield from chain(reaction.then)


def reactions() -> Iterator[tuple[str, frozenset[Phase], Reaction]]:
    """Every row of the reply tables, and what answers nobody knows ask for."""
    for row in replies.ROWS:
        yield row.reaction.diagnosis.key, row.phases, row.reaction
    for phase, usual in replies.DEFAULTS.items():
        for reaction in (usual.lost, usual.temporary, usual.permanent):
            yield reaction.diagnosis.key, frozenset({phase}), reaction
    foreign = rows_connector.FOREIGN_SENDER
    yield foreign.diagnosis.key, frozenset({Phase.RCPT}), foreign
    for graph_row in rows_graph.ROWS:
        yield graph_row.reaction.diagnosis.key, frozenset({Phase.DATA}), graph_row.reaction


class CoverageTests(SynchronousTestCase):
    def mailboxes(self) -> tuple[Mailboxes, Incidents]:
        log = EventLog(io.StringIO(), hostname="here")
        incidents = Incidents(log, lambda: NOW)
        account = Account(BOX, TENANT, "smtp.office365.com:587", APP)
        return Mailboxes([account], log, incidents), incidents

    def assert_readable(self, told: Diagnosis) -> None:
        """Four sentences, with the names of this mailbox in them."""
        named = told.about(mailbox=BOX, sender=SENDER, tenant=TENANT, client_id=APP)
        for words in (named.what, named.why, named.fix, named.actor_for_sender):
            self.assertTrue(words.strip())
            self.assertIsNone(PLACEHOLDER.search(words), words)

    def test_every_error_of_the_sign_in(self) -> None:
        """It holds the mailbox in the state that says who must act, and bounces nothing."""
        verdicts = [row.verdict for row in entra.ROWS]
        verdicts += [
            entra_apps.SERVICE, entra_apps.THROTTLED, entra_apps.UNREACHABLE, entra_apps.UNKNOWN
        ]  # fmt: skip
        verdicts += map(explain_identity, IDENTITY_STATUSES)
        for verdict in verdicts:
            told = verdict.diagnosis
            with self.subTest(key=told.key):
                self.assert_readable(told)
                reaction = without_token(TokenUnavailable(verdict.reaction, told))
                self.assertFalse(reaction.may_bounce)
                boxes, incidents = self.mailboxes()
                boxes.answered(BOX, SENDER, Phase.CONNECT, reaction, NOW)
                passes = verdict.reaction == "retry"
                state = State.THROTTLED if passes else STATES.get(told.who, State.NEEDS_ADMIN)
                self.assertIs(boxes.standing(BOX).state, state)
                self.assertEqual(len(list(incidents)), 0 if passes else 1)
                self.assertEqual(boxes.excused(BOX, SENDER, NOW, NOW + 3600), 3600)

    def test_every_answer_to_a_message(self) -> None:
        """What belongs to a mailbox, sender, tenant or host stops that, and ages no message."""
        for key, phases, reaction in reactions():
            for due in chain(reaction):
                with self.subTest(key=key, action=due.action.value):
                    self.assert_readable(due.diagnosis)
                    if due.action is Action.BOUNCE:
                        self.assertEqual(phases & BEFORE_MAIL, frozenset())
                        self.assertIs(due.scope, Scope.MESSAGE)
                        self.assertIn(due.diagnosis.who, RETURNED)
                    if due.action is Action.HOLD and due.scope is not Scope.MESSAGE:
                        self.assert_held(due, min(phases, key=list(Phase).index))

    def assert_held(self, due: Reaction, phase: Phase) -> None:
        boxes, incidents = self.mailboxes()
        boxes.answered(BOX, SENDER, phase, due, NOW)
        if due.scope is Scope.SENDER:
            self.assertIsNotNone(boxes.held_sender(BOX, SENDER))
            self.assertIs(boxes.standing(BOX).state, State.READY)
        else:
            self.assertIs(boxes.standing(BOX).state, STATES[due.diagnosis.who])
        (incident,) = incidents
        self.assertEqual(incident.told.key, due.diagnosis.key)
        self.assertEqual(boxes.excused(BOX, SENDER, NOW, NOW + 3600), 3600)
        boxes.passed(BOX, SENDER, None, NOW + 3600)
        self.assertEqual(list(incidents), [])
        self.assertIs(boxes.standing(BOX).state, State.READY)

    def test_no_known_code_is_missing(self) -> None:
        """All codes of Microsoft's pages are in a row."""
        codes = {code for row in entra.ROWS for code in row.codes}
        self.assertEqual(ENTRA_CODES - codes, set())
        names = {name for row in entra.ROWS for name in (*row.errors, *row.vague, *row.suberrors)}
        self.assertEqual(ENTRA_NAMES - names, set())
        known = {name for row in rows_graph.ROWS for name in row.names}
        self.assertEqual({name.lower() for name in GRAPH_NAMES} - known, set())
        answered = {status for row in rows_graph.ROWS for status in row.statuses}
        self.assertEqual(GRAPH_STATUSES - answered, set())
        missing = [
            status
            for status in STATUSES
            if not any(known.holds(status) for row in replies.ROWS for known in row.status)
            and not any(status in word for row in replies.ROWS for word in row.words)
        ]
        self.assertEqual(missing, [])

    def test_the_page_is_made_from_the_tables(self) -> None:
        """Else: python docs/make_troubleshooting.py"""
        made = runpy.run_path(str(ROOT / "docs" / "make_troubleshooting.py"))["page"]()
        self.assertEqual((ROOT / "docs" / "troubleshooting.md").read_text(), made)
        for code in ENTRA_CODES:
            self.assertIn(f"AADSTS{code}", made)
