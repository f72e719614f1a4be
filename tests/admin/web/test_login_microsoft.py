"""Operators who sign in at Microsoft: who they are by their password, and nobody else."""

from __future__ import annotations

from typing import Any

import attrs

from tests.admin.web.browser import HASH, Browser
from tests.admin.web.own_stage import JOE, OwnTestCase


class OperatorTests(OwnTestCase):
    def setUp(self) -> None:
        super().setUp()
        configured = self.stage.configured
        web = attrs.evolve(configured.web, sign_in="Contoso account")
        self.stage.configured = attrs.evolve(configured, web=web)
        self.configure(enabled=False)
        self.stage.operators.add(JOE, HASH, "viewer", "test")

    def enter(self, browser: Browser, wanted: str = "") -> Any:
        """Off to Microsoft and back."""
        self.assertIn("/login/microsoft", browser.get("/login").body)
        state = self.left(browser.get(f"/login/microsoft?next={wanted}"))["state"]
        return browser.get(self.back(state))

    def test_who_is_an_operator(self) -> None:
        """Has a session of the console, with the role of that operator; no mailbox is made."""
        planted = "B" * 43
        self.browser.cookies["__Host-m365gw"] = planted
        answer = self.enter(self.browser, "/login?next=/queue")
        self.assertEqual((answer.status, answer.headers["location"]), (303, "/login?next=/queue"))
        self.assertNotEqual(self.browser.cookies["__Host-m365gw"], planted)
        self.assertEqual(self.browser.get("/login").headers["location"], "/")
        again = self.browser.get("/login/microsoft?next=/queue")
        self.assertEqual(again.headers["location"], "/queue")
        self.assertEqual(self.stage.settings().mailbox, ())
        self.assertIn("at Microsoft as viewer", self.stage.lines.getvalue())

    def test_who_is_none(self) -> None:
        """Is told so, and has no session."""
        self.stage.entra.user = "eve@contoso.com"
        answer = self.enter(self.browser)
        self.assertEqual(answer.status, 403)
        self.assertIn("is no operator", answer.body)
        self.assertEqual(self.browser.get("/login").status, 200)

    def test_another_browser(self) -> None:
        """Cannot bring the answer, and one of /me is no answer for the console."""
        state = self.left(self.browser.get("/login/microsoft"))["state"]
        self.assertEqual(self.new_browser().get(self.back(state)).status, 403)
        self.configure(enabled=True)
        person = self.signed_in()
        self.assertEqual(person.get("/login").status, 200)

    def test_where_it_leads(self) -> None:
        """To a page of the console, and to no other site."""
        for wanted in ("//evil.example", "https://evil.example", "/me", "/auth/callback"):
            answer = self.enter(self.new_browser(), wanted)
            self.assertEqual(answer.headers["location"], "/")

    def test_not_by_default(self) -> None:
        """Without the setting there is no button and no page."""
        web = attrs.evolve(self.stage.configured.web, sign_in="")
        self.stage.configured = attrs.evolve(self.stage.configured, web=web)
        self.assertEqual(self.browser.get("/login/microsoft").status, 404)
        self.assertNotIn("/login/microsoft", self.browser.get("/login").body)
