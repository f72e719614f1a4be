"""Delivery reports (`reports` and its parts `report_*`), read back by the standard library."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from typing import Any

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.reports.facts import Facts, Kind, Told
from m365gw.smtp.reports.parts import LONGEST_LINE
from m365gw.smtp.reports.reports import compose_report
from m365gw.smtp.reports.summary import Line, compose_summary

AT = datetime(2026, 11, 21, 4, 46, 7, tzinfo=UTC)
HEADER = b"From: me@example.com\r\nSubject: Minutes\r\nMessage-ID: <1@example.com>\r\n\r\n"


@frozen
class Words:
    """An explanation, as a diagnosis gives it."""

    what: str = "There is no such recipient."
    why: str = "The address does not exist."
    fix: str = "Check the address."
    actor_for_sender: str = "you, the sender"


ONE = Told(
    Recipient("b@example.net", orcpt="rfc822;B@example.net"),
    Reply(550, "5.1.1", "User\nunknown"),
    Words(),
    "smtp.office365.com[192.0.2.1]:587",
    tried_at=AT,
)
FACTS = Facts(
    kind=Kind.FAILED,
    hostname="relay.example.com",
    sender="relay@contoso.com",
    addressee="me@example.com",
    queue_id="4NEWxxxxxxxxx",
    about="4OLDxxxxxxxxx",
    envid="QQ314159",
    came_from=("printer.example.com", "192.0.2.7"),
    arrived_at=AT,
    at=AT,
    told=(ONE,),
    header=HEADER,
)


def report(*told: Told, **changes: Any) -> bytes:
    """A report of a failure, unless the changes say otherwise."""
    return compose_report(evolve(FACTS, told=told or (ONE,), **changes))


def parsed(wire: bytes) -> EmailMessage:
    message = email.message_from_bytes(wire, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def parts(wire: bytes) -> list[Message]:
    return list(email.message_from_bytes(wire).get_payload())


def words(wire: bytes) -> str:
    """The first part as a person reads it."""
    body = parts(wire)[0].get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode()


def status_blocks(wire: bytes) -> list[Message]:
    """The fields of the second part: of the message, then of each recipient."""
    return list(parts(wire)[1].get_payload())


class ReportTests(SynchronousTestCase):
    """What is in a report."""

    def test_header(self) -> None:
        """From a real mailbox, marked as automatic, in the thread of the original."""
        message = parsed(report())
        self.assertEqual(message["From"], "Mail Delivery System <relay@contoso.com>")
        self.assertEqual(message["To"], "me@example.com")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        self.assertEqual(message["X-Auto-Response-Suppress"], "All")
        self.assertEqual(message["Message-ID"], "<4NEWxxxxxxxxx.report@relay.example.com>")
        self.assertEqual(message["In-Reply-To"], "<1@example.com>")
        self.assertEqual(message["Date"], "Sat, 21 Nov 2026 04:46:07 +0000")
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message["Content-Type"].params["report-type"], "delivery-status")
        self.assertEqual(message.defects, [])

    def test_three_parts_in_their_order(self) -> None:
        """For people, for programs, and what was returned."""
        self.assertEqual(
            [part.get_content_type() for part in parts(report())],
            ["text/plain", "message/delivery-status", "text/rfc822-headers"],
        )

    def test_words_for_a_person(self) -> None:
        """What happened, what it means, what to do, who must, and the answer itself."""
        text = words(report())
        for expected in (
            *("Subject: Minutes", "Queue id: 4OLDxxxxxxxxx", "To: <b@example.net>"),
            *("There is no such recipient.", "The address does not exist.", "Check the address."),
            *("you, the sender", "550 5.1.1 User unknown"),
        ):
            with self.subTest(expected=expected):
                self.assertIn(expected, text)

    def test_encoded_subjects_are_read(self) -> None:
        """And those that cannot be decoded are shown as they are."""
        table = {
            b"=?utf-8?q?H=C3=A4?=": "Hä",
            "Grüße".encode(): "Grüße",
            b"=?nonsense?b?!?=": "=?nonsense?b?!?=",
        }
        for raw, shown in table.items():
            with self.subTest(raw=raw):
                wire = report(header=b"Subject: " + raw + b"\r\n\r\n")
                self.assertIn(f"Subject: {shown}\r\n", words(wire))

    def test_fields_for_programs(self) -> None:
        """RFC 3464 with ENVID and ORCPT of RFC 3461, and the remote reply."""
        of_message, of_recipient = status_blocks(report())
        self.assertEqual(
            of_message.items(),
            [
                ("Original-Envelope-Id", "QQ314159"),
                ("Reporting-MTA", "dns; relay.example.com"),
                ("Received-From-MTA", "dns; printer.example.com (192.0.2.7)"),
                ("Arrival-Date", "Sat, 21 Nov 2026 04:46:07 +0000"),
                ("X-M365GW-Queue-ID", "4OLDxxxxxxxxx"),
            ],
        )
        self.assertEqual(
            of_recipient.items(),
            [
                ("Original-Recipient", "rfc822; B@example.net"),
                ("Final-Recipient", "rfc822; b@example.net"),
                ("Action", "failed"),
                ("Status", "5.1.1"),
                ("Remote-MTA", "dns; smtp.office365.com"),
                ("Diagnostic-Code", "smtp; 550 5.1.1 User unknown"),
                ("Last-Attempt-Date", "Sat, 21 Nov 2026 04:46:07 +0000"),
            ],
        )

    def test_recipients_with_the_same_trouble_are_named_together(self) -> None:
        """Each has its block for programs; a person reads the same trouble once."""
        other = evolve(ONE, recipient=Recipient("c@example.net"), reply=Reply(550, "5.7.1", "No"))
        wire = report(ONE, other, evolve(ONE, recipient=Recipient("d@example.net")))
        self.assertEqual(len(status_blocks(wire)), 4)
        text = words(wire)
        self.assertEqual(text.count("What happened"), 2)
        self.assertIn("To: <b@example.net>\r\nTo: <d@example.net>\r\n  What happened", text)

    def test_a_thousand_recipients_are_not_all_named_to_a_person(self) -> None:
        """The words stay readable; the fields name all."""
        wire = report(*(evolve(ONE, recipient=Recipient(f"u{n}@example.net")) for n in range(1000)))
        self.assertIn("and 950 more, named in the second part", words(wire))
        self.assertEqual(len(status_blocks(wire)), 1001)

    def test_delay(self) -> None:
        """Still tried, until when, and why it waits; of the class of temporary failures."""
        until = datetime(2026, 11, 26, 4, 46, 7, tzinfo=UTC)
        one = evolve(ONE, reply=Reply(550, "5.7.60", "Send as denied"), tried_at=None)
        wire = report(one, kind=Kind.DELAYED, retry_until=until, message=b"X: y\r\n\r\nbody\r\n")
        block = status_blocks(wire)[1]
        self.assertEqual((block["Action"], block["Status"]), ("delayed", "4.7.60"))
        self.assertEqual(block["Will-Retry-Until"], "Thu, 26 Nov 2026 04:46:07 +0000")
        self.assertNotIn("Last-Attempt-Date", block)
        self.assertEqual(parsed(wire)["Subject"], "Delayed mail (still being tried)")
        for expected in ("You need not send it again", "Thu, 26 Nov 2026", "Who must act:"):
            self.assertIn(expected, words(wire))
        self.assertEqual(parts(wire)[2].get_content_type(), "text/rfc822-headers")

    def test_passed_on(self) -> None:
        """It says relayed and never delivered: nobody here knows that."""
        one = evolve(ONE, reply=Reply(250, "2.0.0", "OK"))
        wire = report(one, kind=Kind.RELAYED, was_delayed=True)
        block = status_blocks(wire)[1]
        self.assertEqual((block["Action"], block["Status"]), ("relayed", "2.0.0"))
        self.assertIn("is not known here", words(wire))
        self.assertIn("The delay you were told of is over.", words(wire))

    def test_what_may_have_arrived_is_said(self) -> None:
        """A failure after an uncertain attempt: the recipient may have it."""
        self.assertIn(
            "It may have arrived all the same", words(report(evolve(ONE, is_doubtful=True)))
        )
        self.assertNotIn("may have arrived", words(report()))

    def test_a_local_message_came_from_nobody(self) -> None:
        """Without a client there is no Received-From-MTA; without a name its address stands."""
        self.assertNotIn("Received-From-MTA", status_blocks(report(came_from=("", "")))[0])
        of_message = status_blocks(report(came_from=("", "2001:db8::1")))[0]
        self.assertEqual(of_message["Received-From-MTA"], "dns; [2001:db8::1]")

    def test_status_tells_how_it_ended(self) -> None:
        """Given up is 4.4.7; a refusal without a permanent status is 5.0.0."""
        cases = (
            (evolve(ONE, gave_up=True), "4.4.7"),
            (evolve(ONE, reply=Reply(550, "", "no")), "5.0.0"),
            (evolve(ONE, reply=Reply(552, "4.3.1", "no")), "5.0.0"),
            (evolve(ONE, reply=Reply(550, "5.1.1\r\nX: y", "no")), "5.0.0"),
        )
        for one, expected in cases:
            with self.subTest(expected=expected):
                self.assertEqual(status_blocks(report(one))[1]["Status"], expected)

    def test_without_an_answer(self) -> None:
        """A server that never answered is not named, and its silence is not called SMTP."""
        one = evolve(ONE, reply=Reply(0, "", "Connection refused"), relay="none", gave_up=True)
        block = status_blocks(report(one))[1]
        self.assertEqual(block["Diagnostic-Code"], "x-m365gw; Connection refused")
        self.assertNotIn("Remote-MTA", block)

    def test_addresses_outside_ascii(self) -> None:
        """They are encoded as RFC 6533 has it, and shown as they are to the person."""
        one = evolve(ONE, recipient=Recipient("jö@example.net", orcpt="utf-8;Jö@example.net"))
        wire = report(one)
        block = status_blocks(wire)[1]
        self.assertEqual(block["Final-Recipient"], "utf-8; j\\x{F6}@example.net")
        self.assertEqual(block["Original-Recipient"], "utf-8; J\\x{F6}@example.net")
        self.assertIn("To: <jö@example.net>", words(wire))
        self.assertTrue(wire.isascii())

    def test_addressee_outside_ascii(self) -> None:
        """It stands in the header as UTF-8 (RFC 6532)."""
        self.assertIn("To: <jö@example.net>\r\n".encode(), report(addressee="jö@example.net"))

    def test_international_report(self) -> None:
        """Who used SMTPUTF8 gets the form of RFC 6533, with addresses and header as they are."""
        header = "Subject: Grüße\r\nFrom: jö@example.net\r\n\r\n".encode()
        one = evolve(ONE, recipient=Recipient("jö@example.net", orcpt="utf-8;Jö@example.net"))
        wire = report(one, is_international=True, header=header)
        message = email.message_from_bytes(wire)
        self.assertEqual(message["Content-Transfer-Encoding"], "8bit")
        kinds = [part.get_content_type() for part in parts(wire)]
        expected = ["text/plain", "message/global-delivery-status", "message/global-headers"]
        self.assertEqual(kinds, expected)
        self.assertIn("\r\nFinal-Recipient: utf-8; jö@example.net\r\n".encode(), wire)
        self.assertIn("\r\nOriginal-Recipient: utf-8; Jö@example.net\r\n".encode(), wire)
        self.assertIn(header, wire)

    def test_international_report_of_a_broken_header(self) -> None:
        """What is not UTF-8 after all comes back encoded."""
        wire = report(is_international=True, header=b"Subject: \xe4\r\n\r\n")
        self.assertEqual(parts(wire)[2].get_content_type(), "text/rfc822-headers")


class ReturnedTests(SynchronousTestCase):
    """The third part."""

    def returned(self, header: bytes, message: bytes | None = None) -> tuple[str, bytes]:
        part = parts(report(header=header, message=message))[2]
        body = part.get_payload(decode=True)
        return part.get_content_type(), body if isinstance(body, bytes) else b""

    def test_header_only(self) -> None:
        """Without RET=FULL the header comes back as it was, and nothing of the body."""
        kind, body = self.returned(HEADER + b"secret body\r\n")
        self.assertEqual((kind, body), ("text/rfc822-headers", HEADER))

    def test_8_bit_header(self) -> None:
        """Octets that a 7-bit report cannot carry come back encoded, and exact."""
        for header in (b"Subject: \xe4\r\n\r\n", b"Subject: \xc3\xa4\r\n\r\n", b"A: \0\r\n\r\n"):
            with self.subTest(header=header):
                self.assertEqual(self.returned(header), ("text/rfc822-headers", header))

    def test_header_with_an_endless_line(self) -> None:
        """A line no mail may have is encoded, not broken."""
        header = b"Subject: " + b"x" * 5000 + b"\r\n\r\n"
        self.assertEqual(self.returned(header)[1], header)

    def test_whole_message(self) -> None:
        """RET=FULL returns a 7-bit message octet for octet, lines that look like parts included."""
        message = HEADER + b"--=_4NEWxxxxxxxxx.report--\r\n\r\nbody\r\n"
        wire = report(message=message)
        self.assertIn(b"Content-Type: message/rfc822\r\n", wire)
        self.assertIn(message, wire)
        self.assertEqual(len(parts(wire)), 3)

    def test_8_bit_message_is_returned_as_it_was(self) -> None:
        """message/rfc822 allows no encoding: the report is 8-bit, and says so."""
        wire = report(message=HEADER + b"\xe4\r\n")
        self.assertIn(HEADER + b"\xe4\r\n", wire)
        self.assertEqual(parsed(wire)["Content-Transfer-Encoding"], "8bit")
        self.assertEqual(parts(wire)[2]["Content-Transfer-Encoding"], "8bit")

    def test_message_no_mail_may_hold_is_returned_as_its_header(self) -> None:
        """Endless lines and bare line ends cannot go back."""
        for body in (b"x" * 999, b"a\nb", b"a\rb", b"\0"):
            with self.subTest(body=body[:9]):
                self.assertEqual(
                    self.returned(HEADER, HEADER + body + b"\r\n"), ("text/rfc822-headers", HEADER)
                )

    def test_message_without_header(self) -> None:
        """An empty part, and still a report."""
        self.assertEqual(self.returned(b"Hello\r\n")[1], b"")


RECIPIENT_FIELDS = {
    *(b"Original-Recipient", b"Final-Recipient", b"Action", b"Status", b"Remote-MTA"),
    *(b"Diagnostic-Code", b"Last-Attempt-Date", b"Will-Retry-Until"),
}
hostile = st.text(
    st.one_of(st.sampled_from('\r\n\0\x85\u2028\x1b =?:<>";,'), st.characters()), max_size=80
)


class HostileTextTests(SynchronousTestCase):
    """Nothing from outside gets out of its place."""

    def assert_sound(self, wire: bytes, recipients: int) -> None:
        """CRLF only, legal lines, the fields we wrote and no others, three parts."""
        self.assertNotIn(b"\n", wire.replace(b"\r\n", b""))
        self.assertNotIn(b"\r", wire.replace(b"\r\n", b""))
        self.assertLessEqual(max(map(len, wire.split(b"\r\n"))), LONGEST_LINE)
        names = set(email.message_from_bytes(wire).keys())
        self.assertLessEqual(
            names,
            {
                *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
                *("Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type"),
                "Content-Transfer-Encoding",
            },
        )
        self.assertEqual(len(parts(wire)), 3)
        # Not by the parser of email: it knows no message/global-delivery-status.
        fields = wire.split(b"delivery-status\r\n", 1)[1].split(b"\r\n\r\n", 1)[1]
        fields = fields.split(b"\r\n--=_")[0]
        blocks = fields.split(b"\r\n\r\n")
        self.assertEqual(len(blocks), recipients + 1)
        for block in blocks[1:]:
            names = [line.split(b":")[0] for line in block.strip().split(b"\r\n")]
            self.assertLessEqual(set(names), RECIPIENT_FIELDS)
            self.assertEqual(len(names), len(set(names)))

    @settings(deadline=None, max_examples=200)
    @given(hostile, hostile, hostile, hostile, hostile, st.binary(max_size=200), st.booleans())
    def test_any_text_from_outside(
        self,
        address: str,
        orcpt: str,
        reply: str,
        envid: str,
        sender: str,
        header: bytes,
        eai: bool,
    ) -> None:
        """Addresses, ORCPT, replies, ENVID, HELO and the header of the message may be anything."""
        one = Told(Recipient(address, orcpt=orcpt), Reply(550, reply[:9], reply), Words(), reply)
        other = evolve(one, recipient=Recipient(reply, orcpt=f"utf-8;{orcpt}"))
        for kind in Kind:
            wire = report(
                *(one, other),
                kind=kind,
                header=header,
                message=header + b"\r\n",
                envid=envid,
                sender=sender,
                addressee=address,
                came_from=(reply, address),
                retry_until=AT,
                is_international=eai,
            )
            self.assert_sound(wire, 2)

    def test_injections_by_name(self) -> None:
        """A field by CRLF, an encoded word that decodes to CRLF, a boundary that closes."""
        for text in (
            "x\r\nBcc: victim@example.com",
            "=?utf-8?q?x=0D=0ABcc:_victim?=",
            "\r\n--=_4NEWxxxxxxxxx.report--\r\n",
            "x\u2028Bcc: y",
        ):
            with self.subTest(text=text):
                header = f"Subject: {text}\r\nMessage-ID: <{text}>\r\n\r\n".encode()
                one = Told(Recipient(text, orcpt=text), Reply(550, "5.1.1", text), Words())
                self.assert_sound(report(one, header=header, envid=text, sender=text), 1)

    def test_endless_replies_are_cut(self) -> None:
        """A reply of 64 KiB neither breaks a line nor fills the report."""
        wire = report(evolve(ONE, reply=Reply(554, "5.2.0", "x" * 65000)))
        self.assert_sound(wire, 1)
        self.assertLess(len(wire), 5000)


class SummaryTests(SynchronousTestCase):
    """One mail about many messages."""

    def summary(self, *lines: Line, kind: Kind = Kind.FAILED) -> bytes:
        return compose_summary(
            kind,
            lines,
            hostname="relay.example.com",
            sender="relay@contoso.com",
            addressee="me@example.com",
            queue_id="4NEWxxxxxxxxx",
            at=AT,
        )

    def test_messages_with_the_same_trouble_are_listed_together(self) -> None:
        """Counted, named as far as one reads them, explained once."""
        reply = Reply(550, "5.1.1", "User unknown")
        lines = [Line(f"4Q{n:011}", (f"u{n}@example.net",), reply, Words()) for n in range(500)]
        message = parsed(self.summary(*lines))
        self.assertEqual(message["Subject"], "500 more messages not delivered")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        text = message.get_content()
        self.assertEqual(text.count("What happened"), 1)
        self.assertIn("4Q00000000007 to <u7@example.net>", text)
        self.assertIn("and 300 more", text)

    def test_delays_are_not_called_failures(self) -> None:
        """A summary of warnings says that the mail is still tried."""
        wire = self.summary(
            Line("4Q00000000007", ("a@b", "c@d", "e@f", "g@h"), Reply(0, "", ""), Words()),
            kind=Kind.DELAYED,
        )
        self.assertEqual(parsed(wire)["Subject"], "1 more messages delayed")
        text = parsed(wire).get_content()
        self.assertIn("still being tried", text)
        self.assertIn("<e@f> and 1 more", text)

    @settings(deadline=None, max_examples=100)
    @given(hostile, hostile)
    def test_any_text_from_outside(self, address: str, reply: str) -> None:
        """Nothing from outside begins a header field or breaks a line."""
        line = Line("4Q00000000007", (address,), Reply(550, "5.1.1", reply), Words())
        wire = self.summary(line)
        self.assertLessEqual(max(map(len, wire.split(b"\r\n"))), LONGEST_LINE)
        self.assertNotIn(b"\n", wire.replace(b"\r\n", b""))
        self.assertEqual(email.message_from_bytes(wire).get_content_type(), "text/plain")
