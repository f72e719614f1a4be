"""Answers of Microsoft Graph to sendMail: each row of the table, and what is not in it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.graph import GraphAnswer, known, not_reached
from m365gw.microsoft.graph_obstacles import OBSTACLES, TOO_LARGE, reply_of
from m365gw.microsoft.reactions import Action, Scope
from m365gw.microsoft.replies import Phase, diagnose
from m365gw.microsoft.rows_graph import ROWS
from m365gw.smtp.replies import Reply
from m365gw.spool.outcomes import is_same_reply
from tests.microsoft.test_replies import AUTH, B2, HOLD_A, HOLD_S, B, R, shape

ASIDE = "hold message 0"

# HTTP status, error.code, reaction, key of the diagnosis, whether it may have been sent.
ANSWERS = (
    (202, "", "done message 0", "accepted", False),
    (200, "", ASIDE, "graph-not-accepted", True),
    (204, "", ASIDE, "graph-not-accepted", True),
    (200, "ErrorMessageSizeExceeded", ASIDE, "graph-not-accepted", True),
    (400, "ErrorMimeContentInvalidBase64String", B2, "graph-message-malformed", False),
    (400, "ErrorMimeContentInvalid", B2, "graph-message-malformed", False),
    (400, "ErrorInvalidRecipients", B, "graph-invalid-recipients", False),
    (400, "ErrorMessageSizeExceeded", B, "graph-size-exceeded", False),
    (413, "", B, "graph-size-exceeded", False),
    (400, "ErrorSubmissionQuotaExceeded", "stop mailbox 3600", "graph-mailbox-quota", False),
    (403, "ErrorSubmissionQuotaExceeded", "stop mailbox 3600", "graph-mailbox-quota", False),
    (400, "ErrorQuotaExceeded", HOLD_A, "graph-mailbox-full", False),
    (400, "ErrorMessageSubmissionBlocked", HOLD_A, "graph-submission-blocked", False),
    (401, "InvalidAuthenticationToken", AUTH, "graph-token-refused", False),
    (401, "", AUTH, "graph-token-refused", False),
    (403, "ErrorAccessDenied", AUTH, "graph-access-denied", False),
    (403, "Authorization_RequestDenied", AUTH, "graph-access-denied", False),
    (403, "SomethingNew", AUTH, "graph-access-denied", False),
    (403, "ErrorSendAsDenied", HOLD_S, "graph-send-as-denied", False),
    (404, "ErrorInvalidUser", HOLD_A, "graph-mailbox-unknown", False),
    (404, "ResourceNotFound", HOLD_A, "graph-mailbox-unknown", False),
    (404, "MailboxNotEnabledForRESTAPI", HOLD_A, "graph-mailbox-not-online", False),
    (429, "ApplicationThrottled", "fewer-connections mailbox 60", "graph-throttled", False),
    (429, "TooManyRequests", "fewer-connections mailbox 60", "graph-throttled", False),
    (429, "ErrorExceededConnectionCount", "fewer-connections mailbox 60", "graph-throttled", False),
    (500, "ErrorInternalServerTransientError", R, "graph-transient", False),
    (500, "", R, "graph-transient", False),
    (502, "", R, "graph-gateway-fault", True),
    (503, "ErrorServerBusy", "stop mailbox 60", "graph-busy", False),
    (503, "ErrorMailboxStoreUnavailable", "stop mailbox 60", "graph-busy", False),
    (504, "", R, "graph-gateway-fault", True),
    (504, "ErrorServerBusy", "stop mailbox 60", "graph-busy", True),
    (400, "SomethingNew", R, "unknown-graph-answer", False),
    (302, "", R, "unknown-graph-answer", False),
    (501, "", R, "unknown-graph-answer", False),
)


def answer(status: int, code: str = "", **headers: str) -> GraphAnswer:
    """An answer as it comes over the wire."""
    error = {"error": {"code": code, "message": f"About {code}.", "innerError": {"date": "x"}}}
    return GraphAnswer.of(status, headers, json.dumps(error).encode() if code else b"")


class TableTests(SynchronousTestCase):
    def test_each_answer_has_its_reaction(self) -> None:
        """What the facts say, row by row; and it is known again from what the spool keeps."""
        for status, code, wanted, key, is_unsure in ANSWERS:
            with self.subTest(status=status, code=code):
                said = answer(status, code)
                self.assertEqual(shape(said.reaction), wanted)
                self.assertEqual(said.reaction.diagnosis.key, key)
                self.assertEqual(said.is_unsure, is_unsure)
                self.assertEqual(diagnose(said.reply).key, key)

    def test_no_row_is_untried(self) -> None:
        """Each row of the table is reached by an answer above."""
        reached = {answer(status, code).row for status, code, *_ in ANSWERS}
        self.assertEqual([row for row in ROWS if row not in reached], [])

    def test_only_202_is_success(self) -> None:
        """Every other positive answer is held for somebody to look, with an alarm."""
        for status in range(200, 300):
            said = answer(status)
            self.assertEqual(said.is_ok, status == 202)
            self.assertEqual(said.reaction.alarm, status != 202)

    def test_a_permission_bounces_nothing(self) -> None:
        """Only what is wrong with the message itself may end it."""
        said = [answer(status, code).reaction for status, code, *_ in ANSWERS]
        ending = {one.diagnosis.key for one in said if one.may_bounce}
        self.assertEqual(
            ending,
            {"graph-message-malformed", "graph-invalid-recipients", "graph-size-exceeded"},
        )

    def test_the_inner_error_is_the_better_name(self) -> None:
        """Where Graph names two, the inner one is closer to the cause."""
        body = {"error": {"code": "BadRequest", "innerError": {"code": "ErrorSendAsDenied"}}}
        said = GraphAnswer.of(400, {}, json.dumps(body).encode())
        self.assertIs(said.reaction.scope, Scope.SENDER)

    def test_retry_after_is_kept_to(self) -> None:
        """429 and 503 wait as long as Graph asks; an hour at most, 60 s when it does not say."""
        for status in (429, 503):
            for header, seconds in (("17", 17), ("", 60), ("99999", 3600), ("Fri, 01 Jan", 60)):
                with self.subTest(status=status, header=header):
                    said = answer(status, **{"retry-after": header})
                    self.assertEqual(said.reaction.pause(), seconds)
        self.assertEqual(answer(404, **{"retry-after": "17"}).reaction.seconds, 3600)

    def test_the_phase_of_a_refused_token(self) -> None:
        """It comes before the message, so the mailbox did not get past the sign-in."""
        self.assertIs(answer(401).phase, Phase.AUTH)
        self.assertIs(answer(403).phase, Phase.DATA)


class KeptTests(SynchronousTestCase):
    """An answer as logs, reports and the spool keep it."""

    def test_the_words(self) -> None:
        """Status, name, Graph's words and the id that Microsoft's support asks for."""
        said = answer(403, "ErrorAccessDenied", **{"request-id": "7d-1"})
        self.assertEqual(
            said.reply,
            Reply(
                0,
                "4.7.1",
                "Microsoft Graph: 403 ErrorAccessDenied: About ErrorAccessDenied."
                " [request-id 7d-1]",
            ),
        )
        self.assertEqual(answer(202).reply, Reply(0, "2.0.0", "Microsoft Graph: 202 Accepted"))

    def test_equal_answers_are_equal(self) -> None:
        """The request id does not make a second refusal look new."""
        one, other = (answer(400, "ErrorMimeContentInvalid", **{"request-id": i}) for i in "12")
        self.assertTrue(is_same_reply(one.reply, other.reply))

    def test_no_token_stands_in_it(self) -> None:
        """What repeats a token is cut out of Graph's words."""
        token = "eyJ0eXAiOiJKV1QiLCJub25jZSI6ImFiYyJ9.eyJhdWQiOiJodHRwczovL2dyYXBoIn0.c2lnbmVk"
        body = {"error": {"code": "InvalidAuthenticationToken", "message": f"bad: {token} [x]"}}
        said = GraphAnswer.of(401, {}, json.dumps(body).encode())
        self.assertEqual(said.message, "bad: ... (x)")

    def test_what_was_never_asked(self) -> None:
        """Obstacles and dead connections are known again as well; other replies are none."""
        for key, obstacle in OBSTACLES.items():
            self.assertEqual(diagnose(reply_of(obstacle)).key, key)
        for is_trusted, key in ((True, "graph-unreachable"), (False, "graph-certificate-refused")):
            reply, reaction = not_reached("no route", is_trusted=is_trusted)
            self.assertEqual((reaction.diagnosis.key, diagnose(reply).key), (key, key))
        lost = Reply(0, "", "Microsoft Graph: no answer within 300 seconds")
        self.assertEqual(diagnose(lost).key, "graph-connection-lost")
        self.assertIsNone(known(Reply(550, "5.1.1", "no such user")))
        self.assertIsNone(known(Reply(0, "", "connection refused")))

    def test_obstacles_hold_or_tell_the_sender(self) -> None:
        """What an operator can change is held; only too large a message is returned."""
        for obstacle in OBSTACLES.values():
            wanted = Action.BOUNCE if obstacle is TOO_LARGE else Action.HOLD
            self.assertIs(obstacle.action, wanted)
            self.assertIs(obstacle.scope, Scope.MESSAGE)

    @given(
        st.integers(100, 599),
        st.binary(max_size=200)
        | st.recursive(
            st.none() | st.text(max_size=20) | st.integers(),
            lambda inner: st.dictionaries(
                st.sampled_from(["error", "code", "message", "innerError"]), inner, max_size=3
            ),
        ).map(lambda value: json.dumps(value).encode()),
        st.text(max_size=12),
    )
    def test_any_answer_is_taken(self, status: int, body: bytes, seconds: str) -> None:
        """A proxy's page, a list, nothing: it has a reaction, and no unknown one bounces."""
        said = GraphAnswer.of(status, {"retry-after": seconds, "request-id": seconds}, body)
        self.assertTrue(said.reply.text.startswith("Microsoft Graph: "))
        self.assertEqual(said.is_ok, status == 202)
        if said.reaction.diagnosis.is_unknown:
            self.assertFalse(said.reaction.may_bounce)
