"""Mail leaves by Microsoft Graph: with an app, with a person, and when Microsoft says no."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from typing import Any

from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID
from tests.whole.stage import (
    CONFIGURATION,
    LOGIN,
    PASSWORD,
    RELAY,
    SENDER,
    Gateway,
    WholeTestCase,
    await_,
)

BY_GRAPH = CONFIGURATION.replace('cloud = "rehearsal"', 'cloud = "rehearsal"\nexit = "graph"')
QUICK = '[queue]\nminimal_backoff_time = "1s"\nmaximal_backoff_time = "1s"\n'
YOU = "you@elsewhere.example"
NOBODY_ELSE = f"To: {YOU}\r\n"


class GraphCase(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")

    def start(self, configuration: str = BY_GRAPH, more: str = QUICK) -> Gateway:
        self.gate = self.gateway(self.microsoft365, more, configuration)
        return self.gate

    def submit(
        self, header: str = NOBODY_ELSE, recipients: Sequence[str] = (YOU,), sender: str = SENDER
    ) -> str:
        """Hand in a message and give its queue id."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            client.ehlo()
            client.mail(sender)
            for recipient in recipients:
                client.rcpt(recipient)
            message = f"From: {sender or SENDER}\r\n{header}Subject: Graph\r\n\r\nHello\r\n"
            code, text = client.data(message.encode())
        self.assertEqual(code, 250)
        return text.decode().split()[-1]

    def fault(self, **fault: Any) -> None:
        self.microsoft365.fault(phase="graph", **fault)

    def swaks(self, *words: str) -> str:
        return self.run_client(
            "swaks", "--server", f"127.0.0.1:{self.gate.ports['submission']}", "--tls",
            "--auth", "LOGIN", "--auth-user", LOGIN, "--auth-password", PASSWORD, *words,
        )  # fmt: skip

    def assert_held(self, qid: str, *words: str) -> None:
        """It rests in hold, nobody was told, and these words are shown."""
        self.gate.wait_for("message.held", qid=qid)
        shown = self.gate.command("queue", "show", qid).stdout
        for word in words:
            self.assertIn(word, shown)
        await_(lambda: any(qid in path.name for path in self.gate.spooled()), "it is not kept")
        self.assertEqual(self.gate.of("message.report"), [])


class SendingTests(GraphCase):
    def test_app(self) -> None:
        """swaks to Graph as an app: To, a recipient nobody sees, and the message as it came."""
        self.start()
        self.swaks("--from", SENDER, "--to", f"{YOU},hidden@elsewhere.example",
                   "--header", f"To: {YOU}", "--body", "Gr\u00fc\u00dfe\r\n.\r\nend")  # fmt: skip
        event = self.gate.wait_for("delivery", to="hidden@elsewhere.example")
        self.assertEqual(event["status"], "sent")
        self.assertIn("Microsoft Graph: 202 Accepted [request-id ", event["note"])
        self.assertRegex(event["relay"], r"^127\.0\.0\.1\[127\.0\.0\.1\]:\d+$")
        [message] = self.microsoft365.wait_for(1)
        self.assertEqual((message["by"], message["mailbox"]), ("graph", RELAY))
        self.assertEqual(message["client_id"], APP_ID)
        self.assertEqual(sorted(message["recipients"]), ["hidden@elsewhere.example", YOU])
        content = self.microsoft365.content(message["number"])
        self.assertNotIn(b"hidden", content)
        self.assertIn("Gr\u00fc\u00dfe\r\n.\r\nend".encode(), content)
        self.gate.wait_for("message.removed")
        self.assertEqual(self.gate.spooled(), [])

    def test_person(self) -> None:
        """swaks to Graph as a person who signed in with a code: sendMail of "me"."""
        self.start(
            BY_GRAPH.replace('flow = "secret"', 'flow = "device"')
            .replace(f'client_secret = "{APP_SECRET}"', "")
            .replace(APP_ID, PUBLIC_APP_ID)
        )
        self.gate.sign_in(self.microsoft365)
        self.swaks("--from", SENDER, "--to", YOU)
        self.gate.wait_for("delivery", to=YOU, status="sent")
        [message] = self.microsoft365.wait_for(1)
        self.assertEqual((message["client_id"], message["by"]), (PUBLIC_APP_ID, "graph"))

    def test_nearly_three_megabytes(self) -> None:
        """The largest message that fits arrives; one octet of a request more is returned."""
        self.start()
        for size, count in ((3_000_000, 1), (3_200_000, 2)):
            with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
                body = b"x" * 70 + b"\r\n"
                content = f"From: {SENDER}\r\n{NOBODY_ELSE}\r\n".encode() + body * (size // 72)
                client.sendmail(SENDER, [YOU], content)
            messages = self.microsoft365.wait_for(count)
        self.assertGreater(messages[0]["size"], 2_990_000)
        self.assertEqual(messages[1]["recipients"], [SENDER])
        report = self.microsoft365.content(2)
        self.assertIn(b"larger than Microsoft Graph takes", report)
        self.gate.wait_for("delivery", to=YOU, status="bounced", dsn="5.3.4")


class ObstacleTests(GraphCase):
    def test_what_graph_cannot_carry_is_held(self) -> None:
        """List mail and a split envelope: nobody gets a copy, an operator reads why."""
        self.start()
        qid = self.submit("To: list@contoso.example\r\n")
        self.assert_held(qid, "would also send the message", "To, Cc", 'fallback = "smtp"')
        self.assertEqual(self.microsoft365.messages(), [])

    def test_what_graph_cannot_carry_goes_by_smtp(self) -> None:
        """With SMTP as the fallback it arrives by SMTP; the rest goes by Graph; status says so."""
        self.start(BY_GRAPH.replace('exit = "graph"', 'exit = "graph"\nfallback = "smtp"'))
        qid = self.submit("To: list@contoso.example\r\n")
        self.gate.wait_for("delivery", qid=qid, status="sent")
        self.gate.wait_for("exit.fallback", mailbox=RELAY, exit="smtp")
        other = self.submit()
        self.gate.wait_for("delivery", qid=other, status="sent")
        by = [message["by"] for message in self.microsoft365.wait_for(2)]
        self.assertEqual(by, ["DATA", "graph"])
        for words in (("status",), ("mailbox", "list"), ("mailbox", "show", RELAY)):
            self.assertIn("1 message by SMTP instead of Graph", self.gate.command(*words).stdout)

    def test_smtp_auth_is_forbidden(self) -> None:
        """Graph is the fallback then: at once, and one incident says so until SMTP is back."""
        self.microsoft365.ask("switches", {"tenant": {"smtp_auth_disabled": True}})
        self.start(BY_GRAPH.replace('exit = "graph"', 'fallback = "graph"'))
        for number in (1, 2):
            qid = self.submit()
            self.gate.wait_for("delivery", qid=qid, status="sent")
            self.assertEqual(len(self.gate.of("exit.fallback", exit="graph")), number)
        self.assertEqual([m["by"] for m in self.microsoft365.wait_for(2)], ["graph", "graph"])
        [told] = self.gate.of("incident.opened")
        self.assertEqual((told["key"], told["mailbox"]), ("exit-shut", RELAY))
        self.assertEqual(len(self.gate.of("token.acquired")), 2)  # one for each exit
        held = self.submit("To: list@contoso.example\r\n")
        self.assert_held(held)
        self.microsoft365.ask("switches", {"tenant": {"smtp_auth_disabled": False}})
        self.assertEqual(self.gate.command("mailbox", "retry", RELAY).returncode, 0)
        qid = self.submit()
        self.gate.wait_for("delivery", qid=qid, status="sent")
        self.gate.wait_for("incident.closed", key="exit-shut", mailbox=RELAY)
        self.assertEqual(self.microsoft365.wait_for(3)[-1]["by"], "DATA")


class RefusalTests(GraphCase):
    def test_each_refusal(self) -> None:
        """Throttling, busy servers, what is unknown, a refused token, missing permissions: nothing
        is lost or returned, and each message arrives once it is over."""
        self.start()
        for status, error, headers in (
            (429, "ApplicationThrottled", {"Retry-After": "1"}),
            (503, "ErrorServerBusy", {"Retry-After": "1"}),
            (500, "ErrorInternalServerTransientError", {}),
            (400, "SomethingNew", {}),
            (401, "InvalidAuthenticationToken", {}),
        ):
            self.fault(status=status, error=error, headers=headers)
            qid = self.submit()
            self.gate.wait_for("delivery", qid=qid, status="sent")
        self.assertEqual(len(self.microsoft365.wait_for(5)), 5)
        for count, (status, error) in enumerate(
            ((403, "ErrorAccessDenied"), (404, "MailboxNotEnabledForRESTAPI")), start=6
        ):
            self.fault(status=status, error=error, times=2 if status == 403 else 1)
            since = len(self.gate.events)
            qid = self.submit()
            self.gate.wait_for("incident.opened", since=since)
            self.gate.stop()
            self.gate.start()  # what somebody has to mend is probed at once then
            self.gate.wait_for("delivery", qid=qid, status="sent")
            self.gate.wait_for("incident.closed", since=since)
            self.assertEqual(len(self.microsoft365.wait_for(count)), count)
        self.assertEqual(self.gate.of("message.report"), [])

    def test_an_answer_that_is_no_answer(self) -> None:
        """200 is no success: held as uncertain, with an alarm, and not sent again."""
        self.start()
        self.fault(status=200, body="")
        qid = self.submit()
        self.gate.wait_for("delivery", qid=qid, status="uncertain")
        self.assert_held(qid, "neither a yes nor a no", "message trace")
        self.gate.wait_for("alarm", qid=qid)
        self.assertEqual(self.microsoft365.messages(), [])

    def test_cut_before_the_answer(self) -> None:
        """Graph has it, we do not know: uncertain, said, and settled by the policy."""
        self.start(more='[queue]\non_uncertain = "hold"\n')
        self.fault(action="drop", record=True)
        qid = self.submit()
        event = self.gate.wait_for("delivery", qid=qid, status="uncertain")
        self.assertIn("client-request-id", event["note"])
        self.assert_held(qid)
        self.assertEqual(len(self.microsoft365.messages()), 1)

    def test_killed_before_the_answer(self) -> None:
        """kill -9 with a request in flight: afterwards it is known as uncertain."""
        self.start(more='[queue]\non_uncertain = "hold"\n')
        self.fault(action="stall", record=True)
        qid = self.submit()
        self.microsoft365.wait_for(1)
        self.gate.kill()
        self.gate.start()
        self.gate.wait_for("delivery", qid=qid, status="uncertain")
        self.assert_held(qid)
        self.assertEqual(len(self.microsoft365.messages()), 1)
