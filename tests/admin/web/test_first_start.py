"""The first start: who may become the first operator, and what is shown to nobody else."""

from __future__ import annotations

import re

from m365gw.admin.web.first_start import MINUTE, TRIES
from m365gw.config.settings import Listener, Settings
from m365gw.directory.database import Database, DirectoryError
from tests.admin.web.browser import STRANGER, Answer, Browser, ConsoleTestCase

PASSWORD = "nobody-guesses-this"


class FirstStartTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stage.operators.remove("anna", "test")
        self.stage.first.begin(Settings())

    @property
    def once(self) -> str:
        """The one-time password, as the log has it."""
        text = "\n".join(str(each.get("note", "")) for each in self.stage.events())
        [found] = re.findall(r"One-time password:\s+(\S+)", text)
        return str(found)

    def begin(self, browser: Browser, once: str, login: str = "bert", **form: str) -> Answer:
        token = browser.get("/setup").token()
        said = {"once": once, "login": login, "password": PASSWORD, "again": PASSWORD, **form}
        return browser.post("/setup/administrator", {"token": token, **said})

    def test_every_page_leads_to_the_set_up(self) -> None:
        """There is nobody yet who could sign in."""
        for path in ("/", "/queue", "/login", "/setup/entrance", "/settings"):
            self.assertEqual(self.browser.get(path).headers["location"], "/setup", path)
        self.assertEqual(self.browser.get("/setup").status, 200)

    def test_the_password_makes_one_operator(self) -> None:
        """However it is grouped; he is signed in with a new cookie, and it is over."""
        token = self.browser.get("/setup").token()
        before = dict(self.browser.cookies)
        answer = self.begin(self.browser, self.once.upper().replace("-", " "))
        self.assertEqual(answer.headers["location"], "/setup/entrance")
        self.assertNotEqual(self.browser.cookies, before)
        self.assertEqual(self.browser.get("/setup/entrance").status, 200)
        late = Browser(self.stage)
        late.cookies = before
        form = {"token": token, "once": self.once, "login": "eve"}
        form |= {"password": PASSWORD, "again": PASSWORD}
        self.assertEqual(late.post("/setup/administrator", form).status, 410)
        self.assertEqual([each.login for each in self.stage.operators.all()], ["bert"])
        self.assertEqual(
            Browser(self.stage).get("/setup").headers["location"], "/login?next=/setup"
        )

    def test_an_operator_made_by_a_command_ends_it(self) -> None:
        """Also when the page was open before."""
        self.stage.operators.add("carl", "x", "operator", "root")
        self.assertEqual(self.begin(self.browser, self.once).status, 410)
        self.assertEqual(self.begin_late().headers["location"], "/login?next=/setup")

    def begin_late(self) -> Answer:
        return Browser(self.stage).get("/setup")

    def test_a_configuration_ends_it(self) -> None:
        """A gateway that somebody has configured is not set up by whoever comes."""
        self.stage.first.apply(Settings(listener=(Listener(name="in", endpoint="tcp:25"),)))
        self.assertEqual(self.begin_late().headers["location"], "/login?next=/setup")
        self.assertEqual(self.stage.operators.all(), [])

    def test_wrong_passwords(self) -> None:
        """Are few a minute from one address; another address still may try."""
        statuses = [self.begin(self.browser, "aaaa-bbbb").status for _ in range(TRIES + 1)]
        self.assertEqual(statuses, [401] * TRIES + [429])
        self.assertEqual(self.begin(self.browser, self.once).status, 429)
        self.stage.clock.advance(MINUTE)
        self.assertEqual(self.begin(self.browser, self.once).status, 303)

    def test_what_is_typed_wrong(self) -> None:
        """Stands at its field, and costs no try."""
        for form, words in (
            ({"again": "another"}, "differs"),
            ({"password": "short", "again": "short"}, "at least"),
            ({"login": "a b"}, "without a space"),
        ):
            answer = self.begin(self.browser, self.once, **form)
            self.assertEqual((answer.status, words in answer.body), (422, True))
        self.assertEqual(self.stage.operators.all(), [])

    def test_forms_of_others(self) -> None:
        """Without the token of the page nothing happens."""
        answer = self.browser.post("/setup/administrator", {"once": self.once, "login": "eve"})
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.stage.operators.all(), [])

    def test_strangers(self) -> None:
        """Plain http is for this machine, also now."""
        self.assertEqual(Browser(self.stage, peer=STRANGER).get("/setup").status, 403)

    def test_a_directory_that_cannot_be_written(self) -> None:
        """The password stays good for when it can."""
        once = self.once

        def refuse(*_: object) -> None:
            raise DirectoryError("state.db cannot be written: Read-only file system")

        self.patch(self.stage.operators, "add", refuse)
        answer = self.begin(self.browser, once)
        self.assertEqual((answer.status, "Read-only" in answer.body), (503, True))
        self.assertTrue(self.stage.first.is_open)

    def test_it_is_printed_once(self) -> None:
        """Nothing that happens later shows it again."""
        once = self.once
        self.begin(self.browser, "aaaa-bbbb")
        self.begin(self.browser, once)
        self.assertEqual(self.stage.lines.getvalue().count(once), 1)
        self.assertNotIn(PASSWORD, self.stage.lines.getvalue())


class LaterStartTests(ConsoleTestCase):
    def test_where_somebody_may_sign_in(self) -> None:
        """No password is made, and the set-up is a page like others."""
        self.stage.first.begin(Settings())
        self.assertFalse(self.stage.first.is_open)
        self.assertEqual(self.browser.get("/setup").headers["location"], "/login?next=/setup")

    def test_where_the_directory_cannot_be_asked(self) -> None:
        """Nobody is let in because nobody is known."""

        def refuse(*_: object) -> None:
            raise DirectoryError("no database")

        self.patch(Database, "reading", refuse)
        self.stage.first.begin(Settings())
        self.assertFalse(self.stage.first.is_open)
