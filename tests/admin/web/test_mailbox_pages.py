"""Mailboxes in the console: looked at, made, changed, paused and removed."""

from __future__ import annotations

from typing import Any

from m365gw.config.key_pairs import read_pairs
from m365gw.config.web import Web
from m365gw.incidents import Incident, subject_of
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.failures import TokenUnavailable
from tests.admin.web.browser import HASH, NOW, Browser, ConsoleTestCase, mailbox

APP = "00000000-0000-4000-8000-0000000000a1"
RELAY = "relay@contoso.com"
HOSTILE = '"><script>alert(1)</script>\u202e'
CLOSED = {
    "key": "smtp-auth-disabled-mailbox",
    "what": f"SMTP AUTH is off {HOSTILE}.",
    "why": "Somebody has switched it off.",
    "fix": "Switch it on.",
    "who": "exchange-admin",
}
CHANGES = (
    "sign-in/code",
    "pause",
    "resume",
    "retry",
    "renew",
    "remove",
    "change",
)


class MailboxTestCase(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stage.mailboxes[:] = []

    def made(self, browser: Browser, **form: str) -> Any:
        """The answer to a form that adds a mailbox."""
        values = {"flow": "certificate", "address": RELAY, "tenant": "contoso.com"}
        return browser.send("/mailboxes/add", **{**values, "client_id": APP, **form})

    def known(self) -> Any:
        """The mailboxes the registry has."""
        return {each.address: each for each in self.stage.registry.settings.mailbox}


class ListTests(MailboxTestCase):
    def test_each_has_its_state_and_what_to_do(self) -> None:
        """What needs somebody stands first, with who must do what."""
        self.stage.mailboxes += [
            mailbox(RELAY, waits=2),
            mailbox("erp@contoso.com", state="needs_admin", why="closed", diagnosis=CLOSED),
        ]
        body = self.signed_in().get("/mailboxes").body
        self.assertLess(body.index("erp@contoso.com"), body.index(RELAY))
        for path in ("/mailboxes?part=rows", f"/mailboxes/{RELAY}?part=facts"):
            self.assertEqual(self.signed_in().get(path).status, 200)
        self.assertIn("an Exchange administrator", body)
        self.assertNotIn("<script>alert", body)

    def test_found_by_text_and_by_state(self) -> None:
        """Both narrow the list; what is asked for that is not there shows nothing wrong."""
        self.stage.mailboxes += [mailbox(f"m{n}@contoso.com") for n in range(120)]
        browser = self.signed_in()
        body = browser.get("/mailboxes?q=M7").body
        self.assertEqual(body.count('class="card mailbox"'), 11)
        self.assertEqual(browser.get("/mailboxes").body.count('class="card mailbox"'), 50)
        self.assertEqual(browser.get("/mailboxes?start=100").body.count('class="card mailbox"'), 20)
        self.assertIn("No mailbox is like that", browser.get("/mailboxes?state=paused").body)
        self.assertEqual(browser.get("/mailboxes?state=%00&start=-1").status, 200)

    def test_credentials_are_counted_down(self) -> None:
        """The one that ends first, in days; one that has ended says so."""
        ends = [
            {"kind": "secret", "ends_at": NOW + 6.5 * 86400, "certainty": "stated"},
            {"kind": "certificate", "ends_at": NOW + 400 * 86400, "certainty": "known"},
        ]
        self.stage.mailboxes.append(mailbox(RELAY, credentials=ends))
        self.assertIn("6 days left", self.signed_in().get("/mailboxes").body)
        ends[0]["ends_at"] = NOW - 1
        self.assertIn("ended on", self.signed_in().get("/mailboxes").body)


class PageTests(MailboxTestCase):
    def test_what_is_wrong_can_be_copied(self) -> None:
        """The PowerShell line has the real name; the text for the admin says all of it."""
        told = {**CLOSED, "what": "SMTP AUTH is off."}
        self.stage.mailboxes.append(
            mailbox(RELAY, state="needs_admin", why="closed", diagnosis=told)
        )
        subject = subject_of({"mailbox": RELAY})
        self.stage.incidents.append(
            Incident(id="5f1c2d9a", told=Diagnosis(**told), subject=subject, opened_at=NOW)
        )
        body = self.signed_in().get(f"/mailboxes/{RELAY}").body
        self.assertIn("Set-CASMailbox", body)
        self.assertIn("Who must act: an Exchange administrator of the tenant", body)
        self.assertIn('href="/incidents/5f1c2d9a"', body)
        self.assertIn("Recipients in the last 24 hours, hour by hour: 15 of 30.", body)

    def test_a_sender_that_is_stopped_is_told_on_the_page_of_its_mailbox(self) -> None:
        """The mailbox is ready all the while; another mailbox has nothing to do with it."""
        told = {**CLOSED, "what": f"{RELAY} may not send as scan@contoso.example."}
        subject = subject_of({"sender": f"<scan@contoso.example> on {RELAY}"})
        self.stage.mailboxes.append(mailbox(RELAY))
        self.stage.mailboxes.append(mailbox(f"x{RELAY}"))
        self.stage.incidents.append(
            Incident(id="5f1c2d9b", told=Diagnosis(**told), subject=subject, opened_at=NOW)
        )
        anna = self.signed_in()
        self.assertIn('href="/incidents/5f1c2d9b"', anna.get(f"/mailboxes/{RELAY}").body)
        self.assertIn("None so far.", anna.get(f"/mailboxes/x{RELAY}").body)

    def test_one_that_is_not_there(self) -> None:
        """Whatever the address is made of, it is a page that says so."""
        browser = self.signed_in()
        for address in ("nobody@contoso.com", "%3Cscript%3E", "%00", "..%2f..%2fetc", "a%C3%A4"):
            answer = browser.get(f"/mailboxes/{address}")
            self.assertEqual(answer.status, 404, address)
            self.assertNotIn("<script>", answer.body.replace("<script src", ""))

    def test_the_file_is_its_owners(self) -> None:
        """What stands in the configuration is shown locked, and is not changed here."""
        self.stage.mailboxes.append(mailbox(RELAY))
        browser = self.signed_in()
        body = browser.get(f"/mailboxes/{RELAY}").body
        self.assertIn("the configuration file; it is changed there", body)
        self.assertNotIn("/change", body)
        self.assertEqual(browser.get(f"/mailboxes/{RELAY}/change").status, 409)
        self.assertEqual(browser.send(f"/mailboxes/{RELAY}/change", tenant="x.example").status, 409)


class FormTests(MailboxTestCase):
    def test_a_connector(self) -> None:
        """No app, and no certificate is made for it; what is missing stands at its field."""
        browser = self.signed_in()
        self.assertIn("Host of the connector", browser.get("/mailboxes/add?flow=address").body)
        values = {"address": RELAY, "tenant": "my-contoso.com", "exit": "connector"}
        answer = browser.send("/mailboxes/add", flow="certificate", **values)
        self.assertEqual(answer.status, 422)
        self.assertIn("needs a certificate", answer.body)
        answer = browser.send("/mailboxes/add", flow="address", **values)
        self.assertIn("Is missing; the tenant does not tell", answer.body)
        answer = browser.send("/mailboxes/add", flow="address", mx="mx.contoso.com", **values)
        self.assertEqual(answer.status, 303)
        box = self.known()[RELAY]
        self.assertEqual((box.exit, box.mx, box.certificate), ("connector", "mx.contoso.com", ""))
        self.stage.mailboxes.append(mailbox(RELAY, exit="connector", flow="address"))
        body = browser.get(f"/mailboxes/{RELAY}").body
        self.assertIn("Inbound connector", body)
        self.assertNotIn("/set-up", body)

    def test_a_certificate_is_made(self) -> None:
        """The key stays sealed; certificate and script are given out, and no key in them."""
        browser = self.signed_in()
        answer = self.made(browser)
        self.assertEqual(
            (answer.status, answer.headers["location"]), (303, f"/mailboxes/{RELAY}/set-up")
        )
        pair = read_pairs(self.known()[RELAY].certificate.encode())[0]
        page = browser.get(f"/mailboxes/{RELAY}/set-up").body
        self.assertIn(pair.thumbprint, page)
        script = browser.get(f"/mailboxes/{RELAY}/script")
        self.assertIn("contoso.com", script.body)
        self.assertIn("attachment", script.headers["content-disposition"])
        given = browser.get(f"/mailboxes/{RELAY}/certificate").headers
        self.assertIn(f"{RELAY}.cer", given.get("content-disposition", ""))
        self.assertNotEqual(browser.get(f"/mailboxes/{RELAY}/script?undo=1").body, script.body)
        for text in (page, script.body):
            self.assertNotIn("PRIVATE KEY", text)
        self.assertIn("console: anna", browser.get(f"/mailboxes/{RELAY}").body)

    def test_every_problem_is_at_its_field(self) -> None:
        """All at once, with what was typed; but the secret is typed again."""
        answer = self.made(
            self.signed_in(),
            flow="secret",
            address="nobody",
            tenant="a b",
            client_secret="hush-hush",
            client_secret_expires="never",
        )
        self.assertEqual(answer.status, 422)
        self.assertIn("Must be a day", answer.body)
        self.assertNotIn("hush-hush", answer.body)
        answer = self.made(
            self.signed_in(), flow="secret", address="no", tenant=HOSTILE, client_secret="hush-hush"
        )
        for field in ("address", "tenant"):
            self.assertRegex(answer.body, rf'id="f-{field}"[^>]*aria-invalid')
        self.assertNotIn("hush-hush", answer.body)
        self.assertNotIn("<script>alert", answer.body)
        self.assertEqual(self.known(), {})

    def test_what_is_missing_is_said_without_the_file(self) -> None:
        """A form has no files: what to write into the configuration is no remedy there."""
        answer = self.made(self.signed_in(), flow="secret", client_secret="")
        self.assertRegex(answer.body, r'id="f-client_secret"[^>]*aria-invalid')
        self.assertNotIn("client_secret_file", answer.body)

    def test_a_secret_is_never_shown_again(self) -> None:
        """Neither on the page of the mailbox nor in the form that changes it; empty keeps it."""
        browser = self.signed_in()
        self.made(browser, flow="secret", client_secret="hush-hush")
        for path in ("", "/change", "/set-up"):
            self.assertNotIn("hush-hush", browser.get(f"/mailboxes/{RELAY}{path}").body)
        form = {"tenant": "fabrikam.com", "client_id": APP, "client_secret": "", "fallback": ""}
        answer = browser.send(f"/mailboxes/{RELAY}/change", **form)
        self.assertEqual(answer.status, 303, answer.body)
        kept = self.known()[RELAY]
        self.assertEqual((kept.tenant, kept.client_secret), ("fabrikam.com", "hush-hush"))

    def test_a_flow_nobody_knows(self) -> None:
        """The choices are shown; a form that names it is refused."""
        browser = self.signed_in()
        self.assertIn("Device code", browser.get("/mailboxes/add?flow=magic").body)
        self.assertEqual(self.made(browser, flow="magic").status, 400)

    def test_renewed(self) -> None:
        """The new certificate stands before the old one."""
        browser = self.signed_in()
        self.made(browser)
        before = read_pairs(self.known()[RELAY].certificate.encode())
        self.assertEqual(browser.send(f"/mailboxes/{RELAY}/renew").status, 303)
        after = read_pairs(self.known()[RELAY].certificate.encode())
        self.assertEqual((len(after), after[1].thumbprint), (2, before[0].thumbprint))


class SignInTests(MailboxTestCase):
    web = Web(endpoint="tcp:8025:interface=127.0.0.1", public_url="http://127.0.0.1:8025")

    def setUp(self) -> None:
        super().setUp()
        self.stage.mailboxes.append(mailbox(RELAY, flow="web"))
        self.path = f"/mailboxes/{RELAY}/sign-in"

    def test_by_a_code_that_is_entered_elsewhere(self) -> None:
        """The code is shown to who asked for it, until it was entered; who did it is noted."""
        self.stage.operators.add("eve", HASH, "operator", "test")
        browser, other = self.signed_in(), self.signed_in("eve")
        browser.send(f"{self.path}/code")
        body = browser.get(f"{self.path}?part=sign_in").body
        self.assertIn("ABCD1234", body)
        self.assertIn("every 2s", body)
        self.assertNotIn("ABCD1234", other.get(self.path).body)
        self.stage.sign_ins.answer = True
        self.stage.clock.advance(5)
        answer = browser.get(f"{self.path}?part=sign_in", hx_request="true")
        self.assertEqual(answer.headers["hx-redirect"], f"/mailboxes/{RELAY}")
        self.assertIn(("anna", "mailbox.signed-in", RELAY), self.stage.audited)

    def test_what_went_wrong_is_said(self) -> None:
        """With the diagnosis, until the next one is begun; the code is gone."""
        browser = self.signed_in()
        browser.send(f"{self.path}/code")
        told = Diagnosis("declined", f"Declined {HOSTILE}.", "Why.", "Fix.", "mailbox-user")
        self.stage.sign_ins.answer = TokenUnavailable("restart", told)
        self.stage.clock.advance(5)
        body = browser.get(self.path).body
        self.assertIn("The sign-in failed", body)
        self.assertNotIn("<script>alert", body)
        self.assertNotIn("ABCD1234", body)
        browser.send(f"{self.path}/code")
        self.assertNotIn("The sign-in failed", browser.get(self.path).body)

    def test_in_the_browser(self) -> None:
        """Off to Microsoft and back, with the state of this browser only, and once."""
        browser, other = self.signed_in(), self.signed_in()
        answer = browser.get(f"{self.path}/browser")
        self.assertIn("login.example/authorize", answer.headers["location"])
        begun = self.stage.sign_ins.begun
        self.assertEqual(begun, [(RELAY, "http://127.0.0.1:8025/auth/callback")])
        self.stage.sign_ins.answer = True
        self.assertEqual(other.get("/auth/callback?state=s&code=c").status, 403)
        answer = browser.get("/auth/callback?state=s&code=c")
        answer = browser.get(answer.headers["location"])
        self.assertEqual(answer.headers["location"], f"/mailboxes/{RELAY}")
        self.assertIn(("anna", "mailbox.signed-in", RELAY), self.stage.audited)
        self.assertEqual(self.stage.sign_ins.finished, [{"state": "s", "code": "c"}])
        self.assertEqual(browser.get("/auth/callback?state=s&code=c").status, 403)

    def test_one_that_needs_no_person(self) -> None:
        """It is said so, and nothing begins."""
        self.stage.mailboxes[0]["flow"] = "secret"
        browser = self.signed_in()
        for answer in (browser.get(self.path), browser.send(f"{self.path}/code")):
            self.assertEqual(answer.status, 409)
        self.assertEqual(self.stage.sign_ins.begun, [])


class ActionTests(MailboxTestCase):
    def test_paused_with_a_reason_and_resumed(self) -> None:
        """Who did it is noted; without a reason nothing is done."""
        self.stage.mailboxes.append(mailbox(RELAY))
        browser = self.signed_in()
        self.assertEqual(browser.send(f"/mailboxes/{RELAY}/pause", reason="").status, 400)
        self.assertEqual(browser.send(f"/mailboxes/{RELAY}/pause", reason=HOSTILE).status, 303)
        self.assertEqual(browser.send(f"/mailboxes/{RELAY}/resume").status, 303)
        self.assertEqual(browser.send(f"/mailboxes/{RELAY}/retry").status, 303)
        asked = [each[:2] for each in self.stage.states.asked]
        self.assertEqual(asked, [("pause", RELAY), ("resume", RELAY), ("retry", RELAY)])
        self.assertEqual([each[1] for each in self.stage.audited][0], "mailbox.paused")

    def test_removed(self) -> None:
        """It is gone with its secrets, and its mail is said to be kept."""
        browser = self.signed_in()
        self.made(browser)
        self.stage.mailboxes.append(mailbox(RELAY, waits=3))
        self.assertIn("3 messages</strong> for it stay", browser.get(f"/mailboxes/{RELAY}").body)
        self.assertEqual(
            browser.send(f"/mailboxes/{RELAY}/remove").headers["location"], "/mailboxes"
        )
        self.assertIn("3 messages for it stay in the queue", browser.get("/mailboxes").body)
        self.assertEqual(self.known(), {})

    def test_a_viewer_only_looks(self) -> None:
        """No button, no form, no certificate; and no path does anything."""
        self.made(self.signed_in())
        self.stage.operators.add("ben", HASH, "viewer", "test")
        browser = self.signed_in("ben")
        body = browser.get(f"/mailboxes/{RELAY}").body
        self.assertNotIn(f"/mailboxes/{RELAY}/", body.replace("?part", ""))
        for path in (
            "add",
            f"{RELAY}/change",
            f"{RELAY}/set-up",
            f"{RELAY}/certificate",
            f"{RELAY}/sign-in",
            f"{RELAY}/sign-in/browser",
        ):
            self.assertEqual(browser.get(f"/mailboxes/{path}").status, 403)
        token = browser.get("/").token()
        for path in ("add", *(f"{RELAY}/{each}" for each in CHANGES)):
            self.assertEqual(browser.post(f"/mailboxes/{path}", {"token": token}).status, 403)
        self.assertIn(RELAY, self.known())

    def test_without_the_token_nothing_is_done(self) -> None:
        """A form of another site has none."""
        browser = self.signed_in()
        self.made(browser)
        for path in ("add", *(f"{RELAY}/{each}" for each in CHANGES)):
            self.assertEqual(browser.post(f"/mailboxes/{path}", {"reason": "x"}).status, 403)
        self.assertEqual((list(self.known()), self.stage.states.asked), ([RELAY], []))
