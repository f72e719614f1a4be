"""What people do with their own mailbox: passwords, test mails, settings to copy, leaving."""

from __future__ import annotations

import re
from datetime import date

from m365gw.admin.web.visits import token_of
from m365gw.directory import passwords
from tests.admin.web.browser import Browser
from tests.admin.web.own_stage import JOE, OwnTestCase

EVE = "eve@contoso.com"
SECRET = re.compile(r'id="password">([a-z2-9]{32})<')


class OwnPasswordTests(OwnTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.joe = self.signed_in()

    def make(self, browser: Browser | None = None, label: str = "Printer") -> str:
        answer = self.send(browser or self.joe, "/me/passwords", label=label)
        found = SECRET.search(answer.body)
        assert found is not None, answer.body
        return found[1]

    def rows(self, login: str = JOE) -> list[dict[str, str]]:
        for row in self.stage.clients():
            if row["login"] == login:
                found: list[dict[str, str]] = row["passwords"]
                return found
        return []

    def test_it_is_shown_once(self) -> None:
        """The page that answers has it, with settings to copy; no other page has."""
        made = self.make()
        self.assertNotIn(made, self.joe.get("/me").body)
        (client,) = self.stage.settings().client
        self.assertTrue(passwords.verify(client.password[0].hash, made))
        self.assertEqual((client.login, client.senders, client.mailbox), (JOE, (JOE,), JOE))

    def test_settings_hold_what_is_true(self) -> None:
        """Host, port and TLS of the listener, the login, and the password in its place."""
        answer = self.send(self.joe, "/me/passwords", label="Web site")
        found = SECRET.search(answer.body)
        assert found is not None
        for text in (
            "smtp.contoso.com:587",
            f"\nSMTP_PASSWORD={found[1]}\n",
            "SMTP_STARTTLS=true",
            f"--auth-user {JOE}",
            "tls_starttls on\n",
        ):
            self.assertIn(text, answer.body)
        self.assertIn("YOUR-PASSWORD", self.joe.get("/me").body)

    def test_there_is_a_bound(self) -> None:
        """Three, unless the operator says otherwise; and names are short, and said safely."""
        for label in ("<b>1</b>", "2", ""):
            self.make(label=label)
        page = self.joe.get("/me").body
        self.assertIn("&lt;b&gt;1&lt;/b&gt;", page)
        self.assertNotIn("Make a password", page)
        self.assertEqual(self.send(self.joe, "/me/passwords", label="4").status, 409)
        self.assertEqual([each["label"] for each in self.rows()], ["<b>1</b>", "2", "Password"])
        self.assertEqual(self.send(self.joe, "/me/passwords", label="x" * 41).status, 400)

    def test_they_end_when_the_operator_says_so(self) -> None:
        """By the day, from the day they were made."""
        self.configure(password_lifetime=180 * 86400.0)
        self.make()
        today = date.fromisoformat(self.rows()[0]["created"])
        ends = date.fromisoformat(self.rows()[0]["expires"])
        self.assertEqual((ends - today).days, 180)

    def test_a_new_one_in_the_place_of_an_old_one(self) -> None:
        """The old one is good for nothing; the name stays; also where no more are allowed."""
        old = [self.make(label=label) for label in ("a", "b", "c")]
        (first, _, _) = self.rows()
        answer = self.send(self.joe, f"/me/passwords/{first['id']}/reset")
        found = SECRET.search(answer.body)
        assert found is not None
        stored = [each.hash for each in self.stage.settings().client[0].password]
        self.assertIsNone(passwords.matching(stored, old[0]))
        self.assertIsNotNone(passwords.matching(stored, found[1]))
        self.assertEqual(sorted(each["label"] for each in self.rows()), ["a", "b", "c"])

    def test_removed(self) -> None:
        """The last one takes the login along."""
        self.make(label="a")
        self.make(label="b")
        for _ in range(2):
            answer = self.send(self.joe, f"/me/passwords/{self.rows()[0]['id']}/remove")
            self.assertEqual(answer.headers["location"], "/me")
        self.assertEqual(self.stage.settings().client, ())
        self.assertIn("is removed", self.joe.get("/me").body)

    def test_those_of_others_are_out_of_reach(self) -> None:
        """Somebody who knows the id of another one's password can do nothing with it."""
        self.make()
        theirs = self.rows()[0]["id"]
        eve = self.signed_in(EVE, "o2")
        self.make(eve)
        for action in ("reset", "remove"):
            self.assertEqual(self.send(eve, f"/me/passwords/{theirs}/{action}").status, 404)
        self.assertEqual(self.rows()[0]["id"], theirs)

    def test_a_login_of_the_operator(self) -> None:
        """One of that name that was not made here is told of, and not touched."""
        table = {"login": JOE, "senders": ["*"], "mailbox": JOE, "password_hash": _hash()}
        self.stage.registry.add_client(table, "root")
        page = self.joe.get("/me")
        self.assertIn("was not made here", page.body)
        self.assertEqual(self.send(self.joe, "/me/passwords", label="x").status, 409)
        self.assertEqual(len(self.rows()), 1)

    def test_senders_an_operator_gave_stay(self) -> None:
        """Aliases are for the operator to add, and a new password or sign-in keeps them."""
        self.make()
        self.stage.registry.change_client(JOE, {"senders": [JOE, "sales@contoso.com"]}, "root")
        self.make(label="b")
        self.sign_in(self.joe)
        self.assertEqual(self.stage.settings().client[0].senders, (JOE, "sales@contoso.com"))

    def test_every_change_is_audited(self) -> None:
        """By whom, and what."""
        self.make()
        self.send(self.joe, f"/me/passwords/{self.rows()[0]['id']}/remove")
        changes = [each for each in self.stage.audit.changes(10, None) if each.by != "test"]
        self.assertEqual({each.by for each in changes}, {f"self-service {JOE}"})
        self.assertEqual(
            [each.action for each in changes], ["client.removed", "client.added", "mailbox.added"]
        )


class GateTests(OwnTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.joe = self.signed_in()
        self.paths = [
            "/me/passwords",
            "/me/passwords/abc/reset",
            "/me/passwords/abc/remove",
            "/me/test",
            "/me/leave",
        ]

    def changes(self) -> int:
        return len(self.stage.audit.changes(100, None))

    def test_without_a_session(self) -> None:
        """Nothing is shown but the way to sign in, and nothing is done."""
        before, browser = self.changes(), self.new_browser()
        for path in self.paths:
            browser.get("/me")  # gives a cookie, and so what a form of that browser has to hold
            token = token_of(browser.cookies["__Host-m365gw-me"])
            answer = browser.post(path, {"token": token, "label": "x"})
            self.assertEqual((answer.status, answer.headers["location"]), (303, "/me"))
        self.assertEqual(browser.get("/me/test/4Q7BX2K9M3PD1").status, 303)
        self.assertEqual((self.changes(), self.stage.tests), (before, []))

    def test_without_the_token_of_the_page(self) -> None:
        """A form of another site does nothing, whether it has none, or that of somebody else."""
        before, stranger = self.changes(), self.new_browser()
        foreign = stranger.get("/me")
        for path in (*self.paths, "/me/sign-out"):
            for token in ("", "0" * 64):
                self.assertEqual(self.joe.post(path, {"token": token}).status, 403)
            form = {"token": self.joe.get("/me").token()}
            answer = self.joe.post(path, form, origin="https://evil.example")
            self.assertEqual(answer.status, 403)
        self.assertEqual(foreign.status, 200)
        self.assertEqual((self.changes(), self.stage.tests), (before, []))
        self.assertIn("SMTP passwords", self.joe.get("/me").body)

    def test_nothing_is_changed_by_looking(self) -> None:
        """GET on what changes something is refused."""
        for path in (*self.paths[:3], "/me/leave", "/me/sign-out"):
            self.assertIn(self.joe.get(path).status, (404, 405))

    def test_sign_out(self) -> None:
        """Ends the session itself."""
        copied = dict(self.joe.cookies)
        self.assertEqual(self.send(self.joe, "/me/sign-out").headers["location"], "/me")
        self.assertNotIn("SMTP passwords", self.new_browser(cookies=copied).get("/me").body)

    def test_sessions_end(self) -> None:
        """When nothing is done for half an hour."""
        self.stage.clock.advance(1801)
        self.assertNotIn("SMTP passwords", self.joe.get("/me").body)

    def test_who_is_denied_later(self) -> None:
        """Is out at once, whatever is asked."""
        token = self.joe.get("/me").token()
        self.configure(deny=(JOE,))
        answer = self.joe.post("/me/passwords", {"token": token, "label": "x"})
        self.assertEqual(answer.status, 303)
        self.assertEqual(self.stage.settings().client, ())
        self.configure(deny=())
        self.assertNotIn("SMTP passwords", self.joe.get("/me").body)

    def test_a_mailbox_that_was_removed(self) -> None:
        """Its person has to sign in again, which makes it anew."""
        self.stage.registry.remove_mailbox(JOE, "root")
        self.assertNotIn("SMTP passwords", self.joe.get("/me").body)
        self.signed_in()
        self.assertEqual(len(self.stage.settings().mailbox), 1)


class TestMailTests(OwnTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.joe = self.signed_in()

    def test_it_goes_to_oneself(self) -> None:
        """From and to the own address, by the own mailbox, whatever the form says."""
        answer = self.send(self.joe, "/me/test", mailbox="relay@contoso.com", recipients="a@b.c")
        (mail,) = self.stage.tests
        self.assertEqual((mail.mailbox, mail.sender, mail.recipients), (JOE, JOE, (JOE,)))
        page = self.joe.get(answer.headers["location"]).body
        self.assertIn("Microsoft took it.", page)
        self.assertIn("&lt;b&gt;250 OK", page)

    def test_those_of_others(self) -> None:
        """Are not followed."""
        path = self.send(self.joe, "/me/test").headers["location"]
        self.assertEqual(self.signed_in(EVE, "o2").get(path).status, 404)

    def test_there_is_a_bound(self) -> None:
        """Ten in an hour."""
        statuses = [self.send(self.joe, "/me/test").status for _ in range(11)]
        self.assertEqual(statuses, [303] * 10 + [429])


class LeavingTests(OwnTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.joe = self.signed_in()
        self.send(self.joe, "/me/passwords", label="x")

    def test_all_is_removed(self) -> None:
        """Passwords, mailbox and sign-in, at once; sessions in other browsers too."""
        other = self.signed_in()
        self.assertIn("is deleted", self.send(self.joe, "/me/leave").body)
        settings = self.stage.settings()
        self.assertEqual((settings.mailbox, settings.client), ((), ()))
        self.assertIsNone(self.stage.vault.load(f"sign-in {JOE}"))
        self.assertNotIn("SMTP passwords", other.get("/me").body)

    def test_mail_that_waits_is_sent_before(self) -> None:
        """The passwords go at once, the sign-in when nothing waits any more."""
        self.stage.waits[JOE] = 1
        self.assertIn("still sent", self.send(self.joe, "/me/leave").body)
        self.assertEqual(self.stage.settings().client, ())
        self.sweep()
        self.assertEqual(len(self.stage.settings().mailbox), 1)
        self.stage.waits.clear()
        self.sweep()
        self.assertEqual(self.stage.settings().mailbox, ())

    def test_who_comes_back_before_that(self) -> None:
        """Stays."""
        self.stage.waits[JOE] = 1
        self.send(self.joe, "/me/leave")
        self.signed_in()
        self.stage.waits.clear()
        self.sweep()
        self.assertEqual(len(self.stage.settings().mailbox), 1)

    def sweep(self) -> None:
        sweeping = self.stage.service.sweep()
        self.assertRaises(StopIteration, sweeping.send, None)


def _hash() -> str:
    return passwords.generate()[1]
