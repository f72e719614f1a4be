"""A mailbox in the console, in a real browser: made, signed in, broken at Microsoft, repaired."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from bench.servers import free_port
from m365gw.rehearsal.tenant import PUBLIC_APP_ID
from tests.whole.stage import WholeTestCase, await_
from tests.whole.test_console import chromium

ALICE = "alice@contoso.example"


class MailboxStoryTests(WholeTestCase):
    def test_from_nothing_to_repaired(self) -> None:
        """Made, signed in; the sign-in is revoked, then the consent: seen, repaired, drained."""
        self.microsoft365 = self.microsoft("--no-limits")
        app = {"redirect_uris": ["http://localhost/auth/callback"]}
        self.microsoft365.ask("switches", {"apps": {PUBLIC_APP_ID: app}})
        port = free_port()  # the same after a restart
        self.address = f"http://localhost:{port}"
        web = f'[web]\nendpoint = "tcp:{port}:interface=127.0.0.1"\npublic_url = "{self.address}"\n'
        self.gate = self.gateway(self.microsoft365, web)
        done = self.gate.command("operator", "add", "anna")
        self.gate.wait_for("web.ready")
        with chromium(Path(tempfile.mkdtemp(dir=self.folder))) as context:
            page = context.new_page()
            said: list[str] = []
            page.on("console", lambda one: said.append(one.text))
            self._enter(page, done.stdout.split()[-1])
            self._make(page)
            self._sign_in_by_code(page)
            self._send(page)
            expect(page.get_by_text("Microsoft took it.")).to_be_visible()
            self.microsoft365.ask("revoke", {"sessions": ALICE, "access": ALICE})
            self._start_anew()
            self._enter(page, done.stdout.split()[-1])
            self._send(page)
            held = page.get_by_role("heading", name="What is wrong")
            expect(held).to_be_visible()
            self._see_the_incident(page, "sign-in needed")
            self._sign_in_by_browser(page)
            self._withdraw_consent()
            self._enter(page, done.stdout.split()[-1])
            self._send(page)
            expect(held).to_be_visible()
            expect(page.get_by_text("consent").first).to_be_visible()
            self._see_the_incident(page, "admin needed")
            self._sign_in_by_browser(page)
            self.assertEqual([each for each in said if "Security Policy" in each], [])
        self.assertEqual(len(self.microsoft365.wait_for(3)), 3)

    def _enter(self, page: Page, password: str) -> None:
        page.goto(f"{self.address}/mailboxes")
        if page.get_by_label("Password").count():
            page.get_by_label("Login").fill("anna")
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Mailboxes")).to_be_visible()

    def _make(self, page: Page) -> None:
        page.get_by_role("link", name="Add a mailbox").click()
        page.get_by_role("link", name="Browser").click()
        page.get_by_label("Address of the mailbox").fill(ALICE)
        page.get_by_label("Tenant").fill("contoso.example")
        page.get_by_label("Application (client) id").fill(PUBLIC_APP_ID)
        page.get_by_text("Cloud, and how its mail leaves").click()
        page.get_by_label("Cloud", exact=True).select_option("rehearsal")
        page.get_by_role("button", name="Add it").click()
        expect(page.get_by_text("Now somebody has to sign in.")).to_be_visible()

    def _sign_in_by_code(self, page: Page) -> None:
        page.get_by_role("button", name="Get a code").click()
        code = page.locator("#user-code").inner_text()
        self.microsoft365.ask("device", {"user_code": code, "user": ALICE})
        expect(page).to_have_url(f"{self.address}/mailboxes/{ALICE}")
        expect(page.get_by_role("heading", name=ALICE)).to_contain_text("ready")

    def _send(self, page: Page) -> None:
        page.goto(f"{self.address}/test?mailbox={ALICE}")
        page.get_by_label("To").fill("you@elsewhere.example")
        page.get_by_role("button", name="Send it").click()

    def _see_the_incident(self, page: Page, state: str) -> None:
        page.goto(f"{self.address}/incidents")
        page.get_by_role("link", name=ALICE).first.click()
        expect(page.get_by_text("For your admin")).to_be_visible()
        page.get_by_role("link", name="To the mailbox").click()
        expect(page.get_by_role("heading", name=ALICE)).to_contain_text(state)
        expect(page.get_by_role("link", name="1 message in the queue")).to_be_visible()

    def _withdraw_consent(self) -> None:
        """An administrator of the tenant has taken the app its permissions away."""
        apps = {PUBLIC_APP_ID: {"consent": "user"}}
        self.microsoft365.ask("switches", {"apps": apps})
        self.microsoft365.ask("revoke", {"access": ALICE})
        self._start_anew()

    def _start_anew(self) -> None:
        """The token it has in memory would do for an hour."""
        await_(self.gate.is_drained, "a message was taken, and is in the spool")
        self.gate.kill()
        self.gate.start()

    def _sign_in_by_browser(self, page: Page) -> None:
        page.get_by_role("link", name="Sign in").first.click()
        page.get_by_role("link", name="Go to Microsoft").click()
        page.get_by_role("button").first.click()
        expect(page).to_have_url(f"{self.address}/mailboxes/{ALICE}")
        expect(page.get_by_role("link", name="0 messages in the queue")).to_be_visible()
