"""Signing in at Microsoft for one's own mailbox: who may, and what does not get anybody in."""

from __future__ import annotations

import attrs

from m365gw.config.settings import Mailbox
from m365gw.directory.merge import merged
from tests.admin.web.browser import PASSWORD, PUBLIC, STRANGER
from tests.admin.web.own_stage import HOME, JOE, PERSONAL_TENANT, OwnTestCase
from tests.relay.entra import OFFLINE

OWN = "__Host-m365gw-me"
CALLBACK = f"https://{PUBLIC}/auth/callback"


class SignInTests(OwnTestCase):
    def test_what_microsoft_is_asked(self) -> None:
        """Code with PKCE, a state, a nonce, and the way back that public_url says."""
        asked = self.leave(self.browser)
        self.assertEqual(
            (asked["client_id"], asked["redirect_uri"], asked["code_challenge_method"]),
            ("work-app", CALLBACK, "S256"),
        )
        self.assertEqual(asked["response_mode"], "query")
        self.assertNotIn("login_hint", asked)
        self.assertTrue(asked["nonce"] and asked["state"])

    def test_the_mailbox_is_made_and_signed_in(self) -> None:
        """With the id of the account and the app, by name; audited; tried at once."""
        self.assertEqual(self.sign_in().headers["location"], "/me")
        (mailbox,) = self.stage.settings().mailbox
        self.assertEqual(
            (mailbox.address, mailbox.flow, mailbox.sign_in, mailbox.account, mailbox.client_id),
            (JOE, "web", "Contoso account", "o1.t1", "work-app"),
        )
        self.assertIn(b"RT1", self.stage.vault.load(f"sign-in {JOE}") or b"")
        change = self.stage.audit.changes(1, None)[0]
        self.assertEqual((change.by, change.action), (f"self-service {JOE}", "mailbox.added"))
        self.assertEqual(self.stage.probed, [JOE])
        self.assertIn(JOE, self.browser.get("/me").body)

    def test_a_new_secret_of_the_app_counts_for_all(self) -> None:
        """The mailbox names its app; the secret is that of the app as it is now."""
        self.sign_in()
        apps = [attrs.evolve(each, client_secret="new") for each in self.stage.configured.sign_in]
        self.stage.configured = attrs.evolve(self.stage.configured, sign_in=tuple(apps))
        self.assertEqual(self.stage.settings().mailbox[0].client_secret, "new")
        self.assertIsNone(self.stage.vault.load(f"client-secret {JOE}"))

    def test_an_app_that_is_taken_out(self) -> None:
        """Its mailboxes are left out and said, not lost; when it is back, so are they."""
        self.sign_in()
        configured = self.stage.configured
        self.stage.configured = attrs.evolve(configured, sign_in=(HOME,))
        settings, problems = merged(self.stage.configured, self.stage.entries.read())
        self.assertEqual(settings.mailbox, ())
        self.assertIn('no [[sign_in]] "Contoso account"', str(problems[0]))
        self.stage.configured = configured
        self.assertEqual(len(self.stage.settings().mailbox), 1)

    def test_signing_in_again(self) -> None:
        """The same account is proposed, the same mailbox has a new sign-in, and is made once."""
        browser = self.signed_in()
        self.assertEqual(self.leave(browser)["login_hint"], JOE)
        self.sign_in(browser)
        self.assertEqual(len(self.stage.settings().mailbox), 1)
        self.assertIn(b"RT2", self.stage.vault.load(f"sign-in {JOE}") or b"")

    def test_a_renamed_user_keeps_the_mailbox(self) -> None:
        """It is the account that counts."""
        self.signed_in()
        browser = self.signed_in("joanna@contoso.com")
        self.assertEqual([each.address for each in self.stage.settings().mailbox], [JOE])
        self.assertIn(JOE, browser.get("/me").body)

    def test_closed(self) -> None:
        """Without [self_service] there is no such page, no way to begin, and none to end."""
        asked = self.leave(self.browser)
        self.configure(enabled=False)
        self.assertEqual(self.browser.get("/me").status, 404)
        self.assertEqual(self.browser.get("/me/sign-in/0").status, 404)
        self.assertEqual(self.browser.get(self.back(asked["state"])).status, 403)
        self.assertEqual(self.stage.settings().mailbox, ())

    def test_microsoft_cannot_be_asked(self) -> None:
        """It is said, and nobody is sent anywhere."""
        self.stage.entra.discovery = OFFLINE
        answer = self.browser.get("/me/sign-in/0")
        self.assertEqual(answer.status, 422)
        self.assertIn("Contoso account", answer.body)

    def test_errors_of_the_page_of_microsoft(self) -> None:
        """Whoever says no, or needs an administrator, reads so, escaped."""
        for code, words in ((65004, "No or Cancel"), (90094, "admin")):
            state = self.leave(self.browser)["state"]
            described = f"AADSTS{code}: <script>alert(1)</script>"
            answer = self.browser.get(
                self.back(state, error="access_denied", error_description=described)
            )
            self.assertEqual(answer.status, 422)
            self.assertIn(words, answer.body)
            self.assertNotIn("<script>alert", answer.body)
            self.assertNotIn("m365gw mailbox signin", answer.body)

    def test_consent_of_an_administrator(self) -> None:
        """Who comes back from that page is told, and nothing else happens."""
        answer = self.browser.get("/auth/callback?admin_consent=True&tenant=t1&state=x")
        self.assertEqual(answer.status, 200)
        self.assertIn("has allowed", answer.body)
        answer = self.browser.get("/auth/callback?admin_consent=True&error=access_denied")
        self.assertEqual(answer.status, 403)


class AttackTests(OwnTestCase):
    def refused(self, answer: object, status: int, words: str) -> None:
        """It is said, nobody is signed in, and nothing was made."""
        self.assertEqual(getattr(answer, "status", 0), status)
        self.assertIn(words, getattr(answer, "body", ""))
        self.assertNotIn("SMTP passwords", self.browser.get("/me").body)
        self.assertEqual(self.stage.settings().mailbox, ())

    def test_an_answer_works_once(self) -> None:
        """A callback that is replayed, in the same browser, does nothing."""
        path = self.back(self.leave(self.browser)["state"])
        self.assertEqual(self.browser.get(path).status, 303)
        self.assertEqual(self.browser.get(path).status, 403)
        self.assertEqual(len(self.stage.entra.posts), 1)

    def test_the_state_of_another_browser(self) -> None:
        """A link with somebody else's code signs nobody in (login CSRF)."""
        state = self.leave(self.new_browser())["state"]
        for browser in (self.browser, self.new_browser(cookies={OWN: "A" * 43})):
            self.assertEqual(browser.get(self.back(state)).status, 403)
        self.refused(self.browser.get(self.back(state)), 403, "not begun in this browser")
        self.assertEqual(self.stage.entra.posts, [])

    def test_a_state_nobody_gave(self) -> None:
        """Made up, empty, missing or twice: nothing is sent to Microsoft."""
        self.leave(self.browser)
        for path in (
            self.back("made-up"),
            self.back(""),
            "/auth/callback?code=C1",
            "/auth/callback",
        ):
            self.refused(self.browser.get(path), 403, "over")
        self.assertEqual(self.stage.entra.posts, [])

    def test_a_late_answer(self) -> None:
        """After a quarter of an hour it is over."""
        state = self.leave(self.browser)["state"]
        self.stage.clock.advance(901)
        self.refused(self.browser.get(self.back(state)), 403, "over")

    def test_another_nonce(self) -> None:
        """An id token that was made for another sign-in is none for this one."""
        state = self.leave(self.browser)["state"]
        self.stage.entra.nonce = "another"
        self.refused(self.browser.get(self.back(state)), 422, "not to this sign-in")

    def test_an_id_token_that_is_not_for_us(self) -> None:
        """Of another app, issuer or tenant, or without what says who it is."""
        for claims in (
            {"aud": "another-app"},
            {"iss": "https://evil.example/t1/v2.0"},
            {"tid": "t2"},
            {"tid": ""},
            {"oid": ""},
            {"preferred_username": ""},
            {"preferred_username": "*@contoso.com"},
            {"preferred_username": '"x y"@contoso.com'},
            {"preferred_username": "a@contoso.com,b@contoso.com"},
        ):
            self.stage.entra.claims = dict(claims)
            self.refused(self.sign_in(), 422, "did not say who")

    def test_a_guest(self) -> None:
        """Somebody whose account is at home in another tenant has no mailbox in this one."""
        issuer = "https://login.microsoftonline.com/t9/v2.0"
        self.stage.entra.claims = {"tid": "t9", "iss": issuer}
        self.refused(self.sign_in(), 422, "guest")

    def test_who_is_not_allowed(self) -> None:
        """Denied, or of no domain that is allowed."""
        for user in ("boss@contoso.com", "eve@evil.example", "joe@sub.contoso.com"):
            self.stage.entra.user = user
            self.refused(self.sign_in(), 403, "may not use this page")

    def test_personal_accounts_where_they_may_not(self) -> None:
        """Not by the button for work accounts, nor by their own while they are not allowed."""
        self.stage.entra.account = ("o1", PERSONAL_TENANT)
        self.refused(self.sign_in(number=0), 422, "personal account")
        self.refused(self.sign_in(number=1), 403, "personal account")
        self.configure(personal_accounts=True)
        self.assertEqual(self.sign_in(number=1).status, 303)
        self.assertEqual(self.stage.settings().mailbox[0].tenant, HOME.tenant)

    def test_work_accounts_by_the_button_for_personal_ones(self) -> None:
        """The kind of account is checked here too, whatever the authority did."""
        self.configure(personal_accounts=True)
        self.refused(self.sign_in(number=1), 422, "other accounts")

    def test_an_account_of_the_same_name(self) -> None:
        """A personal account or a successor of that address does not get the mailbox."""
        self.signed_in()
        kept = self.stage.vault.load(f"sign-in {JOE}")
        self.stage.entra.account = ("o2", "t1")
        answer = self.sign_in()
        self.assertEqual(answer.status, 409)
        self.assertIn("in use here already", answer.body)
        self.assertEqual(self.stage.vault.load(f"sign-in {JOE}"), kept)

    def test_a_mailbox_of_the_operator(self) -> None:
        """One of the file, or made by a command, is nobody's to take over."""
        table = {"address": JOE, "flow": "device", "tenant": "contoso.com", "client_id": "x"}
        self.stage.registry.add_mailbox(table, "root")
        self.assertEqual(self.sign_in().status, 409)
        self.stage.registry.remove_mailbox(JOE, "root")
        declared = Mailbox(address="Joe@Contoso.com", flow="web", tenant="t", client_id="x")
        self.stage.configured = attrs.evolve(self.stage.configured, mailbox=(declared,))
        self.assertEqual(self.sign_in().status, 409)

    def test_a_planted_cookie(self) -> None:
        """It is exchanged before the browser leaves, and again when it is back (fixation)."""
        planted = "B" * 43
        browser = self.new_browser(cookies={OWN: planted})
        state = self.leave(browser)["state"]
        away = browser.cookies[OWN]
        attacker = self.new_browser(cookies={OWN: planted})
        self.assertEqual(attacker.get(self.back(state)).status, 403)
        self.assertEqual(browser.get(self.back(state)).status, 303)
        self.assertEqual(len({planted, away, browser.cookies[OWN]}), 3)
        for old in (planted, away):
            page = self.new_browser(cookies={OWN: old}).get("/me")
            self.assertNotIn("SMTP passwords", page.body)

    def test_the_cookie_is_out_of_reach(self) -> None:
        """No script sees it, no other host can plant it, and it goes over https only."""
        self.sign_in()
        for word in ("__Host-m365gw-me=", "HttpOnly", "SameSite=lax", "Secure", "Path=/"):
            self.assertIn(word, self.browser.set_cookie)

    def test_forwarded_headers_of_strangers(self) -> None:
        """The way back and the links stay those of public_url."""
        browser = self.new_browser(
            peer=STRANGER,
            headers={
                "x-forwarded-host": "evil.example",
                "x-forwarded-proto": "http",
                "forwarded": "host=evil.example",
            },
        )
        self.assertEqual(self.leave(browser)["redirect_uri"], CALLBACK)
        self.assertNotIn("evil.example", browser.get("/me").body)

    def test_another_host(self) -> None:
        """Nobody is answered under a name that is not ours; nor sent off from this machine's."""
        self.browser.host = "evil.example"
        self.assertEqual(self.browser.get("/me/sign-in/0").status, 421)
        self.browser.host = "localhost"
        answer = self.browser.get("/me/sign-in/0")
        self.assertEqual(answer.status, 400)
        self.assertIn("public address", answer.body)

    def test_no_open_redirect(self) -> None:
        """Whatever a request adds, nobody is led elsewhere than to Microsoft and back to /me."""
        more = "next=//evil.example&redirect_uri=https://evil.example&to=https://evil.example"
        answer = self.browser.get(f"/me/sign-in/0?{more}")
        self.assertTrue(answer.headers["location"].startswith("https://login.microsoftonline.com/"))
        self.assertNotIn("evil.example", answer.headers["location"])
        path = self.back(self.leave(self.browser)["state"], next="//evil.example")
        self.assertEqual(self.browser.get(path).headers["location"], "/me")
        for number in ("9", "-1", "x", "0%2f..", "99999999"):
            self.assertEqual(self.browser.get(f"/me/sign-in/{number}").status, 404)

    def test_many_sign_ins_that_are_begun(self) -> None:
        """Twenty of one address, then it has to wait; nobody else has to."""
        for _ in range(20):
            self.leave(self.browser)
        self.assertEqual(self.browser.get("/me/sign-in/0").status, 429)
        self.leave(self.new_browser(peer=STRANGER))
        self.stage.clock.advance(901)
        self.leave(self.browser)

    def test_a_person_is_no_operator(self) -> None:
        """Neither session is worth anything where the other one is."""
        browser = self.signed_in()
        for path in ("/", "/queue"):
            self.assertIn(browser.get(path).status, (303, 404))
        copied = {"__Host-m365gw": browser.cookies[OWN]}
        self.assertNotIn("Sign out", self.new_browser(cookies=copied).get("/login").body)
        operator = self.new_browser()
        operator.sign_in("anna", PASSWORD)
        copied = {OWN: operator.cookies["__Host-m365gw"]}
        self.assertNotIn("SMTP passwords", self.new_browser(cookies=copied).get("/me").body)
        self.assertNotIn("SMTP passwords", operator.get("/me").body)

    def test_no_token_is_said(self) -> None:
        """Neither log nor pages have what Microsoft gave."""
        page = self.signed_in().get("/me").body
        for secret in ("RT1", "AT1"):
            self.assertNotIn(secret, page + self.stage.lines.getvalue())
