"""The first start: from a gateway that knows nothing to a delivered mail, in a real Chromium."""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
import tempfile
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.sync_api import Page, expect

from m365gw.rehearsal.tenant import APP_ID, PUBLIC_APP_ID
from tests.whole.stage import Gateway, Microsoft, WholeTestCase
from tests.whole.test_console import chromium

NOTHING = """\
state_dir = "state"
spool_dir = "spool"

[web]
endpoint = "tcp:0:interface=127.0.0.1"

[log]
format = "json"
level = "debug"
"""
ALICE, BOB = "alice@contoso.example", "bob@contoso.example"
FAX = "fax@contoso.example"
PASSWORD = "eight-words-nobody-guesses"


class SetUpTests(WholeTestCase):
    def test_from_nothing_to_a_delivered_mail(self) -> None:
        """By device code, in the browser and by certificate; left, resumed, gone back in."""
        self.microsoft365 = microsoft = self.microsoft("--no-limits")
        addresses = ["http://localhost", "http://localhost/auth/callback"]
        apps = {PUBLIC_APP_ID: {"redirect_uris": addresses}}
        microsoft.ask("switches", {"apps": apps, "mailboxes": {BOB: {}, FAX: {}}})
        gateway = self.gateway(microsoft, configuration=NOTHING)
        port = gateway.wait_for("web.ready")["address"].rpartition(":")[2]
        began_at = time.monotonic()
        with chromium(Path(tempfile.mkdtemp(dir=self.folder))) as context:
            page = context.new_page()
            page.goto(f"http://localhost:{port}/queue")
            once = self._administrator(page, gateway)
            self._entrance(page)
            self._mailbox(page, ALICE, "device")
            self._code(page, microsoft)
            # Left and resumed in another tab: it goes on where it was left.
            other = context.new_page()
            other.goto(f"http://localhost:{port}/setup")
            expect(other).to_have_url(re.compile("/setup/senders$"))
            other.close()
            password = self._login(page)
            self._test_mail(page)
            taken = time.monotonic() - began_at
            self._in_the_browser(page)
            self._by_certificate(page, microsoft)
        self.assertEqual(len(microsoft.wait_for(2)), 2)
        self._send(gateway, password)
        self.assertEqual(len(microsoft.wait_for(3)), 3)
        self._leaves_no_secret(gateway, once, password)
        print(f"set up by device code in {taken:.1f} s")

    def _administrator(self, page: Page, gateway: Gateway) -> str:
        """The one-time password of the log makes the first operator; a wrong one does not."""
        lines = [each.get("note", "") for each in gateway.of("web.setup")]
        [once] = re.findall(r"One-time password:\s+(\S+)", "\n".join(lines))
        expect(page.get_by_role("heading", name="Set up m365gw")).to_be_visible()
        for said in ("aaaa-bbbb-cccc-dddd", once):
            page.get_by_label("One-time password").fill(said)
            page.get_by_label("Your password").fill(PASSWORD)
            page.get_by_label("The same again").fill(PASSWORD)
            page.get_by_role("button", name="Begin").click()
            if said != once:
                expect(page.get_by_text("This is not the one-time password.")).to_be_visible()
        expect(page).to_have_url(re.compile("/setup/entrance$"))
        return once

    def _entrance(self, page: Page) -> None:
        page.get_by_label("Host name").fill("not a name")
        page.get_by_label("Port of Submission", exact=True).fill("0:interface=127.0.0.1")
        page.get_by_role("button", name="Save and go on").click()
        expect(page.get_by_text("is not a host name")).to_be_visible()
        expect(page.get_by_text("is not an endpoint")).to_be_visible()
        page.get_by_label("Host name").fill("relay.contoso.example")
        page.get_by_label("Port of Submission", exact=True).fill("tcp:0:interface=127.0.0.1")
        page.get_by_role("button", name="Save and go on").click()
        expect(page).to_have_url(re.compile("/setup/mailbox$"))

    def _mailbox(self, page: Page, address: str, flow: str, client_id: str = PUBLIC_APP_ID) -> None:
        page.get_by_label("Its address").fill(address)
        page.locator(f"input[name=flow][value={flow}]").check()
        page.get_by_label("Application (client) id").fill(client_id)
        expect(page.get_by_label("Cloud")).to_have_value("rehearsal")
        page.get_by_role("button", name="Save and go on").click()
        expect(page).to_have_url(re.compile("/setup/tenant"))

    def _code(self, page: Page, microsoft: Microsoft) -> None:
        page.get_by_role("button", name="Get a code").first.click()
        code = page.locator("#code").inner_text()
        page.reload()
        expect(page.locator("#code")).to_have_text(code)
        microsoft.ask("device", {"user_code": code, "user": ALICE})
        expect(page.get_by_text(f"{ALICE} is signed in.")).to_be_visible()
        page.go_back()
        page.go_forward()
        expect(page.get_by_text(f"{ALICE} is signed in.")).to_be_visible()

    def _login(self, page: Page) -> str:
        page.get_by_role("link", name="Go on").click()
        page.get_by_label("Login", exact=True).fill("printer")
        page.get_by_role("button", name="Make a login").click()
        password = page.locator("#made").inner_text()
        page.get_by_role("link", name="I have it: go on").click()
        return password

    def _test_mail(self, page: Page) -> None:
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("Microsoft took it")).to_be_visible()
        page.get_by_role("link", name="Finish").first.click()
        expect(page.get_by_text("takes mail and sends it by")).to_be_visible()

    def _in_the_browser(self, page: Page) -> None:
        """One more mailbox, signed in at Microsoft's own page, whence one comes back here."""
        page.goto(page.url.replace("/setup/done", "/setup/mailbox?new=1"))
        self._mailbox(page, BOB, "web")
        page.get_by_role("link", name="Sign in at Microsoft").click()
        page.get_by_label("Sign in as").select_option(BOB)
        page.get_by_role("button", name="Sign in and accept").click()
        expect(page.get_by_text(f"{BOB} is signed in.")).to_be_visible()

    def _by_certificate(self, page: Page, microsoft: Microsoft) -> None:
        """One more, with the script and the certificate handed to the tenant's administrator."""
        page.goto(page.url.partition("/setup/")[0] + "/setup/mailbox?new=1")
        self._mailbox(page, FAX, "certificate", client_id="")
        page.reload()
        certificate = self._downloaded(page, "Download the .cer file")
        script = self._downloaded(page, "Download the script")
        self.assertIn(base64.b64encode(certificate), script)
        page.go_back()
        expect(page.get_by_label("Its address")).to_be_visible()
        page.go_forward()
        page.get_by_label("Application (client) id").fill(APP_ID)
        page.get_by_role("button", name="Save").click()
        # The administrator has not run it yet.
        expect(page.get_by_text("Not yet. It is asked again by itself.")).to_be_visible()
        expect(page.get_by_text("D07, ")).to_be_visible()
        pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
        microsoft.ask(
            "switches", {"apps": {APP_ID: {"certificates": [pem.decode()], "mailboxes": ["*"]}}}
        )
        page.get_by_role("button", name="Check now").click()
        expect(page.get_by_text(f"Microsoft accepts {FAX}.")).to_be_visible()
        page.get_by_role("link", name="Go on").click()
        page.get_by_role("link", name="Go on").click()
        page.get_by_label("By the mailbox").select_option(FAX)
        self._test_mail(page)

    def _downloaded(self, page: Page, name: str) -> bytes:
        with page.expect_download() as coming:
            page.get_by_role("link", name=name).click()
        return coming.value.path().read_bytes()

    def _send(self, gateway: Gateway, password: str) -> None:
        """The login that was shown once sends, over the port that was chosen."""
        listener = gateway.wait_for("listener.ready")
        port = int(listener["address"].rpartition(":")[2])
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", port) as client:
            self.assertIn(b"relay.contoso.example", client.ehlo()[1])
            client.starttls(context=trusting)
            client.login("printer", password)
            client.sendmail(ALICE, ["you@elsewhere.example"], f"From: {ALICE}\r\n\r\nHello\r\n")

    def _leaves_no_secret(self, gateway: Gateway, once: str, password: str) -> None:
        """The one-time password stands in the log once, no other secret at all."""
        text = "".join(gateway.lines)
        self.assertEqual(text.count(once), 1)
        self.assertNotIn(PASSWORD, text)
        self.assertNotIn(password, text)
