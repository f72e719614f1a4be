"""Devices and programs in the field, each test by the name of who does it.

How they log in is in `test_device_logins`; `docs/devices.md` is the whole table.
"""

from __future__ import annotations

import quopri

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Listener
from tests.edge.conversation import MESSAGE, OPEN, Conversation, Gateway

REPAIRS = (
    *("date", "message-id", "from", "repeated", "bcc", "header-text", "display-name"),
    "long-lines",
)
MENDING = evolve(OPEN, repair=REPAIRS)


class DeviceTestCase(SynchronousTestCase):
    """A device in a trusted network, and what is stored of its mail."""

    def stored(self, content: bytes, listener: Listener = MENDING) -> bytes:
        """The octets that lie in the spool when these were sent."""
        gateway = Gateway(self, listener=listener)
        self.assert_taken(gateway.connect(), content)
        return gateway.contents()[-1]

    def assert_taken(self, client: Conversation, content: bytes) -> None:
        self.assertEqual([reply[:3] for reply in client.message(content)], ["250"])


class GreetingTests(DeviceTestCase):
    """How they say who they are."""

    def test_ups_card_greets_without_a_name(self) -> None:
        """Where the listener has that quirk its address stands for the name, in the trace too."""
        gateway = Gateway(self, listener=evolve(OPEN, quirks=("no-helo-name",)))
        for greeting in ("HELO ", "helo", "EHLO "):
            client = gateway.connect()
            self.assertEqual(client.say(greeting)[0][:3], "250")
            client.say("MAIL FROM:<me@example.com>", "RCPT TO:<you@example.net>", "DATA")
            self.assertEqual(client.send(MESSAGE + b".\r\n")[0][:3], "250")
        for _, octets in gateway.messages():
            self.assertTrue(octets.startswith(b"Received: from 192.0.2.7 "), octets)

    def test_ups_card_is_told_elsewhere(self) -> None:
        """RFC 5321 wants a name, and without the quirk so do we."""
        self.assertEqual(Gateway(self).connect().say("HELO "), ["501 5.5.4 Syntax: HELO hostname"])

    def test_containers_have_names_that_are_none(self) -> None:
        """An underscore, a single label, localhost, a hash: taken, and in the trace."""
        for name in ("web_1", "app", "localhost", "3f4e_b2", "[172.17.0.2]"):
            gateway = Gateway(self)
            client = gateway.connect()
            self.assertEqual(client.say(f"EHLO {name}")[0][:3], "250")
            client.say("MAIL FROM:<me@example.com>", "RCPT TO:<you@example.net>", "DATA")
            client.send(MESSAGE + b".\r\n")
            self.assertIn(f"from {name} ".encode(), gateway.messages()[0][1])

    def test_scripts_write_addresses_with_a_space_or_without_brackets(self) -> None:
        """MAIL FROM: a@b, in any letter case."""
        client = Gateway(self).connect()
        client.say("HELO script")
        said = client.say("mail from: me@example.com", "Rcpt To: <you@example.net>", "DATA")
        self.assertEqual([reply[:3] for reply in said], ["250", "250", "354"])
        self.assertEqual(client.send(MESSAGE + b".\r\n")[0][:3], "250")
        [(envelope, _)] = client.gateway.messages()
        self.assertEqual(envelope.sender, "me@example.com")


class BurstTests(DeviceTestCase):
    """Programs that send much at once."""

    def test_sql_server_sends_a_burst_without_a_login(self) -> None:
        """IIS, Exchange and Database Mail: 120 messages, in one session and in one each."""
        gateway = Gateway(self)
        client = gateway.connect()
        for _ in range(120):
            self.assert_taken(client, MESSAGE)
        for _ in range(120):
            client = gateway.connect()
            self.assert_taken(client, MESSAGE)
            self.assertEqual(client.say("QUIT")[0][:3], "221")
            client.drop()
        self.assertEqual(len(gateway.accepted), 240)

    def test_exim_sends_chunks(self) -> None:
        """Exim and Exchange pipeline the envelope with the only BDAT, or with the first of some."""
        gateway = Gateway(self)
        whole, halves = gateway.connect(), gateway.connect()
        envelope = b"MAIL FROM:<me@example.com> SIZE=40\r\nRCPT TO:<you@example.net>\r\n"
        for client in (whole, halves):
            client.say("EHLO exim.example.com")
        said = whole.send(envelope + b"BDAT %d LAST\r\n" % len(MESSAGE) + MESSAGE + b"QUIT\r\n")
        self.assertEqual([reply[:3] for reply in said], ["250", "250", "250", "221"])
        said = halves.send(envelope + b"BDAT 10\r\n" + MESSAGE[:10] + b"BDAT %d LAST\r\n" % 5)
        self.assertEqual([reply[:3] for reply in said], ["250", "250", "250"])
        self.assertEqual(halves.send(MESSAGE[10:15])[0][:3], "250")
        self.assertEqual(gateway.contents(), [MESSAGE, MESSAGE[:15]])

    def test_gmail_sends_each_recipient_a_copy(self) -> None:
        """A connection each, and one Message-ID. Each copy got its 250, so each is kept."""
        gateway = Gateway(self)
        mail = b"Message-ID: <CA+1@mail.gmail.com>\r\nTo: a@example.net\r\n\r\nHi\r\n"
        clients = [gateway.connect(), gateway.connect()]
        for client, recipient in zip(clients, ("a@example.net", "b@example.net"), strict=True):
            client.envelope(recipient)
            client.say("DATA")
        for client in clients:
            self.assertEqual(client.send(mail + b".\r\n")[0][:3], "250")
        kept = [envelope.recipients[0].address for envelope, _ in gateway.messages()]
        self.assertEqual(sorted(kept), ["a@example.net", "b@example.net"])
        self.assertEqual(gateway.contents(), [mail, mail])


class ContentTests(DeviceTestCase):
    """What stands in their mail."""

    def test_toshiba_repeats_fields_and_breaks_mime(self) -> None:
        """Only what is broken is touched: fields twice. No space behind a colon is no fault, and
        a boundary that never comes is left for the reader to make sense of."""
        body = b"\r\n--other\r\nContent-Type: text/plain\r\n\r\nscan\r\n--bound\r\n\r\nx\r\n"
        sent = (
            b"From:<me@example.com>\r\nSubject:Scan\r\nTo:you@example.net\r\n"
            b"Date:Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID:<1@mfp>\r\nMime-Version:1.0\r\n"
            b'Content-Type:multipart/mixed;boundary="bound"\r\n'
        )
        stored = self.stored(sent + b"Subject:Scan\r\nTo:you@example.net\r\n" + body)
        self.assertEqual(stored, sent + body)

    def test_web_applications(self) -> None:
        """WordPress and the like: HTML in one endless line, no Message-ID, no Date, a From of
        theirs with the name of somebody in it."""
        html = b"<p>" + "Grüße ".encode() * 400 + b"</p>\r\n"
        stored = self.stored(
            b"From: shop@example.com via web <wordpress@example.com>\r\nTo: you@example.net\r\n"
            b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: 8bit\r\n\r\n" + html
        )
        header, _, body = stored.partition(b"\r\n\r\n")
        self.assertIn(b'From: "shop@example.com via web" <wordpress@example.com>\r\n', header)
        self.assertIn(b"\r\nMessage-ID: <", header)
        self.assertIn(b"\r\nDate: ", header)
        self.assertLessEqual(max(map(len, body.split(b"\r\n"))), 76)
        self.assertEqual(quopri.decodestring(body).split(), html.split())

    def test_undisclosed_recipients(self) -> None:
        """With such a To, or none, the message goes to whom the envelope names and to no other."""
        for to in (b"To: undisclosed-recipients:;\r\n", b"", b"To: someone@else.example\r\n"):
            gateway = Gateway(self, listener=MENDING)
            client = gateway.connect()
            client.envelope("a@example.net", "b@example.net")
            client.say("DATA")
            client.send(to + MESSAGE + b".\r\n")
            [(envelope, octets)] = gateway.messages()
            addresses = [one.address for one in envelope.recipients]
            self.assertEqual(addresses, ["a@example.net", "b@example.net"])
            self.assertEqual(octets.count(b"To: "), to.count(b"To: "))
