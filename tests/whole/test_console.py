"""The console in a real browser: Chromium, driven over the pages an operator uses.

Everything from outside that reaches a page is hostile here: nothing of it may run, and the browser
must have nothing to complain of the content security policy.
"""

from __future__ import annotations

import smtplib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.whole.stage import PATIENCE, SENDER, Gateway, WholeTestCase

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WEB = '[web]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
HOSTILE = "\"><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


@contextmanager
def chromium(folder: Path) -> Iterator[BrowserContext]:
    """A browser with a profile of its own."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(folder),
            executable_path=CHROMIUM,
            args=FLAGS,
            headless=True,
            ignore_https_errors=True,  # the rehearsal has a certificate of its own
            timeout=1000 * PATIENCE,
        )
        context.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        try:
            yield context
        finally:
            context.close()


class ConsoleTests(WholeTestCase):
    def test_a_message_is_seen_held_and_released(self) -> None:
        """From the sign-in to Microsoft's answer, which appears without a reload."""
        microsoft = self.microsoft("--no-limits")
        microsoft.fault(phase="rcpt", answer=f"451 4.7.0 {HOSTILE}", times=0)
        gateway = self.gateway(microsoft, WEB)
        password = self._operator(gateway)
        queue_id = self._submit(gateway)
        gateway.wait_for("delivery", status="deferred")
        address = gateway.wait_for("web.ready")["address"]
        profile = Path(tempfile.mkdtemp(dir=self.folder))
        with chromium(profile) as context:
            page = context.new_page()
            complaints = self._complaints(page)
            self._sign_in(page, f"http://{address}", password)
            self._hold(page, queue_id)
            microsoft.mend()
            self._release(page)
            self.assertEqual(page.title(), f"{queue_id} · gateway.contoso.example")
            self.assertEqual(complaints, [])
            self.assertEqual(page.evaluate("window.violations"), [])
        self.assertEqual(len(microsoft.wait_for(1)), 1)
        said = [(each["action"], each["by"]) for each in gateway.of("web.change")]
        self.assertEqual(said, [("hold", "anna"), ("release", "anna")])
        self.assertNotIn(password, "".join(gateway.lines))

    def _operator(self, gateway: Gateway) -> str:
        done = gateway.command("operator", "add", "anna")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()[-1]

    def _submit(self, gateway: Gateway) -> str:
        with smtplib.SMTP("127.0.0.1", gateway.ports["trusted"]) as client:
            client.helo("<b>x</b>")
            client.mail(SENDER)
            client.rcpt("you@elsewhere.example")
            body = f"From: {SENDER}\r\nSubject: {HOSTILE}\r\n\r\nHello\r\n"
            code, text = client.data(body.encode())
        self.assertEqual(code, 250)
        return text.split()[-1].decode()

    def _complaints(self, page: Page) -> list[str]:
        """What the browser says that it should not have to say."""
        said: list[str] = []
        page.add_init_script(
            "window.violations = [];"
            "document.addEventListener('securitypolicyviolation',"
            " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));"
        )
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        return said

    def _sign_in(self, page: Page, address: str, password: str) -> None:
        """A link into the console leads there by way of the sign-in."""
        page.goto(f"{address}/queue?state=waiting")
        page.get_by_label("Login").fill("anna")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{address}/queue?state=waiting")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()

    def _hold(self, page: Page, queue_id: str) -> None:
        row = page.get_by_role("row").filter(has_text=queue_id)
        expect(row).to_contain_text("waiting")
        expect(row).to_contain_text("<script>")
        row.get_by_role("link").click()
        expect(page.get_by_role("heading", name=queue_id)).to_be_visible()
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        page.get_by_role("button", name="Hold").click()
        expect(page.get_by_text(f"{queue_id} is held.")).to_be_visible()
        page.get_by_role("button", name="Remove").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("nothing brings")
        dialog.get_by_role("button", name="Cancel").click()

    def _release(self, page: Page) -> None:
        page.get_by_role("button", name="Release").click()
        expect(page.get_by_text("Delivered to Microsoft 365")).to_be_visible()
        expect(page.get_by_text("It is no longer in the queue.")).to_be_visible()
