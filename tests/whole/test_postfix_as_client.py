"""A Postfix that relays through the gateway: pipelining, SIZE, DSN, SMTPUTF8, many recipients.

Postfix never sends BDAT; Exim and Exchange do, so that is held by a dialogue of its own.
"""

from __future__ import annotations

import shutil
import smtplib
from pathlib import Path
from tempfile import mkdtemp

from bench.certificate import certificate
from bench.postfix import postfix
from tests.whole.stage import SENDER, WholeTestCase

SETTINGS = {
    "smtp_tls_security_level": "encrypt",
    "smtp_destination_recipient_limit": "1000",
    "smtputf8_enable": "yes",
}
MANY = [f"user{number}@elsewhere.example" for number in range(120)]
CONTENT = f"From: {SENDER}\r\nSubject: Grüße\r\n\r\n.\r\n..\r\nKöln\r\n".encode()


class RelayingClientTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate = self.gateway(self.microsoft365)

    def test_everything_postfix_has(self) -> None:
        """One transaction inside TLS with all recipients; parameters arrive at Microsoft."""
        folder = Path(mkdtemp(prefix="m365gw-postfix-"))  # its sockets need a short name
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        with postfix(folder, SETTINGS, certificate(folder), self.gate.ports["trusted"]) as server:
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                client.ehlo()
                options = ["RET=HDRS", "ENVID=QQ314159", "SMTPUTF8", "BODY=8BITMIME"]
                self.assertEqual(client.mail(SENDER, options)[0], 250)
                client.command_encoding = "utf-8"
                for recipient in [*MANY, "jürgen@bücher.example"]:
                    told = client.rcpt(recipient, ["NOTIFY=SUCCESS,FAILURE"])
                    self.assertEqual(told[0], 250)
                self.assertEqual(client.data(CONTENT)[0], 250)
            received = self.microsoft365.wait_for(2)  # 100 recipients at a time
        [queued] = self.gate.of("message.queued")
        self.assertEqual((queued["nrcpt"], queued["helo"]), (121, "postfix.example.com"))
        self.assertEqual(queued["proto"], "UTF8SMTPS")
        everybody = [one for each in received for one in each["recipients"]]
        self.assertEqual(sorted(everybody), sorted([*MANY, "jürgen@bücher.example"]))
        for each in received:
            parameters = " ".join(each["mail_parameters"])
            for wanted in ("RET=HDRS", "ENVID=QQ314159", "SMTPUTF8", "BODY=8BITMIME"):
                self.assertIn(wanted, parameters)
            for of_recipient in each["rcpt_parameters"]:
                self.assertIn("NOTIFY=SUCCESS,FAILURE", of_recipient)
                self.assertTrue(any(one.startswith("ORCPT=") for one in of_recipient))
            content = self.microsoft365.content(each["number"])
            self.assertTrue(content.endswith(b"\r\n\r\n.\r\n..\r\nK\xc3\xb6ln\r\n"), content)
