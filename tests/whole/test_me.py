"""People at /me: from a sign-in at Microsoft to mail sent with a password of their own."""

from __future__ import annotations

import smtplib
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from m365gw.rehearsal.tenant import APP_SECRET, PUBLIC_APP_ID, WEB_APP_ID
from tests.whole.stage import WholeTestCase
from tests.whole.test_console import chromium

ALICE = "alice@contoso.example"
JOE = "joe@outlook.example"
BACK = "http://localhost/auth/callback"  # at Microsoft the port of localhost does not count
ALLOW = f'["*@contoso.example", "{JOE}"]'
SELF_SERVICE = f"""
[web]
endpoint = "tcp:0:interface=127.0.0.1"
public_url = "http://localhost:1"
sign_in = "Contoso account"

[self_service]
enabled = true
allow = {ALLOW}
personal_accounts = true

[[sign_in]]
name = "Contoso account"
tenant = "contoso.example"
client_id = "{WEB_APP_ID}"
client_secret = "{APP_SECRET}"
cloud = "rehearsal"

[[sign_in]]
name = "Personal account"
tenant = "consumers"
client_id = "{PUBLIC_APP_ID}"
cloud = "rehearsal"
"""


class SelfServiceTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.microsoft365.ask(
            "switches",
            {
                "apps": {
                    PUBLIC_APP_ID: {"redirect_uris": [BACK]},
                    WEB_APP_ID: {"redirect_uris": [BACK]},
                },
                "mailboxes": {JOE: {}},
            },
        )
        self.microsoft365.ask("switches", {"users": {JOE: {"personal": True}}})
        self.gate = self.gateway(self.microsoft365, SELF_SERVICE)
        port = self.gate.wait_for("web.ready")["address"].rpartition(":")[2]
        self.address = f"http://localhost:{port}"
        text = self.gate.config.read_text()
        self.gate.config.write_text(text.replace("http://localhost:1", self.address))
        self.assertEqual(self.gate.command("reload").returncode, 0)

    def test_from_the_sign_in_to_mail_with_the_own_name(self) -> None:
        """A work account, then a personal one, in a browser; each sends as itself by swaks."""
        with chromium(Path(tempfile.mkdtemp(dir=self.folder))) as context:
            page = context.new_page()
            page.goto(f"{self.address}/me")
            self.sign_in(page, "Contoso account", ALICE)
            password = self.password(page, "Printer")
            self.send(ALICE, password, "Alice Liddell")
            self.blind_copies(ALICE, password)
            self.look_at_test_mail(page)
            page.get_by_role("link", name="Your mailbox").first.click()
            expect(page.get_by_text("Last used")).to_be_visible()
            page.get_by_role("button", name="Sign out").click()
            self.sign_in(page, "Personal account", JOE)
            self.send(JOE, self.password(page, "Phone"), "Joe Żółw")
            self.leave(page)
            self.enter_as_operator(page)
        self.assertNotIn(password, "".join(self.gate.lines))
        self.assert_refused(JOE)

    def sign_in(self, page: Page, button: str, user: str) -> None:
        page.get_by_role("link", name=button).click()
        page.get_by_label("Sign in as").select_option(user)
        page.get_by_role("button", name="Sign in and accept").click()
        expect(page).to_have_url(f"{self.address}/me")
        expect(page.get_by_text(user, exact=True).first).to_be_visible()

    def password(self, page: Page, label: str) -> str:
        page.get_by_label("What is it for?").fill(label)
        page.get_by_role("button", name="Make a password").click()
        shown = page.locator("#password").text_content()
        assert shown is not None
        expect(page.locator("#swaks-text")).to_contain_text(shown)
        page.get_by_role("link", name="Done").click()
        expect(page.get_by_text(label, exact=True)).to_be_visible()
        return shown

    def send(self, address: str, password: str, name: str) -> None:
        """By swaks; it leaves by the own mailbox, and the name in From is as it was written."""
        before = len(self.microsoft365.messages())
        self.run_client(
            "swaks",
            *("--server", f"127.0.0.1:{self.gate.ports['submission']}", "--tls"),
            *("--auth-user", address, "--auth-password", password),
            *("--from", address, "--to", "you@elsewhere.example"),
            *("--header", f"From: {name} <{address}>", "--header", "Subject: hello"),
        )
        received = self.microsoft365.wait_for(before + 1)[-1]
        self.assertEqual((received["mailbox"], received["sender"]), (address, address))
        content = self.microsoft365.content(before + 1)
        self.assertIn(f"From: {name} <{address}>".encode(), content)

    def blind_copies(self, address: str, password: str) -> None:
        """Who gets a blind copy gets the mail, and no header tells of it.

        Thunderbird names all in one envelope; Gmail comes once for each, with one Message-ID.
        """
        before, name = (
            len(self.microsoft365.messages()),
            "From: =?utf-8?q?Alice_=C5=BB=C3=B3=C5=82w?=",
        )
        text = (
            f"{name} <{address}>\r\nTo: you@elsewhere.example\r\n"
            "Message-ID: <one@mail.example>\r\nSubject: hello\r\n\r\nHello\r\n"
        )
        shown, secret = ["you@elsewhere.example"], "secret@elsewhere.example"
        for recipients in ([*shown, secret], shown, [secret]):
            with smtplib.SMTP("127.0.0.1", self.gate.ports["submission"]) as client:
                client.starttls()
                client.login(address, password)
                client.sendmail(address, recipients, text.encode())
        received = self.microsoft365.wait_for(before + 3)[before:]
        arrived = [each["recipients"] for each in received]
        self.assertEqual(sorted(arrived), [[secret], shown, [*shown, secret]])
        for number, recipients in enumerate(arrived, before + 1):
            content = self.microsoft365.content(number)
            self.assertIn(f"{name} <{address}>".encode(), content)
            self.assertNotIn(b"\nBcc:", content)
            if recipients != [secret]:  # its own copy was received "for" it
                self.assertNotIn(secret.encode(), content)

    def look_at_test_mail(self, page: Page) -> None:
        page.get_by_role("button", name="Send a test mail").click()
        expect(page.get_by_text("Microsoft took it.")).to_be_visible()

    def leave(self, page: Page) -> None:
        page.get_by_role("button", name="Delete my access").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Delete my access").click()
        expect(page.get_by_text("Your access is deleted.")).to_be_visible()

    def enter_as_operator(self, page: Page) -> None:
        """Who is an operator by that address enters the console by the same sign-in."""
        self.assertEqual(self.gate.command("operator", "add", ALICE).returncode, 0)
        page.goto(f"{self.address}/login?next=/queue")
        page.get_by_role("link", name="Contoso account").click()
        page.get_by_label("Sign in as").select_option(ALICE)
        page.get_by_role("button", name="Sign in and accept").click()
        expect(page).to_have_url(f"{self.address}/queue")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()

    def assert_refused(self, address: str) -> None:
        done = self.gate.command("mailbox", "list", "--json")
        self.assertNotIn(address, done.stdout)
        self.assertIn(ALICE, done.stdout)
