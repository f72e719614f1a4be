"""Delivery reports, read back by the standard library's parser."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage, Message

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.reports import LONGEST_LINE, FailedRecipient, compose_report

AT = datetime(2026, 11, 21, 4, 46, 7, tzinfo=UTC)
HEADER = b"From: me@example.com\r\nSubject: Minutes\r\nMessage-ID: <1@example.com>\r\n\r\n"


@frozen
class Words:
    """An explanation, as a diagnosis gives it."""

    what: str = "There is no such recipient."
    why: str = "The address does not exist."
    fix: str = "Check the address."
    actor: str = "you, the sender"


ONE = FailedRecipient(
    Recipient("b@example.net", orcpt="rfc822;B@example.net"),
    Reply(550, "5.1.1", "User\nunknown"),
    Words(),
    "smtp.office365.com[192.0.2.1]:587",
)


def report(
    *failed: FailedRecipient,
    header: bytes = HEADER,
    message: bytes | None = None,
    envid: str = "QQ314159",
    sender: str = "relay@contoso.com",
    addressee: str = "me@example.com",
) -> bytes:
    return compose_report(
        hostname="relay.example.com",
        sender=sender,
        addressee=addressee,
        queue_id="4NEWxxxxxxxxx",
        about="4OLDxxxxxxxxx",
        envid=envid,
        arrived_at=AT,
        at=AT,
        failed=failed or (ONE,),
        header=header,
        message=message,
    )


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
                ("Reporting-MTA", "dns; relay.example.com"),
                ("Original-Envelope-Id", "QQ314159"),
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

    def test_each_recipient_has_its_block(self) -> None:
        """Three who failed are three blocks and three paragraphs."""
        wire = report(ONE, ONE, ONE)
        self.assertEqual(len(status_blocks(wire)), 4)
        self.assertEqual(words(wire).count("What happened"), 3)

    def test_status_tells_how_it_ended(self) -> None:
        """Given up is 4.4.7; a refusal without a permanent status is 5.0.0."""
        cases = (
            (evolve(ONE, gave_up=True), "4.4.7"),
            (evolve(ONE, reply=Reply(550, "", "no")), "5.0.0"),
            (evolve(ONE, reply=Reply(552, "4.3.1", "no")), "5.0.0"),
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

    def test_8_bit_message_is_returned_as_its_header(self) -> None:
        """message/rfc822 allows no encoding, and a report may have to pass 7-bit servers."""
        kind, body = self.returned(HEADER, HEADER + b"\xe4\r\n")
        self.assertEqual((kind, body), ("text/rfc822-headers", HEADER))

    def test_message_without_header(self) -> None:
        """An empty part, and still a report."""
        self.assertEqual(self.returned(b"Hello\r\n")[1], b"")


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
                *("Auto-Submitted", "MIME-Version", "Content-Type"),
            },
        )
        self.assertEqual(len(parts(wire)), 3)
        blocks = status_blocks(wire)
        self.assertEqual(len(blocks), recipients + 1)
        for block in blocks[1:]:
            self.assertEqual(block.get_all("Action"), ["failed"])

    @settings(deadline=None, max_examples=200)
    @given(hostile, hostile, hostile, hostile, hostile, st.binary(max_size=200))
    def test_any_text_from_outside(
        self, address: str, orcpt: str, reply: str, envid: str, sender: str, header: bytes
    ) -> None:
        """Addresses, ORCPT, replies, ENVID and the header of the message may be anything."""
        one = FailedRecipient(
            Recipient(address, orcpt=orcpt), Reply(550, reply[:9], reply), Words(), reply
        )
        wire = report(one, one, header=header, envid=envid, sender=sender, addressee=address)
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
                one = FailedRecipient(
                    Recipient(text, orcpt=text), Reply(550, "5.1.1", text), Words()
                )
                self.assert_sound(report(one, header=header, envid=text, sender=text), 1)

    def test_endless_replies_are_cut(self) -> None:
        """A reply of 64 KiB neither breaks a line nor fills the report."""
        wire = report(evolve(ONE, reply=Reply(554, "5.2.0", "x" * 65000)))
        self.assert_sound(wire, 1)
        self.assertLess(len(wire), 5000)
