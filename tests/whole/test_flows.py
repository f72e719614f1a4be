"""Each way a mailbox signs in, from nothing to a delivered message, as an operator would do it."""

from __future__ import annotations

import re
import smtplib
import subprocess
import time
from pathlib import Path

from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID
from tests.whole.stage import (
    BIN,
    CONFIGURATION,
    RELAY,
    SENDER,
    Gateway,
    Microsoft,
    WholeTestCase,
    await_,
)


class FlowTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        self.home = self.folder / "gateway"
        self.home.mkdir()

    def start(self, configuration: str) -> Gateway:
        return self.gateway(self.microsoft365, configuration=configuration)

    def submit(self, gateway: Gateway) -> str:
        with smtplib.SMTP("127.0.0.1", gateway.ports["trusted"]) as client:
            client.ehlo()
            client.mail(SENDER)
            client.rcpt("you@elsewhere.example")
            _, text = client.data(f"From: {SENDER}\r\n\r\nHello\r\n".encode())
        return text.decode().split()[-1]

    def test_certificate(self) -> None:
        """An app signs in with a certificate: the assertion is checked against it."""
        key, certificate = app_certificate("m365gw")
        pem = self.home / "app.pem"
        pem.write_bytes(key + certificate)
        pem.chmod(0o600)
        self.microsoft365.ask(
            "switches", {"apps": {APP_ID: {"certificates": [certificate.decode()]}}}
        )
        gateway = self.start(
            CONFIGURATION.replace('flow = "secret"', 'flow = "certificate"').replace(
                f'client_secret = "{APP_SECRET}"', 'certificate_file = "app.pem"'
            )
        )
        qid = self.submit(gateway)
        gateway.wait_for("delivery", qid=qid, status="sent")
        self.assertEqual(self.microsoft365.wait_for(1)[0]["mailbox"], RELAY)

    def test_device(self) -> None:
        """A person signs in with a code: mail that waited goes out by itself, within seconds.

        The sign-in is kept, so mail goes out after a restart as well.
        """
        gateway = self.start(
            CONFIGURATION.replace('flow = "secret"', 'flow = "device"')
            .replace(f'client_secret = "{APP_SECRET}"', "")
            .replace(APP_ID, PUBLIC_APP_ID)
        )
        first = self.submit(gateway)
        incident = gateway.wait_for("incident.opened")
        self.assertIn("mailbox signin", str(incident))

        self.sign_in(gateway)
        start = time.monotonic()
        gateway.wait_for("delivery", qid=first, status="sent")
        self.assertLess(time.monotonic() - start, 20)
        gateway.kill()
        gateway.start()
        second = self.submit(gateway)
        gateway.wait_for("delivery", qid=second, status="sent")
        self.assertEqual(len(self.microsoft365.wait_for(2)), 2)
        for kept in (self.home / "state").glob("state.db*"):
            self.assertNotIn(b"refresh_token", kept.read_bytes())

    def sign_in(self, gateway: Gateway) -> None:
        """`m365gw mailbox signin`, with a person at the other end."""
        command = subprocess.Popen(
            [str(BIN / "m365gw"), "--config", str(gateway.config), "mailbox", "signin", RELAY],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert command.stdout is not None
        said = ""
        for line in command.stdout:
            said += line
            if match := re.search(r"enter the code\s+(\S+)", line):
                self.microsoft365.ask("device", {"user_code": match.group(1), "user": RELAY})
        self.assertEqual(command.wait(), 0, said)
        self.assertIn("is signed in", said)
        self.assert_no_secret(said)


class PlainLogTests(WholeTestCase):
    """The log as Postfix would write it, at debug level, without a secret."""

    def test_plain_lines(self) -> None:
        """Queue id, client, login, mailbox, size, delay, relay, dsn and status are all there."""
        microsoft = self.microsoft("--no-limits")
        folder = self.folder / "gateway"
        folder.mkdir()
        log = Path(folder / "log")
        ready = re.compile(r"listener=trusted, address=127\.0\.0\.1:(\d+)")
        configuration = CONFIGURATION.replace('format = "json"', 'format = "plain"')
        (folder / "m365gw.toml").write_text(configuration + microsoft.cloud)
        with log.open("w") as stream:
            process = subprocess.Popen(
                [str(BIN / "twistd"), "-n", "--pidfile=", "m365gw", "--config", "m365gw.toml"],
                cwd=folder, stdout=stream, stderr=stream,
            )  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        await_(lambda: ready.search(log.read_text()) is not None, "it does not listen")
        port = ready.search(log.read_text())
        assert port is not None
        with smtplib.SMTP("127.0.0.1", int(port.group(1))) as client:
            client.sendmail(SENDER, ["you@elsewhere.example"], f"From: {SENDER}\r\n\r\nHello\r\n")
        await_(lambda: ": removed" in log.read_text(), "it does not deliver")
        text = log.read_text()
        self.assertRegex(
            text, r"m365gw/smtpd\[\d+\]: \w{13}: client=unknown\[127\.0\.0\.1\], .*size=\d+"
        )
        self.assertRegex(
            text,
            r"m365gw/smtp\[\d+\]: \w{13}: .*to=<you@elsewhere\.example>, relay=127\.0\.0\.1\[127"
            r"\.0\.0\.1\]:\d+, delay=[\d.]+, delays=[\d./]+, dsn=2\.0\.0, status=sent \(250 2",
        )
        self.assertRegex(text, r"m365gw/qmgr\[\d+\]: \w{13}: removed")
        self.assert_no_secret(text)
