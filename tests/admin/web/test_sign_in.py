"""Signing in: wrong passwords wait, right ones do not, and nobody can lock out anybody."""

from __future__ import annotations

from twisted.internet.address import IPv4Address

from tests.admin.web.browser import HASH, PASSWORD, Browser, ConsoleTestCase


class SignInTests(ConsoleTestCase):
    def test_wrong_login_and_wrong_password_look_alike(self) -> None:
        """Nobody learns who there is."""
        answers = [self.browser.sign_in(login, "wrong") for login in ("anna", "nobody", "")]
        self.assertEqual({answer.status for answer in answers}, {401})
        bodies = {
            answer.body.replace(answer.token(), "").replace(f'value="{login}"', "")
            for answer, login in zip(answers, ("anna", "nobody", ""), strict=True)
        }
        self.assertEqual(len({_alert(body) for body in bodies}), 1)

    def test_a_wrong_password_is_logged_and_not_shown(self) -> None:
        """Who tried it from where is in the log; what was typed is nowhere."""
        answer = self.browser.sign_in("anna", "hunter2-typed")
        (event,) = [one for one in self.stage.events() if one["event"] == "web.login.failed"]
        self.assertEqual((event["login"], event["client"]), ("anna", "127.0.0.1"))
        self.assertNotIn("hunter2", answer.body + self.stage.lines.getvalue())

    def test_wrong_passwords_wait_longer_each_time(self) -> None:
        """The answer to each other one takes twice as long."""
        times = []
        for number in range(4):
            began = self.stage.clock.seconds()
            self.browser.sign_in("anna", f"wrong {number}")
            times.append(self.stage.clock.seconds() - began)
        self.assertEqual(times, [1, 2, 4, 8])

    def test_strangers_cannot_lock_out_an_operator(self) -> None:
        """Where she signed in before she is let in at once, whatever others do to her login."""
        self.assertEqual(self.signed_in().get("/").status, 200)
        for number in range(40):
            peer = IPv4Address("TCP", f"198.51.100.{number}", 1)
            stranger = Browser(self.stage, peer=peer, host="localhost")
            stranger.peer = peer
            form = {"login": "anna", "password": f"guess {number}"}
            body = "&".join(f"{name}={value}" for name, value in form.items()).encode()
            stranger.begin(stranger.head("POST", "/login", len(body), {}) + body)
        began = self.stage.clock.seconds()
        self.assertEqual(self.browser.sign_in().status, 303)
        self.assertEqual(self.stage.clock.seconds(), began)

    def test_a_new_operator_may_sign_in_at_once(self) -> None:
        """Who is added, or gets a new password, needs no restart."""
        self.assertEqual(self.browser.sign_in("ben", PASSWORD).status, 401)
        self.stage.operators.add("ben", HASH, "viewer", "test")
        self.assertEqual(Browser(self.stage).sign_in("ben").status, 303)

    def test_where_and_when_is_noted(self) -> None:
        """So it is known after a restart where an operator usually is."""
        self.signed_in()
        (anna,) = self.stage.operators.all()
        self.assertEqual(anna.last_address, "127.0.0.1")
        self.assertGreater(anna.last_at, 0)

    def test_endless_passwords_are_not_hashed(self) -> None:
        """They are wrong at once."""
        began = self.stage.clock.seconds()
        self.assertEqual(self.browser.sign_in("anna", "x" * 5000).status, 401)
        self.assertEqual(self.stage.clock.seconds(), began)

    def test_the_directory_is_away(self) -> None:
        """Is said as such, and is no wrong password."""
        from m365gw.directory.database import DirectoryError

        def away() -> None:
            raise DirectoryError("The database does not answer.")

        page = self.browser.get("/login")
        self.patch(self.stage.operators, "all", away)
        form = {"token": page.token(), "login": "anna", "password": PASSWORD}
        answer = self.browser.post("/login", form)
        self.assertEqual(answer.status, 503)
        self.assertIn("The database does not answer.", answer.body)


def _alert(body: str) -> str:
    return body.partition('role="alert">')[2].partition("</div>")[0]
