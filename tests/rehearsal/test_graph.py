"""The pretend Graph: as strict as the real one, tried with a blocking HTTP client."""

from __future__ import annotations

import base64
from typing import Any

from m365gw.rehearsal.faults import Fault
from m365gw.rehearsal.graph import without_bcc
from m365gw.rehearsal.tenant import APP_ID, GRAPH, MAIL_SEND, PUBLIC_APP_ID
from tests.rehearsal.dialogue import RELAY
from tests.rehearsal.running import ALICE, DEFAULT, RehearsalCase, in_thread

FIELDS = b"From: relay@contoso.example\r\nTo: a@x.example\r\n"
MESSAGE = FIELDS + b"Bcc: b@x.example,\r\n c@x.example\r\n\r\nHi\r\n"
SHOWN = FIELDS + b"\r\nHi\r\n"


class GraphTests(RehearsalCase):
    def token(self, audience: str = GRAPH, user: str = "", *permissions: str) -> str:
        app = self.rehearsal.tenant.apps[PUBLIC_APP_ID if user else APP_ID]
        granted = frozenset(permissions or {MAIL_SEND})
        return self.rehearsal.tokens.issue("i", app, user, audience, granted)

    def post(
        self, token: str, owner: str = f"users/{RELAY}", body: bytes = b"", **headers: str
    ) -> Any:
        base = f"https://127.0.0.1:{self.rehearsal.https_port}/graph/v1.0"
        return in_thread(
            self.web().post,
            f"{base}/{owner}/sendMail",
            data=body or base64.b64encode(MESSAGE),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "text/plain",
                "client-request-id": "ours",
            }
            | headers,
        )

    async def assert_declined(self, status: int, code: str, *words: Any, **more: Any) -> Any:
        answer = await self.post(*words, **more)
        self.assertEqual((answer.status_code, answer.json()["error"]["code"]), (status, code))
        self.assertEqual(self.rehearsal.record.count, 0)
        return answer

    async def test_accepted(self) -> None:
        """202 without a body; it goes to whom the header names, and Bcc is taken away."""
        answer = await self.post(self.token())
        self.assertEqual((answer.status_code, answer.content), (202, b""))
        self.assertEqual(answer.headers["client-request-id"], "ours")
        self.assertTrue(answer.headers["request-id"])
        [message] = self.rehearsal.record.messages()
        self.assertEqual(message.recipients, ("a@x.example", "b@x.example", "c@x.example"))
        self.assertEqual((message.content, message.by), (SHOWN, "graph"))

    async def test_token_of_msal(self) -> None:
        """The token that MSAL gets for Graph is good here, the one for SMTP is not."""
        app = await in_thread(self.app)
        for scopes, status in (([f"{GRAPH}/.default"], 202), (DEFAULT, 401)):
            granted = await in_thread(app.acquire_token_for_client, scopes)
            answer = await self.post(granted["access_token"])
            self.assertEqual(answer.status_code, status)

    async def test_tokens_that_are_refused(self) -> None:
        """Of nobody, for SMTP, without the permission, for a mailbox out of scope."""
        code = "InvalidAuthenticationToken"
        await self.assert_declined(401, code, "nonsense")
        await self.assert_declined(401, code, self.token("https://outlook.office365.com"))
        await self.assert_declined(401, code, self.token(), Authorization="")
        denied = (403, "ErrorAccessDenied")
        await self.assert_declined(*denied, self.token(GRAPH, "", "User.Read"))
        await self.assert_declined(*denied, self.token(), f"users/{ALICE}")
        await self.assert_declined(*denied, self.token(GRAPH, ALICE), f"users/{RELAY}")

    async def test_whose_mailbox(self) -> None:
        """ "me" is a person's; a mailbox must be there and online."""
        self.assertEqual((await self.post(self.token(GRAPH, RELAY), "me")).status_code, 202)
        self.rehearsal.record.clear()
        self.rehearsal.record.count = 0
        await self.assert_declined(400, "BadRequest", self.token(), "me")
        await self.assert_declined(404, "ErrorInvalidUser", self.token(), "users/no@x.example")
        await self.assert_declined(404, "ResourceNotFound", self.token(), "teams/x")
        self.rehearsal.tenant.change_mailbox(RELAY, licensed=False)
        await self.assert_declined(404, "MailboxNotEnabledForRESTAPI", self.token())

    async def test_messages_that_are_refused(self) -> None:
        """Size, base64, MIME, recipients, From, a full or blocked mailbox, the quota."""
        limits, tenant = self.rehearsal.limits, self.rehearsal.tenant
        for body, status, code in (
            (b"not base64!", 400, "ErrorMimeContentInvalidBase64String"),
            (base64.b64encode(b"no header"), 400, "ErrorMimeContentInvalid"),
            (base64.b64encode(b"Subject: s\r\n\r\n"), 400, "ErrorInvalidRecipients"),
            (base64.b64encode(b"To: root\r\n\r\n"), 400, "ErrorInvalidRecipients"),
            (b"A" * (limits.graph_request_size + 4), 413, "ErrorMessageSizeExceeded"),
            (
                base64.b64encode(b"From: boss@x.example\r\nTo: a@x.example\r\n\r\n"),
                403,
                "ErrorSendAsDenied",
            ),
        ):
            await self.assert_declined(status, code, self.token(), body=body)
        await self.assert_declined(
            400, "RequestBodyRead", self.token(), **{"Content-Type": "application/json"}
        )
        limits.recipients_per_day = 2
        await self.assert_declined(403, "ErrorSubmissionQuotaExceeded", self.token())
        tenant.change_mailbox(RELAY, full=True)
        await self.assert_declined(400, "ErrorQuotaExceeded", self.token())
        tenant.change_mailbox(RELAY, blocked=True)
        await self.assert_declined(403, "ErrorMessageSubmissionBlocked", self.token())

    async def test_too_many_at_once(self) -> None:
        """The fifth request at a time is told when to come again."""
        self.rehearsal.limits.graph_requests = 4
        running = self.rehearsal.graph.running
        running[RELAY] = 4
        answer = await self.assert_declined(429, "ApplicationThrottled", self.token())
        self.assertEqual(answer.headers["Retry-After"], "10")
        running[RELAY] = 3
        self.assertEqual((await self.post(self.token())).status_code, 202)
        self.assertEqual(running[RELAY], 3)

    async def test_faults_on_order(self) -> None:
        """Any status, error, header and body; the message may be taken all the same."""
        order = self.rehearsal.faults.order
        order(
            Fault(phase="graph", status=503, error="ErrorServerBusy", headers={"Retry-After": "7"})
        )
        answer = await self.assert_declined(503, "ErrorServerBusy", self.token())
        self.assertEqual(answer.headers["Retry-After"], "7")
        order(Fault(phase="graph", status=504, body="<html>", record=True, match="b@x.example"))
        answer = await self.post(self.token())
        self.assertEqual((answer.status_code, answer.text), (504, "<html>"))
        [message] = self.rehearsal.record.messages()
        self.assertEqual(message.fate, "answered 504")


class BccTests(RehearsalCase):
    def test_only_bcc_is_taken_away(self) -> None:
        """With its folded lines; a body that looks like a header stays."""
        self.assertEqual(without_bcc(MESSAGE), SHOWN)
        body = b"To: a\r\nBCC:b\r\n\r\nBcc: stays\r\n"
        self.assertEqual(without_bcc(body), b"To: a\r\n\r\nBcc: stays\r\n")
