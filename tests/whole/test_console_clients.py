"""A login from its making to its end, in a real browser, with swaks as the device that uses it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.whole.stage import PATIENCE, RELAY, SENDER, Gateway, WholeTestCase
from tests.whole.test_console import WEB, chromium

SCANNER = "scan@contoso.example"


class ClientStoryTests(WholeTestCase):
    def test_a_login_from_its_making_to_its_end(self) -> None:
        """Made, seen once, used by swaks; log and trace show it live; held, released, revoked."""
        microsoft = self.microsoft("--no-limits")
        microsoft.fault(phase="rcpt", answer="451 4.7.0 try later", times=0)
        gateway = self.gateway(microsoft, WEB)
        password = gateway.command("operator", "add", "anna").stdout.split()[-1]
        address = f"http://{gateway.wait_for('web.ready')['address']}"
        profile = Path(tempfile.mkdtemp(dir=self.folder))
        with chromium(profile) as context:
            page, complaints = self._signed_in(context, address, password)
            secret = self._make(page, address)
            refused = self._swaks(gateway, secret, SENDER)
            self.assertIn("553 5.7.1", refused.stdout)
            self._allow(page, address)
            log, trace = context.new_page(), context.new_page()
            self._watch(log, trace, address)
            done = self._swaks(gateway, secret, SENDER)
            self.assertEqual(done.returncode, 0, done.stdout)
            queue_id = done.stdout.partition("queued as ")[2].split()[0]
            self._saw(log, trace, queue_id, secret)
            name = gateway.api.post("/trace/begin", {"mailbox": RELAY})["id"]
            self._hold_and_release(page, address, queue_id, microsoft.mend)
            self._heard(gateway.api.post("/trace/follow", {"id": name})["lines"])
            self._revoke(page, address)
            last = self._swaks(gateway, secret, SCANNER)
            self.assertIn("535 5.7.8", last.stdout)
            self.assertEqual(complaints, [])
            self.assertEqual(page.evaluate("window.violations"), [])
        self.assertEqual(len(microsoft.wait_for(1)), 1)
        self.assertNotIn(secret, "".join(gateway.lines))

    def _swaks(
        self, gateway: Gateway, password: str, sender: str
    ) -> subprocess.CompletedProcess[str]:
        port = str(gateway.ports["submission"])
        who = ["--auth", "PLAIN", "--auth-user", "scanner", "--auth-password", password]
        mail = ["--from", sender, "--to", "you@elsewhere.example"]
        return subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port", port, "--tls", *who, *mail],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def _signed_in(
        self, context: BrowserContext, address: str, password: str
    ) -> tuple[Page, list[str]]:
        said: list[str] = []
        context.add_init_script(
            "window.violations = [];"
            "document.addEventListener('securitypolicyviolation',"
            " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));"
        )
        context.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        context.on("weberror", lambda error: said.append(str(error.error)))
        page = context.new_page()
        page.goto(f"{address}/clients")
        page.get_by_label("Login").fill("anna")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        return page, said

    def _make(self, page: Page, address: str) -> str:
        page.get_by_role("link", name="Add a login").click()
        page.get_by_label("Login").fill("scanner")
        page.get_by_label("May send as").fill(SCANNER)
        page.get_by_label("Its mail leaves by").select_option(RELAY)
        page.get_by_role("button", name="Add it").click()
        expect(page.get_by_text("Copy it now.")).to_be_visible()
        return page.locator("#secret").inner_text()

    def _allow(self, page: Page, address: str) -> None:
        """The sender that was refused is allowed by a click."""
        page.goto(f"{address}/clients/scanner")
        expect(page.get_by_text("tried to send as")).to_be_visible()
        page.get_by_role("button", name="Allow it").click()
        expect(page.get_by_text(f"scanner may send as {SENDER}.")).to_be_visible()

    def _watch(self, log: Page, trace: Page, address: str) -> None:
        log.goto(f"{address}/log?client=scanner")
        trace.goto(f"{address}/trace?login=scanner")
        expect(trace.get_by_label("Login")).to_have_value("scanner")
        trace.get_by_role("button", name="Watch").click()
        expect(trace.get_by_role("button", name="End it")).to_be_visible()

    def _saw(self, log: Page, trace: Page, queue_id: str, secret: str) -> None:
        """Both without a reload; the trace has what led to the login, and not the password."""
        lines = log.get_by_role("log")
        expect(lines).to_contain_text(queue_id)
        spoken = trace.get_by_role("log")
        for words in (
            "AUTH PLAIN [hidden]",
            f"MAIL FROM:<{SENDER}>",
            "octets of content",
        ):
            expect(spoken).to_contain_text(words)
        self.assertNotIn(secret, trace.content())
        trace.get_by_role("button", name="End it").click()
        expect(trace.get_by_text("The trace is over")).to_be_visible()

    def _heard(self, lines: list[dict[str, str]]) -> None:
        """What was said to Microsoft, without its token and the message."""
        said = [f"{line['speaker']} {line['text']}" for line in lines if line["way"] == "out"]
        self.assertIn(f"C MAIL FROM:<{SENDER}>", [each.split(" SIZE")[0] for each in said])
        self.assertTrue(any("octets of content" in each for each in said))
        self.assert_no_secret("\n".join(said))

    def _hold_and_release(
        self, page: Page, address: str, queue_id: str, mend: Callable[[], None]
    ) -> None:
        page.goto(f"{address}/queue/{queue_id}")
        page.get_by_role("button", name="Hold").click()
        expect(page.get_by_text(f"{queue_id} is held.")).to_be_visible()
        mend()
        page.get_by_role("button", name="Release").click()
        expect(page.get_by_text("Delivered to Microsoft 365")).to_be_visible()

    def _revoke(self, page: Page, address: str) -> None:
        """A login keeps one password, so another one is made before."""
        page.goto(f"{address}/clients/scanner")
        page.get_by_label("Label").fill("new")
        page.get_by_role("button", name="Make it").click()
        page.get_by_role("link", name="I have it").click()
        old = page.get_by_role("listitem").filter(has_text="no label")
        old.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("That password is good no more.")).to_be_visible()
