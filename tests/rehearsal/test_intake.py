"""Tests of taking messages: content, judgement, limits, faults at the final dot."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.faults import Fault
from m365gw.rehearsal.limits import Limits
from tests.rehearsal.dialogue import MESSAGE, RELAY, Dialogue, Service


class DataTests(SynchronousTestCase):
    """DATA."""

    def setUp(self) -> None:
        self.service = Service()
        self.dialogue = self.service.signed_in()

    def test_message_is_recorded_as_it_was(self) -> None:
        """Octets, envelope and circumstances are kept."""
        message = MESSAGE + b"..two\r\n.one\r\n"
        sent = message.replace(b"\r\n.", b"\r\n..")
        self.assertTrue(self.dialogue.mail(sent, to="c@x.example").startswith("250 2.0.0 OK <1@"))
        [kept] = self.service.record.messages()
        self.assertEqual(kept.content, message)
        self.assertEqual((kept.sender, kept.recipients), (RELAY, ("c@x.example",)))
        self.assertEqual((kept.mailbox, kept.fate, kept.by), (RELAY, "delivered", "DATA"))
        self.assertEqual(kept.complaints, ())

    def test_next_command_may_follow_the_dot(self) -> None:
        """What is pipelined behind the message is read as commands."""
        self.dialogue.envelope()
        answers = self.dialogue.send(MESSAGE + b".\r\nRSET\r\nQUIT\r\n")
        self.assertEqual([line[:3] for line in answers.splitlines()], ["250", "250", "221"])

    def test_smuggled_end_is_content(self) -> None:
        """An LF dot LF ends nothing; the message has bare line feeds and is refused."""
        self.dialogue.envelope()
        evil = MESSAGE + b"x\n.\nMAIL FROM:<evil@x.example>\r\n.\r\n"
        answers = self.dialogue.send(evil)
        self.assertTrue(answers.startswith("550 5.6.11"), answers)
        self.assertEqual(answers.count("\n"), 1)
        self.assertEqual(self.service.record.count, 0)

    def test_content_ahead_of_the_invitation_is_noted(self) -> None:
        """A client that does not wait for the 354 is served, and complained about."""
        self.dialogue.say(f"MAIL FROM:<{RELAY}>")
        self.dialogue.say("RCPT TO:<b@x.example>")
        self.dialogue.send(b"DATA\r\n" + MESSAGE + b".\r\n")
        [kept] = self.service.record.messages()
        self.assertEqual(kept.complaints, ("content sent before the 354",))

    def test_other_faults_of_the_client_are_noted(self) -> None:
        """8-bit without BODY, long lines, a wrong SIZE."""
        self.dialogue.say(f"MAIL FROM:<{RELAY}> SIZE=5")
        self.dialogue.say("RCPT TO:<b@x.example>")
        self.dialogue.say("DATA")
        self.dialogue.send(MESSAGE + "ä".encode() + b"x" * 1000 + b"\r\n.\r\n")
        complaints = self.service.record.messages()[0].complaints
        self.assertEqual(complaints[0], "8-bit content without BODY=8BITMIME")
        self.assertEqual(complaints[1], "a line of 1002 octets")
        self.assertTrue(complaints[2].startswith("SIZE=5 but "))

    def test_large_message_is_refused_at_its_end(self) -> None:
        """Without SIZE= the limit of the mailbox shows at the final dot."""
        self.service.tenant.change_mailbox(RELAY, max_send_size=1000)
        answer = self.dialogue.mail(MESSAGE + b"x" * 1000 + b"\r\n")
        self.assertTrue(answer.startswith("552 5.3.4"), answer)
        answer = self.dialogue.mail(MESSAGE + b"x" * 200_000 + b"\r\n")
        self.assertTrue(answer.startswith("552 5.3.4"), answer)
        exact = MESSAGE + b"x" * (998 - len(MESSAGE)) + b"\r\n"
        self.assertTrue(self.dialogue.mail(exact).startswith("250"))

    def test_from_is_looked_at(self) -> None:
        """A foreign From is denied, a missing or doubled one too, each with its own words."""
        for header, start in (
            (b"From: Relay <relay@contoso.example>, alerts@contoso.example", "250"),
            (b"From: alice@contoso.example", "554 5.2.0 STOREDRV.Submission.Exception:SendAsD"),
            (b"From: relay@contoso.example, alice@contoso.example", "554 5.2.0"),
            (b"Subject: no from", "550 5.7.512"),
            (b"From: nobody", "550 5.7.512"),
            (b"From: relay@contoso.example\r\nFrom: relay@contoso.example", "550 5.7.512"),
        ):
            answer = self.dialogue.mail(header + b"\r\n\r\n")
            self.assertTrue(answer.startswith(start), (header, answer))

    def test_header_limits(self) -> None:
        """A field over 32,768 characters and a loop are refused."""
        long = b"X-Long: " + b"\r\n ".join([b"y" * 900] * 40) + b"\r\n" + MESSAGE
        self.assertTrue(self.dialogue.mail(long).startswith("554 5.6.211"))
        loop = b"Received: by a\r\n" * 101 + MESSAGE
        self.assertTrue(self.dialogue.mail(loop).startswith("554 5.4.14"))

    def test_full_mailbox(self) -> None:
        """A mailbox filled by its Sent Items takes nothing."""
        self.service.tenant.change_mailbox(RELAY, full=True)
        self.assertIn("ShutoffQuotaExceeded", self.dialogue.mail())

    def test_too_many_recipients_come_back_later(self) -> None:
        """The mailbox's own limit is not told at SMTP: the mail is taken and returned."""
        self.service.tenant.change_mailbox(RELAY, recipient_limit=1)
        self.dialogue.say(f"MAIL FROM:<{RELAY}>")
        self.dialogue.say("RCPT TO:<b@x.example>")
        self.dialogue.say("RCPT TO:<c@x.example>")
        self.dialogue.say("DATA")
        self.assertTrue(self.dialogue.send(MESSAGE + b".\r\n").startswith("250"))
        fate = self.service.record.messages()[0].fate
        self.assertTrue(fate.startswith("returned: 550 5.5.3 RESOLVER.ADR.RecipLimit"), fate)


class BdatTests(SynchronousTestCase):
    """BDAT."""

    def setUp(self) -> None:
        self.service = Service()
        self.dialogue = self.service.signed_in()

    def begin(self, parameters: str = "") -> None:
        """MAIL and RCPT."""
        self.dialogue.say(f"MAIL FROM:<{RELAY}>{parameters}")
        self.dialogue.say("RCPT TO:<b@x.example>")

    def test_chunks_make_a_message(self) -> None:
        """Several chunks, dots untouched, an empty last one."""
        self.begin()
        message = MESSAGE + b".\r\n"
        half = len(message) // 2
        answers = self.dialogue.send(
            b"BDAT %d\r\n%bBDAT %d\r\n%bBDAT 0 LAST\r\n"
            % (half, message[:half], len(message) - half, message[half:])
        )
        self.assertEqual([line[:3] for line in answers.splitlines()], ["250", "250", "250"])
        [kept] = self.service.record.messages()
        self.assertEqual((kept.content, kept.by), (message, "BDAT"))

    def test_chunk_without_transaction_is_read_and_refused(self) -> None:
        """The octets of a refused chunk are never commands."""
        answers = self.dialogue.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        self.assertEqual([line[:3] for line in answers.splitlines()], ["503", "250"])

    def test_data_and_bdat_do_not_mix(self) -> None:
        """After a chunk neither DATA nor RCPT."""
        self.begin()
        self.dialogue.send(b"BDAT 1\r\nx")
        self.assertTrue(self.dialogue.say("DATA").startswith("503"))
        self.assertTrue(self.dialogue.say("RCPT TO:<c@x.example>").startswith("503"))

    def test_binary_needs_bdat(self) -> None:
        """BODY=BINARYMIME allows bare line feeds, and forbids DATA."""
        self.begin(" BODY=BINARYMIME")
        self.assertTrue(self.dialogue.say("DATA").startswith("503"))
        binary = MESSAGE + b"\0\n\r"
        answer = self.dialogue.send(b"BDAT %d LAST\r\n%b" % (len(binary), binary))
        self.assertTrue(answer.startswith("250 2.0.0"), answer)

    def test_bare_line_feed_is_refused_in_chunks_too(self) -> None:
        """Without BINARYMIME a chunk is text."""
        self.begin()
        answer = self.dialogue.send(b"BDAT %d LAST\r\n%b\n" % (len(MESSAGE) + 1, MESSAGE))
        self.assertTrue(answer.startswith("550 5.6.11"), answer)


class LimitTests(SynchronousTestCase):
    """The limits of a mailbox."""

    def setUp(self) -> None:
        self.service = Service(limits=Limits(tarpit_seconds=0.0))

    def test_fourth_submission_is_told_at_its_end(self) -> None:
        """Three places; who came fourth gets 432, and may try again when one is free."""
        dialogues = [self.service.signed_in() for _ in range(4)]
        for dialogue in dialogues:
            dialogue.envelope()
        self.assertTrue(dialogues[3].send(MESSAGE + b".\r\n").startswith("432 4.3.2"))
        self.assertTrue(dialogues[0].send(MESSAGE + b".\r\n").startswith("250"))
        self.assertTrue(dialogues[3].mail().startswith("250"))

    def test_place_is_free_when_its_holder_leaves(self) -> None:
        """RSET, QUIT or a cut connection frees the place."""
        dialogues = [self.service.signed_in() for _ in range(4)]
        for dialogue in dialogues:
            dialogue.say(f"MAIL FROM:<{RELAY}>")
        dialogues[0].session.connectionLost()
        dialogues[3].say("RCPT TO:<b@x.example>")
        dialogues[3].say("DATA")
        self.assertTrue(dialogues[3].send(MESSAGE + b".\r\n").startswith("250"))

    def send(self, dialogue: Dialogue, count: int) -> list[str]:
        """Codes of so many messages."""
        return [dialogue.mail()[:3] for _ in range(count)]

    def test_surplus_of_a_minute_is_delayed(self) -> None:
        """The thirty-first message waits until the first is a minute old."""
        dialogue = self.service.signed_in()
        self.assertEqual(self.send(dialogue, 30), ["250"] * 30)
        self.assertEqual(dialogue.mail(), "")
        self.service.clock.advance(59)
        self.assertEqual(dialogue.heard(), "")
        self.service.clock.advance(1)
        self.assertTrue(dialogue.heard().startswith("250"))

    def test_surplus_of_a_minute_is_refused_when_so_set(self) -> None:
        """451 4.4.2, and it does not count."""
        self.service.limits.rate_mode = "refuse"
        dialogue = self.service.signed_in()
        self.send(dialogue, 30)
        self.assertTrue(dialogue.mail().startswith("451 4.4.2"))
        self.service.clock.advance(60)
        self.assertEqual(self.send(dialogue, 31), ["250"] * 30 + ["451"])

    def test_recipients_of_a_day(self) -> None:
        """Above the quota 554, until the window has rolled on."""
        self.service.limits.recipients_per_day = 2
        self.service.limits.idle_seconds = self.service.limits.connection_seconds = 0.0
        dialogue = self.service.signed_in()
        self.assertEqual(self.send(dialogue, 2), ["250", "250"])
        self.assertIn("SubmissionQuotaExceededException", dialogue.mail())
        self.service.clock.advance(86400)
        self.assertEqual(self.send(dialogue, 1), ["250"])

    def test_limits_off(self) -> None:
        """Everything goes, and at once."""
        service = Service(limits=Limits.off())
        dialogues = [service.signed_in() for _ in range(5)]
        for dialogue in dialogues:
            dialogue.envelope()
        for dialogue in dialogues:
            self.assertTrue(dialogue.send(MESSAGE + b".\r\n").startswith("250"))
            self.assertEqual(self.send(dialogue, 20), ["250"] * 20)

    def test_store_takes_its_time(self) -> None:
        """With submission_seconds the place is held until the answer."""
        self.service.limits.submission_seconds = 2.0
        dialogue = self.service.signed_in()
        self.assertEqual(dialogue.mail(), "")
        self.service.clock.advance(2)
        self.assertTrue(dialogue.heard().startswith("250"))


class FaultTests(SynchronousTestCase):
    """Faults on order, in a session."""

    def setUp(self) -> None:
        self.service = Service()

    def order(self, **values: object) -> None:
        """Orders a fault."""
        self.service.faults.order_from(values)

    def test_refusal_at_connect(self) -> None:
        """The connection is closed after the answer."""
        self.order(phase="connect", answer="too-many-connections")
        dialogue = self.service.open()
        self.assertTrue(dialogue.heard().startswith("421 4.3.2 The maximum"))
        self.assertTrue(dialogue.is_closed)

    def test_each_phase_can_be_answered(self) -> None:
        """EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, dot."""
        for phase in ("ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot"):
            self.order(phase=phase, answer=f"450 4.0.0 fault at {phase}")
        dialogue = self.service.open()
        said = [dialogue.say("EHLO a.example"), dialogue.say("EHLO a.example")]
        said += [dialogue.say("STARTTLS"), dialogue.say("STARTTLS"), dialogue.say("EHLO a.example")]
        said += [dialogue.sign_in(RELAY, self.service.token()) for _ in range(2)]
        said += [dialogue.say(f"MAIL FROM:<{RELAY}>") for _ in range(2)]
        said += [dialogue.say("RCPT TO:<b@x.example>") for _ in range(2)]
        said += [dialogue.say("DATA") for _ in range(2)]
        said += [dialogue.send(MESSAGE + b".\r\n"), dialogue.mail()]
        codes = " ".join(answer[:3] for answer in said)
        self.assertEqual(codes, "450 250 450 220 250 450 235 450 250 450 250 450 354 450 250")
        self.assertEqual(self.service.record.count, 1)

    def test_only_one_recipient_is_hit(self) -> None:
        """A pattern chooses the recipient; 0 means always."""
        self.order(phase="rcpt", answer="unknown-recipient", match="gone@*", times=0)
        dialogue = self.service.signed_in()
        dialogue.say(f"MAIL FROM:<{RELAY}>")
        for _ in range(2):
            self.assertTrue(dialogue.say("RCPT TO:<gone@x.example>").startswith("550 5.1.10"))
            self.assertTrue(dialogue.say("RCPT TO:<b@x.example>").startswith("250"))

    def test_drop_before_the_dot(self) -> None:
        """Cut while the message arrives: nothing is recorded."""
        self.order(phase="content", action="drop", after=100)
        dialogue = self.service.signed_in()
        dialogue.envelope()
        dialogue.send(MESSAGE)
        self.assertFalse(dialogue.is_closed)
        dialogue.send(b"x" * 100)
        self.assertTrue(dialogue.is_closed)
        self.assertEqual(self.service.record.count, 0)

    def test_drop_before_the_dot_of_a_small_message(self) -> None:
        """The fault strikes even when the whole message comes in one piece, by DATA or BDAT."""
        for send in (
            lambda dialogue: dialogue.mail(),
            lambda dialogue: dialogue.send(
                b"MAIL FROM:<relay@contoso.example>\r\nRCPT TO:<b@x.example>\r\n"
                b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE)
            ),
        ):
            self.order(phase="content", action="drop")
            dialogue = self.service.signed_in()
            send(dialogue)
            self.assertTrue(dialogue.is_closed)
        self.assertEqual(self.service.record.count, 0)

    def test_stall_inside_a_message(self) -> None:
        """The message is taken when the stall has ended, with what came meanwhile behind it."""
        self.order(phase="content", action="stall", seconds=10.0)
        dialogue = self.service.signed_in()
        dialogue.envelope()
        self.assertEqual(dialogue.send(MESSAGE + b".\r\nNO"), "")
        self.assertEqual(dialogue.send(b"OP\r\nQUIT\r\n"), "")
        self.service.clock.advance(10)
        codes = [line[:3] for line in dialogue.heard().splitlines()]
        self.assertEqual(codes, ["250", "250", "221"])

    def test_drop_after_the_dot(self) -> None:
        """Cut without an answer; the message was taken or not, as ordered."""
        for record, count in ((False, 0), (True, 1)):
            self.order(phase="dot", action="drop", record=record)
            dialogue = self.service.signed_in()
            self.assertEqual(dialogue.mail(), "")
            self.assertTrue(dialogue.is_closed)
            self.assertEqual(self.service.record.count, count)
        self.assertEqual(self.service.record.messages()[0].fate, "no answer")

    def test_stall_that_ends(self) -> None:
        """After the seconds all goes on as if nothing had been."""
        self.order(phase="dot", action="stall", seconds=30.0)
        dialogue = self.service.signed_in()
        self.assertEqual(dialogue.mail(), "")
        self.service.clock.advance(30)
        self.assertTrue(dialogue.heard().startswith("250 2.0.0"))

    def test_stall_for_ever(self) -> None:
        """No answer, until the session times out or is told to go on."""
        self.order(phase="mail", action="stall", times=2)
        dialogue, gone = self.service.signed_in(), self.service.signed_in()
        for each in (dialogue, gone):
            self.assertEqual(each.say(f"MAIL FROM:<{RELAY}>"), "")
        self.service.clock.advance(299)
        self.assertEqual(dialogue.heard(), "")
        gone.session.drop()
        self.service.faults.go_on()
        self.assertTrue(dialogue.heard().startswith("250 2.1.0"))

    def test_421_closes(self) -> None:
        """A 421 at any phase is followed by the end."""
        self.order(phase="rcpt", answer="421 4.3.2 Service not active")
        dialogue = self.service.signed_in()
        dialogue.say(f"MAIL FROM:<{RELAY}>")
        self.assertTrue(dialogue.say("RCPT TO:<b@x.example>").startswith("421"))
        self.assertTrue(dialogue.is_closed)

    def test_refused_answer_that_was_taken(self) -> None:
        """A message may be taken although the answer says no."""
        self.service.faults.order(Fault(phase="dot", answer="server-busy", record=True))
        self.assertTrue(self.service.signed_in().mail().startswith("451 4.7.500"))
        self.assertTrue(self.service.record.messages()[0].fate.startswith("answered 451"))
