"""Real clients hand in real messages, and Microsoft receives what they sent, octet for octet.

swaks, curl, msmtp and Python's smtplib, over STARTTLS, implicit TLS and from a trusted network.
"""

from __future__ import annotations

import random
import re
import smtplib
import socket
import ssl
from pathlib import Path

from m365gw.directory.database import Database
from m365gw.directory.last_use import read_uses
from tests.whole.stage import (
    LOGIN,
    PASSWORD,
    RELAY,
    SENDER,
    Event,
    Gateway,
    Microsoft,
    WholeTestCase,
    await_,
)

HEADER = (
    f"From: Scanner <{SENDER}>\r\nTo: you@elsewhere.example\r\nSubject: Scan\r\n"
    "Date: Sat, 21 Nov 2026 05:00:00 +0000\r\nMessage-ID: <1@contoso.example>\r\n"
).encode()
RECIPIENT = "you@elsewhere.example"


def unverified() -> ssl.SSLContext:
    """The gateway has made its own certificate; what is tested here is not trust in it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class SmtplibTests(WholeTestCase):
    """Every octet, by Python's smtplib; one gateway for all, as each start takes its time."""

    def setUp(self) -> None:
        super().setUp()
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        self.gate: Gateway = self.gateway(self.microsoft365)
        self.seen = 0  # messages at Microsoft that were looked at

    def test_everything_arrives_as_it_was_sent(self) -> None:
        """Contents, parameters, addresses and recipients of every kind."""
        for step in (
            self.implicit_tls,
            self.awkward_contents,
            self.eight_bit,
            self.utf8_addresses,
            self.each_recipient_once,
            self.any_octets,
            self.large,
        ):
            step()

    def submit(self, contents: list[bytes], options: tuple[str, ...] = ()) -> None:
        """Hand in messages over one STARTTLS session with a login."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["submission"]) as client:
            client.starttls(context=unverified())
            client.login(LOGIN, PASSWORD)
            for content in contents:
                self.assertEqual(client.mail(SENDER, options)[0], 250)
                self.assertEqual(client.rcpt(RECIPIENT)[0], 250)
                code, text = client.data(content)
                self.assertEqual((code, text[:20]), (250, b"2.0.0 Ok: queued as "))

    def received(self, count: int) -> list[Event]:
        """So many messages that Microsoft has received since the last time."""
        received = self.microsoft365.wait_for(self.seen + count)[self.seen :]
        self.assertEqual(len(received), count)
        self.seen += count
        return received

    def arrived(self, count: int) -> list[bytes]:
        """What Microsoft received, without our trace header, in order of arrival there."""
        contents = [self.microsoft365.content(each["number"]) for each in self.received(count)]
        for content in contents:
            self.assertTrue(content.startswith(b"Received: from "))
        return [content.split(b"\r\nFrom: ", 1)[1] for content in contents]

    def assert_arrive(self, contents: list[bytes], options: tuple[str, ...] = ()) -> None:
        """What was handed in is what arrives, once each, and the spool is empty then."""
        self.submit(contents, options)
        wanted = [content.split(b"From: ", 1)[1] for content in contents]
        self.assertEqual(sorted(self.arrived(len(contents))), sorted(wanted))
        for event in self.gate.of("message.queued"):
            self.gate.wait_for("message.removed", qid=event["qid"])
        await_(self.gate.is_drained, "something is left in the spool")

    def awkward_contents(self) -> None:
        """Empty bodies, dots at line starts, long lines, attachments, no line end at the end."""
        letters = random.Random(1)  # the same octets in every run
        attachment = bytes(letters.choices(b"abcdefghijklmnopqrstuvwxyz0123456789+/", k=40_000))
        lines = b"\r\n".join(attachment[n : n + 76] for n in range(0, len(attachment), 76))
        self.assert_arrive(
            [
                HEADER + b"\r\n",
                HEADER + b"\r\n.\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
                HEADER + b"\r\n" + b".\r\n" * 5000,
                HEADER + b"\r\n" + b"x" * 998 + b"\r\n",
                HEADER + b"\r\n\r\n\r\n\r\n",
                HEADER
                + b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                + lines
                + b"\r\n",
            ]
        )

    def any_octets(self) -> None:
        """Nothing at all, no header, no line end: taken and handed on as it is."""
        self.microsoft365.ask("switches", {"tenant": {"from_demanded": False}})
        contents = [b"", b"no header here\r\n", b"\r\n\r\n", b"Subject: no body\r\n", b".\r\n"]
        with socket.create_connection(("127.0.0.1", self.gate.ports["trusted"])) as wire:
            replies = wire.makefile("rb")
            replies.readline()
            wire.sendall(b"HELO old.printer\r\n")
            replies.readline()
            for content in contents:
                wire.sendall(b"MAIL FROM:<%s>\r\n" % SENDER.encode())
                replies.readline()
                wire.sendall(b"RCPT TO:<%s>\r\nDATA\r\n" % RECIPIENT.encode())
                replies.readline()
                self.assertEqual(replies.readline()[:3], b"354")
                stuffed = content.replace(b"\r\n.", b"\r\n..")
                wire.sendall((b"." if content.startswith(b".") else b"") + stuffed + b".\r\n")
                self.assertEqual(replies.readline()[:3], b"250")
        received = self.received(len(contents))
        arrived = [self.microsoft365.content(each["number"]) for each in received]
        bodies = [re.sub(rb"\AReceived: .*\r\n(?:[ \t].*\r\n)*", b"", each) for each in arrived]
        self.assertEqual(sorted(bodies), sorted(contents))

    def eight_bit(self) -> None:
        """8BITMIME passes through with its parameter."""
        self.assert_arrive([HEADER + "\r\nGrüße aus Köln\r\n".encode()], ("BODY=8BITMIME",))
        received = self.microsoft365.messages()[-1]
        self.assertIn("BODY=8BITMIME", received["mail_parameters"])

    def large(self) -> None:
        """25 MiB, at a bounded cost in memory."""
        line = b"0123456789abcdef" * 4 + b"\r\n"
        body = line * (25 * 1024 * 1024 // len(line))
        self.assert_arrive([HEADER + b"\r\n" + body])
        status = Path(f"/proc/{self.gate.process.pid}/status").read_text()
        (peak,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        self.assertLess(int(peak.split()[1]), 200_000)  # kB, for the whole service

    def utf8_addresses(self) -> None:
        """SMTPUTF8 addresses arrive as they were given."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            client.ehlo()
            client.mail(SENDER, ["SMTPUTF8", "BODY=8BITMIME"])
            client.command_encoding = "utf-8"
            self.assertEqual(client.rcpt("jürgen@bücher.example")[0], 250)
            client.data(HEADER + b"\r\nHello\r\n")
        (received,) = self.received(1)
        self.assertEqual(received["recipients"], ["jürgen@bücher.example"])

    def each_recipient_once(self) -> None:
        """Many recipients are split into transactions, and each gets the message once."""
        wanted = [f"user{n}@elsewhere.example" for n in range(250)]
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            self.assertEqual(client.sendmail(SENDER, wanted, HEADER + b"\r\nHello\r\n"), {})
        got = [address for each in self.received(3) for address in each["recipients"]]
        self.assertEqual(sorted(got), sorted(wanted))

    def implicit_tls(self) -> None:
        """Port 465's way: TLS from the first octet."""
        with smtplib.SMTP_SSL(
            "127.0.0.1", self.gate.ports["smtps"], context=unverified()
        ) as client:
            client.login(LOGIN, PASSWORD)
            client.sendmail(SENDER, [RECIPIENT], HEADER + b"\r\nHello\r\n")
        (received,) = self.received(1)
        self.assertEqual((received["mailbox"], received["sender"]), (RELAY, SENDER))


class CommandLineClientTests(WholeTestCase):
    """The clients that scripts use."""

    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate = self.gateway(self.microsoft365)
        self.file = self.folder / "message.eml"
        self.file.write_bytes(HEADER + b"\r\nHello\r\n.\r\n..two\r\n")

    def test_each_hands_in_its_mail(self) -> None:
        """And what it was arrives, before the next one comes."""
        plain, body = b"Hello\r\n", b"Hello\r\n.\r\n..two\r\n"
        for number, (step, wanted) in enumerate(
            (
                (self.curl_over_starttls, body),
                (self.curl_over_implicit_tls, body),
                (self.swaks_over_starttls_with_pipelining, plain),
                (self.swaks_over_implicit_tls, plain),
                (self.swaks_from_a_trusted_network, plain),
                (self.msmtp, body),
            ),
            start=1,
        ):
            step()
            received = self.microsoft365.wait_for(number)[-1]
            self.assertEqual(received["recipients"], [RECIPIENT])
            content = self.microsoft365.content(received["number"])
            self.assertTrue(content.rstrip().endswith(b"\r\n\r\n" + wanted.rstrip()), content)

    def curl_over_starttls(self) -> None:
        """curl with STARTTLS and a login."""
        self.run_client(
            "curl", "--silent", "--show-error", "--ssl-reqd", "--insecure",
            "--url", f"smtp://127.0.0.1:{self.gate.ports['submission']}",
            "--user", f"{LOGIN}:{PASSWORD}", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT,
            "--upload-file", self.file,
        )  # fmt: skip
        queued = self.gate.wait_for("message.queued")
        self.assertEqual(queued["sasl_username"], LOGIN)

    def curl_over_implicit_tls(self) -> None:
        """curl with smtps:// and a login."""
        self.run_client(
            "curl", "--silent", "--show-error", "--insecure",
            "--url", f"smtps://127.0.0.1:{self.gate.ports['smtps']}",
            "--user", f"{LOGIN}:{PASSWORD}", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT,
            "--upload-file", self.file,
        )  # fmt: skip

    def swaks_over_starttls_with_pipelining(self) -> None:
        """swaks with STARTTLS, AUTH LOGIN and pipelining."""
        said = self.run_client(
            "swaks", "--server", f"127.0.0.1:{self.gate.ports['submission']}", "--tls",
            "--auth", "LOGIN", "--auth-user", LOGIN, "--auth-password", PASSWORD, "--pipeline",
            "--from", SENDER, "--to", RECIPIENT, "--body", "Hello",
        )  # fmt: skip
        self.assertIn("<~  250 2.0.0 Ok: queued as ", said)

    def swaks_over_implicit_tls(self) -> None:
        """swaks with TLS at once and AUTH PLAIN."""
        self.run_client(
            "swaks", "--server", f"127.0.0.1:{self.gate.ports['smtps']}", "--tls-on-connect",
            "--auth", "PLAIN", "--auth-user", LOGIN, "--auth-password", PASSWORD,
            "--from", SENDER, "--to", RECIPIENT, "--body", "Hello",
        )  # fmt: skip

    def swaks_from_a_trusted_network(self) -> None:
        """No login is needed where the network is trusted."""
        self.run_client(
            "swaks", "--server", f"127.0.0.1:{self.gate.ports['trusted']}",
            "--from", SENDER, "--to", RECIPIENT, "--body", "Hello",
        )  # fmt: skip

    def msmtp(self) -> None:
        """msmtp with STARTTLS and a login."""
        settings = self.folder / "msmtprc"
        settings.write_text(
            f"account default\nhost 127.0.0.1\nport {self.gate.ports['submission']}\n"
            f"tls on\ntls_certcheck off\nauth plain\nuser {LOGIN}\npassword {PASSWORD}\n"
            f"from {SENDER}\n"
        )
        settings.chmod(0o600)
        self.run_client(
            "msmtp", "--file", settings, RECIPIENT, stdin=self.file.read_bytes()
        )  # fmt: skip

    def test_nobody_relays_without_a_rule(self) -> None:
        """Without a login, with a wrong one, or as somebody else: refused, nothing spooled."""
        port = self.gate.ports["submission"]
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            self.assertEqual(client.mail(SENDER)[0], 530)
            client.starttls(context=unverified())
            client.ehlo()
            self.assertEqual(client.mail(SENDER)[0], 530)
            self.assertRaises(smtplib.SMTPAuthenticationError, client.login, LOGIN, "wrong")
            client.login(LOGIN, PASSWORD)
            self.assertEqual(client.mail("boss@other.example")[0], 553)
        self.assertEqual(self.gate.spooled(), [])
        self.gate.stop()
        [use] = read_uses(Database("", str(self.gate.folder / "state")))
        self.assertEqual((use.login, use.address), (LOGIN, "127.0.0.1"))
