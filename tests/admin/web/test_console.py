"""What is checked before a page is asked: whose session, which role, which token, which origin."""

from __future__ import annotations

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.assets import assets
from m365gw.admin.web.view import Answer, View, local_path, page
from tests.admin.web.browser import HASH, PASSWORD, Browser, ConsoleTestCase

CHANGES = ("/queue/flush", "/queue/bulk", "/queue/4Q7BX2K9M3PDW/remove", "/queue/bulk/1/do")


class SessionTests(ConsoleTestCase):
    def test_without_a_session_nothing_is_shown(self) -> None:
        """Every page but the sign-in leads there, and back again afterwards."""
        for path in ("/", "/queue", "/queue/4Q7BX2K9M3PDW"):
            answer = self.browser.get(path)
            self.assertEqual(answer.status, 303)
            self.assertTrue(answer.headers["location"].startswith("/login"))
        answer = self.browser.get("/queue?state=hold&q=a%26b")
        self.assertEqual(
            answer.headers["location"], "/login?next=/queue%3Fstate%3Dhold%26q%3Da%2526b"
        )

    def test_without_a_session_nothing_is_changed(self) -> None:
        """A form with a good token of a visitor, and no session, does nothing."""
        entry = self.stage.message()
        for path in (*CHANGES, f"/queue/{entry.queue_id}/remove"):
            answer = self.browser.send(path)
            self.assertEqual(answer.headers["location"], "/login")
        self.assertIsNotNone(self.stage.spool.find(entry.queue_id))
        self.assertEqual(self.stage.audited, [])

    def test_a_session_somebody_made_up_is_none(self) -> None:
        """Cookies we did not give are worth nothing, whatever they hold."""
        for key in ("A" * 43, "x", "../../etc", "a" * 5000, '"><script>'):
            browser = Browser(self.stage, cookies={"m365gw": key})
            self.assertEqual(browser.get("/").status, 303)

    def test_a_planted_cookie_is_exchanged_at_sign_in(self) -> None:
        """Who planted a cookie in a browser is not signed in by it later (session fixation)."""
        planted = "B" * 43
        browser = Browser(self.stage, cookies={"m365gw": planted})
        self.assertEqual(browser.sign_in().status, 303)
        self.assertNotEqual(browser.cookies["m365gw"], planted)
        self.assertEqual(Browser(self.stage, cookies={"m365gw": planted}).get("/").status, 303)
        self.assertEqual(browser.get("/").status, 200)

    def test_sign_out_ends_the_session_itself(self) -> None:
        """The old cookie is worth nothing afterwards, wherever it was copied to."""
        browser = self.signed_in()
        copied = dict(browser.cookies)
        answer = browser.post("/logout", {"token": browser.get("/").token()})
        self.assertEqual((answer.status, answer.headers["location"]), (303, "/login"))
        self.assertEqual(Browser(self.stage, cookies=copied).get("/").status, 303)

    def test_the_cookie_is_out_of_reach(self) -> None:
        """No script sees it, and other sites do not send it with their forms."""
        browser = self.signed_in()
        self.assertIn("HttpOnly", browser.set_cookie)
        self.assertIn("SameSite=lax", browser.set_cookie)
        self.assertIn("Path=/", browser.set_cookie)
        self.assertNotIn("Domain", browser.set_cookie)

    def test_a_session_ends_when_nothing_is_done(self) -> None:
        """What a page fetches by itself is not something done."""
        browser = self.signed_in()
        for _ in range(4):
            self.stage.clock.advance(600)
            answer = browser.get("/?part=now", x_live="1")
        self.assertEqual(answer.status, 303)

    def test_a_session_goes_on_while_something_is_done(self) -> None:
        """Until its absolute end, which nothing puts off."""
        browser, statuses = self.signed_in(), []
        for _ in range(44):
            self.stage.clock.advance(1000)
            statuses.append(browser.get("/").status)
        self.assertEqual(statuses, [200] * 43 + [303])

    def test_a_session_outlasts_a_restart(self) -> None:
        """It is in the directory, by its digest; the cookie itself is not."""
        browser = self.signed_in()
        self.stage.visits._known.clear()
        self.assertEqual(browser.get("/").status, 200)
        key = browser.cookies["m365gw"]
        self.assertIsNone(self.stage.sessions.find(key))

    def test_who_is_removed_is_out_within_seconds(self) -> None:
        """So is who gets a new password."""
        browser = self.signed_in()
        self.stage.operators.remove("anna", "test")
        self.stage.clock.advance(16)
        self.assertEqual(browser.get("/").status, 303)


class TokenTests(ConsoleTestCase):
    def test_a_change_needs_the_token_of_its_session(self) -> None:
        """None, another session's, or one with a letter changed: nothing is done."""
        entry, browser = self.stage.message(), self.signed_in()
        other = self.signed_in().get("/").token()
        own = browser.get("/").token()
        for token in ("", other, own[:-1] + ("0" if own[-1] != "0" else "1"), own * 2, "ä"):
            answer = browser.post(f"/queue/{entry.queue_id}/remove", {"token": token})
            self.assertEqual(answer.status, 403)
            self.assertIn("Nothing was done", answer.body)
        self.assertIsNotNone(self.stage.spool.find(entry.queue_id))

    def test_a_change_from_another_site_does_nothing(self) -> None:
        """An Origin that is not ours is refused, even with the token."""
        entry, browser = self.stage.message(), self.signed_in()
        form = {"token": browser.get("/").token()}
        path = f"/queue/{entry.queue_id}/hold"
        for origin in ("https://evil.example", "null", "http://127.0.0.1", "http://localhost:8025"):
            self.assertEqual(browser.post(path, form, origin=origin).status, 403)
        self.assertEqual(browser.post(path, form, origin="http://127.0.0.1:8025").status, 303)

    def test_signing_in_needs_one_too(self) -> None:
        """Nobody is signed in as somebody else by a form of another site (login CSRF)."""
        form = {"login": "anna", "password": PASSWORD, "token": ""}
        self.assertEqual(self.browser.post("/login", form).status, 403)

    def test_nothing_is_changed_by_looking(self) -> None:
        """GET on what changes something is refused."""
        browser = self.signed_in()
        for path in ("/queue/flush/", *CHANGES[1:3], "/logout"):
            self.assertIn(browser.get(path).status, (404, 405))


class RoleTests(ConsoleTestCase):
    def test_a_viewer_sees_all_and_changes_nothing(self) -> None:
        """Pages show no buttons that change something, and their paths refuse."""
        self.stage.operators.add("ben", HASH, "viewer", "test")
        entry, browser = self.stage.message(), self.signed_in("ben")
        for path in ("/", "/queue", f"/queue/{entry.queue_id}"):
            answer = browser.get(path)
            self.assertEqual(answer.status, 200)
            self.assertNotIn('action="/queue/', answer.body.replace('action="/queue/bulk"', ""))
        token = browser.get("/").token()
        for path in (*CHANGES, f"/queue/{entry.queue_id}/remove"):
            answer = browser.post(path, {"token": token, "action": "remove", "id": entry.queue_id})
            self.assertEqual(answer.status, 403)
        self.assertIsNotNone(self.stage.spool.find(entry.queue_id))

    def test_another_role_holds_within_seconds(self) -> None:
        """The role is that of the directory, not that of the day of the sign-in."""
        browser = self.signed_in()
        self.stage.operators.set_role("anna", "viewer", "test")
        self.stage.clock.advance(16)
        self.assertEqual(browser.get("/").status, 303)


class AnswerTests(ConsoleTestCase):
    def test_every_answer_is_secured(self) -> None:
        """Pages, files, redirects and refusals all bring the policy, and none may be kept."""
        browser = self.signed_in()
        answers = [browser.get(path) for path in ("/", "/login", "/nothing", "/static/none")]
        browser.host = "evil.example"
        answers.append(browser.get("/"))
        for answer in answers:
            policy = answer.headers["content-security-policy"]
            self.assertIn("script-src 'self'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["referrer-policy"], "same-origin")
            self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertNotIn("server", answer.headers)

    def test_files_are_kept_by_what_they_hold(self) -> None:
        """A file asked for with its digest may be kept for ever; any other time it may not."""
        url = assets().url("console.css")
        answer = self.browser.get(url)
        self.assertEqual(answer.headers["content-type"], "text/css; charset=utf-8")
        self.assertIn("immutable", answer.headers["cache-control"])
        self.assertEqual(
            self.browser.get("/static/console.css").headers["cache-control"], "no-store"
        )
        for path in ("/static/../console.py", "/static/%2e%2e/console.py", "/static/VENDORED.md"):
            self.assertNotEqual(self.browser.get(path).status, 200)

    def test_no_page_has_inline_script_or_style(self) -> None:
        """The policy would stop it; nobody should have to find that out."""
        entry, browser = self.stage.message(), self.signed_in()
        for path in ("/", "/login", "/queue", f"/queue/{entry.queue_id}", "/nothing"):
            body = browser.get(path).body
            self.assertNotRegex(body, r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|javascript:")

    def test_an_error_of_ours_is_a_page_and_tells_nothing(self) -> None:
        """What happened is in the log; the browser gets words."""

        def fails(_: View) -> Answer:
            raise ValueError("secret thing")

        def cannot_be_shown(_: View) -> Answer:
            return page("overview.html")

        self.stage.console.get("/fails", fails)
        self.stage.console.get("/cannot-be-shown", cannot_be_shown)
        browser = self.signed_in()
        for path, kind in (("/fails", ValueError), ("/cannot-be-shown", Exception)):
            answer = browser.get(path)
            self.assertEqual(answer.status, 500)
            self.assertIn("not foreseen", answer.body)
            self.assertNotIn("secret thing", answer.body)
            self.assertEqual(len(self.flushLoggedErrors(kind)), 1)

    def test_a_refusal_is_a_page_with_its_words(self) -> None:
        """Escaped, as they may quote what was asked for."""

        def refuses(_: View) -> Answer:
            raise Refusal(409, "No <b>.", "Because.", "Do that.")

        self.stage.console.get("/refuses", refuses)
        answer = self.signed_in().get("/refuses")
        self.assertEqual(answer.status, 409)
        self.assertIn("No &lt;b&gt;.", answer.body)

    def test_an_endless_form_is_refused(self) -> None:
        """Its octets are bounded, and the number of its fields."""
        browser = self.signed_in()
        token = browser.get("/").token()
        many = browser.post("/queue/bulk", {"token": token, "id": ["x"] * 3000})
        self.assertEqual(many.status, 400)
        large = browser.post("/queue/bulk", {"token": token, "id": "x" * 70_000})
        self.assertEqual(large.status, 413)

    def test_a_part_of_a_page_is_only_that(self) -> None:
        """What is live is fetched alone; a part that is not there is refused."""
        browser = self.signed_in()
        part = browser.get("/?part=now")
        self.assertTrue(part.body.lstrip().startswith('<div id="now"'))
        self.assertEqual(browser.get("/?part=content-of-others").status, 404)

    def test_a_script_that_is_signed_out_goes_to_the_sign_in(self) -> None:
        """The whole page goes there, not the part that was fetched."""
        address = "http://127.0.0.1:8025/queue?state=hold"
        answer = self.browser.get("/queue?part=rows", hx_request="true", hx_current_url=address)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["hx-redirect"], "/login?next=/queue%3Fstate%3Dhold")
        self.assertEqual(answer.body, "")

    def test_a_script_that_does_not_say_where_it_is(self) -> None:
        """What is no address leads to the overview."""
        answer = self.browser.get("/queue", hx_request="true", hx_current_url="http://[")
        self.assertEqual((answer.status, answer.headers["hx-redirect"]), (200, "/login"))


class RedirectTests(ConsoleTestCase):
    def test_next_is_a_path_of_ours(self) -> None:
        """Nobody is led elsewhere by a link to the sign-in (open redirect)."""
        for hostile in (
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/%09/evil.example\t",
            "/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "/a b",
            "",
            "/" + "a" * 3000,
        ):
            with self.subTest(next=hostile):
                browser = Browser(self.stage)
                form = {"token": browser.get("/login").token(), "login": "anna"}
                form |= {"password": PASSWORD, "next": hostile}
                answer = browser.post("/login", form)
                place = answer.headers["location"]
                self.assertTrue(place == "/" or place.startswith("/%09/evil"), place)
                self.assertNotIn("a=b", answer.headers.get("set-cookie", ""))

    def test_next_keeps_its_query(self) -> None:
        """Who was on his way to a filtered queue gets there."""
        self.assertEqual(local_path("/queue?state=hold&q=a%26b"), "/queue?state=hold&q=a%26b")
