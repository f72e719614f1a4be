"""Each way a mailbox signs in, from nothing to a delivered message, as an operator would do it."""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
import time
from pathlib import Path
from unittest import mock

import jwt
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from m365gw.directory.certificates import renewed
from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import (
    APP_ID,
    APP_SECRET,
    IDENTITY_HEADER,
    PUBLIC_APP_ID,
    WEB_APP_ID,
)
from tests.whole.stage import (
    BIN,
    CONFIGURATION,
    PATIENCE,
    RELAY,
    SENDER,
    Gateway,
    Microsoft,
    WholeTestCase,
    await_,
)

ALICE = "alice@contoso.example"


class FlowTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        self.home = self.folder / "gateway"
        self.home.mkdir()

    def start(self, configuration: str) -> Gateway:
        return self.gateway(self.microsoft365, configuration=configuration)

    def submit(self, gateway: Gateway, sender: str = SENDER) -> str:
        with smtplib.SMTP("127.0.0.1", gateway.ports["trusted"]) as client:
            client.ehlo()
            client.mail(sender)
            client.rcpt("you@elsewhere.example")
            _, text = client.data(f"From: {sender}\r\n\r\nHello\r\n".encode())
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

    def test_renewed_certificate(self) -> None:
        """The new certificate stands beside the old one, which serves until Entra knows the new."""
        text, old = renewed("", RELAY)
        text, new = renewed(text, RELAY)
        pem = self.home / "app.pem"
        pem.write_text(text)
        pem.chmod(0o600)
        self.know(old.chain)
        gateway = self.start(
            CONFIGURATION.replace('flow = "secret"', 'flow = "certificate"').replace(
                f'client_secret = "{APP_SECRET}"', 'certificate_file = "app.pem"'
            )
        )
        gateway.wait_for("delivery", qid=self.submit(gateway), status="sent")
        gateway.wait_for("token.acquired", note=f"by certificate {old.thumbprint}")
        self.know(new.chain)
        self.microsoft365.ask("revoke", {"access": ""})
        gateway.kill()
        gateway.start()
        gateway.wait_for("delivery", qid=self.submit(gateway), status="sent")
        gateway.wait_for("token.acquired", note=f"by certificate {new.thumbprint}")

    def test_federated(self) -> None:
        """The token of an OIDC issuer proves the app; a new one in the file is used at once."""
        private, certificate = app_certificate("issuer")
        key = x509.load_pem_x509_certificate(certificate).public_key()
        public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        trusted = {"issuer": "https://oidc.example", "subject": "system:serviceaccount:mail:relay"}
        self.microsoft365.ask(
            "switches", {"apps": {APP_ID: {"federations": [{**trusted, "key": public}]}}}
        )
        now = int(time.time())
        claims = {"iss": trusted["issuer"], "sub": trusted["subject"], "nbf": now, "exp": now + 600}
        file = self.home / "token"
        file.write_text(jwt.encode({**claims, "aud": "somebody else"}, private, "RS256"))
        gateway = self.start(
            CONFIGURATION.replace('flow = "secret"', 'flow = "federated"').replace(
                f'client_secret = "{APP_SECRET}"', 'federated_token_file = "token"'
            )
        )
        waiting = self.submit(gateway)
        incident = gateway.wait_for("incident.opened")
        self.assertIn("federated credential", str(incident))
        claims["aud"] = "api://AzureADTokenExchange"
        file.write_text(jwt.encode(claims, private, "RS256"))
        gateway.wait_for("delivery", qid=waiting, status="sent")  # it is noticed by itself

    def test_managed_identity(self) -> None:
        """The host gives tokens: as a virtual machine of Azure, and as App Service."""
        host = f"http://127.0.0.1:{self.microsoft365.ports['control']}"
        configuration = (
            CONFIGURATION.replace('flow = "secret"', 'flow = "managed-identity"')
            .replace(f'client_secret = "{APP_SECRET}"', "")
            .replace(f'client_id = "{APP_ID}"', "")
        )
        app_service = {"IDENTITY_ENDPOINT": f"{host}/msi/token", "IDENTITY_HEADER": IDENTITY_HEADER}
        with mock.patch.dict(os.environ, {"AZURE_POD_IDENTITY_AUTHORITY_HOST": host}):
            gateway = self.start(configuration)
            gateway.wait_for("delivery", qid=self.submit(gateway), status="sent")
        gateway.kill()
        with mock.patch.dict(os.environ, app_service):
            gateway.start()
        gateway.wait_for("delivery", qid=self.submit(gateway), status="sent")

    def test_web(self) -> None:
        """A person signs in by the link, which comes back to the command on loopback.

        The mailbox is a shared one, and who signs in may send as it.
        """
        shared = "shared@contoso.example"
        gateway = self.start(
            CONFIGURATION.replace('flow = "secret"', f'flow = "web"\nsign_in_as = "{ALICE}"')
            .replace(f'client_secret = "{APP_SECRET}"', "")
            .replace(APP_ID, PUBLIC_APP_ID)
            .replace(RELAY, shared)
        )
        waiting = self.submit(gateway, shared)
        self.by_link(gateway, shared, ALICE)
        gateway.wait_for("delivery", qid=waiting, status="sent")
        self.assertEqual(self.microsoft365.wait_for(1)[0]["mailbox"], shared)

    def test_web_for_a_personal_account(self) -> None:
        """Outlook.com: its own authority, and tokens that nobody can look into."""
        personal = "joe@outlook.example"
        self.microsoft365.ask(
            "switches", {"mailboxes": {personal: {}}, "users": {personal: {"personal": True}}}
        )
        gateway = self.start(
            CONFIGURATION.replace('flow = "secret"', 'flow = "web"')
            .replace(f'client_secret = "{APP_SECRET}"', "")
            .replace('tenant = "contoso.example"', 'tenant = "consumers"')
            .replace(APP_ID, PUBLIC_APP_ID)
            .replace(RELAY, personal)
        )
        waiting = self.submit(gateway, personal)
        self.by_link(gateway, personal, personal)
        gateway.wait_for("delivery", qid=waiting, status="sent")

    def test_web_as_a_confidential_app(self) -> None:
        """An app with a secret: the refresh needs it too, and a renamed user stays signed in."""
        gateway = self.start(
            CONFIGURATION.replace('flow = "secret"', 'flow = "web"')
            .replace(APP_ID, WEB_APP_ID)
            .replace(RELAY, ALICE)
        )
        waiting = self.submit(gateway, ALICE)
        self.by_link(gateway, ALICE, ALICE)
        gateway.wait_for("delivery", qid=waiting, status="sent")
        self.microsoft365.ask("rename", {"user": ALICE, "to": "alice.liddell@contoso.example"})
        self.microsoft365.ask("revoke", {"access": ""})
        gateway.kill()
        gateway.start()
        gateway.wait_for("delivery", qid=self.submit(gateway, ALICE), status="sent")

    def know(self, certificate: str) -> None:
        """From now on this is the certificate of the app."""
        self.microsoft365.ask("switches", {"apps": {APP_ID: {"certificates": [certificate]}}})

    def by_link(self, gateway: Gateway, address: str, user: str) -> None:
        """`m365gw mailbox signin`, and a browser that follows its link to the end."""
        command = subprocess.Popen(
            [str(BIN / "m365gw"), "--config", str(gateway.config), "mailbox", "signin", address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert command.stdout is not None
        said, page = "", ""
        with requests.Session() as browser:
            browser.verify, browser.trust_env = self.microsoft365.ports["ca_file"], False
            for line in command.stdout:
                said += line
                if line.startswith("https://"):
                    link = line.strip()
                if "Waiting" in line:
                    self.assertIn("Sign in as", browser.get(link, timeout=PATIENCE).text)
                    answer = {"user": user, "answer": "yes"}
                    page = browser.post(link, answer, timeout=PATIENCE).text
        self.assertEqual(command.wait(), 0, said)
        self.assertIn("is signed in", said)
        self.assertIn("You can close this page", page)
        self.assert_no_secret(said)

    def test_device(self) -> None:
        """A person signs in with a code: mail that waited goes out by itself.

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
        gateway.wait_for("delivery", qid=first, status="sent")
        gateway.kill()
        gateway.start()
        second = self.submit(gateway)
        gateway.wait_for("delivery", qid=second, status="sent")
        self.assertEqual(len(self.microsoft365.wait_for(2)), 2)
        for kept in (self.home / "state").glob("state.db*"):
            self.assertNotIn(b"refresh_token", kept.read_bytes())

    def sign_in(self, gateway: Gateway) -> None:
        """`m365gw mailbox signin`, with a person at the other end."""
        self.assert_no_secret(gateway.sign_in(self.microsoft365))


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
