"""The API over the web: by a token or a session, and never from another site."""

from __future__ import annotations

import json
from typing import Any

from m365gw.admin.api import Api
from m365gw.admin.body import Nothing
from m365gw.admin.http import Caller
from m365gw.admin.web.api_door import ApiDoor
from m365gw.admin.web.bearers import Bearers
from m365gw.admin.web.visits import token_of
from m365gw.directory.api_tokens import ApiTokens
from tests.admin.web.browser import HASH, STRANGER, Answer, AtOnce, Browser, ConsoleTestCase


class ApiDoorTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        stage = self.stage
        self.callers: list[Caller] = []
        self.tokens = ApiTokens(stage.sessions._database)
        api = Api(stage.log)
        api.get("/status", lambda: {"good": True})
        api.post("/change", Nothing, self.note)
        api.ask("/look", Nothing, self.note)
        bearers = Bearers(self.tokens, AtOnce(), stage.clock, stage.log)  # type: ignore[arg-type]
        arrivals = stage.console.arrivals
        door = ApiDoor(bearers, stage.visits, arrivals)
        stage.console.beside("api", api.resource(door.who))
        stage.operators.add("ben", HASH, "viewer", "test")

    def note(self, _: Nothing, caller: Caller) -> Any:
        self.callers.append(caller)
        return {}

    def bearer(self, role: Any) -> str:
        return f"Bearer {self.tokens.add(f'of-{role}', role, 'test')}"

    def change(self, browser: Browser, path: str = "/api/v1/change", **headers: str) -> Answer:
        return browser.post(path, {}, **headers)

    def test_a_token_asks_and_changes(self) -> None:
        """As its role may; the log names it, and never shows it."""
        operator, viewer = self.bearer("operator"), self.bearer("viewer")
        self.assertEqual(self.change(self.browser, authorization=operator).status, 200)
        said = self.change(self.browser, authorization=viewer)
        self.assertEqual(said.status, 403)
        looked = self.change(self.browser, "/api/v1/look", authorization=viewer)
        got = self.browser.get("/api/v1/status", authorization=viewer)
        self.assertEqual((looked.status, got.status), (200, 200))
        self.assertEqual(
            [each.name for each in self.callers], ["token of-operator", "token of-viewer"]
        )
        self.assertNotIn(viewer.split()[1], self.stage.lines.getvalue())

    def test_nobody_is_refused_in_the_shape_of_the_api(self) -> None:
        """With what to do; no answer may be read by another origin."""
        said = self.browser.get("/api/v1/status", origin="https://evil.example")
        self.assertEqual(said.status, 401)
        self.assertEqual(set(json.loads(said.body)["error"]), {"what", "why", "fix"})
        self.assertEqual([name for name in said.headers if name.startswith("access-control")], [])

    def test_a_session_reads_but_changes_only_with_its_token(self) -> None:
        """What another site can make a browser send lacks it."""
        browser = self.signed_in()
        self.assertEqual(browser.get("/api/v1/status").status, 200)
        self.assertEqual(self.change(browser).status, 403)
        token = token_of(next(iter(browser.cookies.values())))
        good = {"x_csrf_token": token}
        self.assertEqual(self.change(browser, **good).status, 200)
        self.assertEqual(self.change(browser, **good, origin="https://evil.example").status, 403)
        self.assertEqual([each.name for each in self.callers], ["console: anna"])

    def test_a_viewer_signed_in_changes_nothing(self) -> None:
        """But reads, and asks what is asked by POST."""
        browser = self.signed_in("ben")
        token = token_of(next(iter(browser.cookies.values())))
        self.assertEqual(self.change(browser, x_csrf_token=token).status, 403)
        self.assertEqual(self.change(browser, "/api/v1/look", x_csrf_token=token).status, 200)

    def test_the_host_and_the_way_are_judged_as_for_pages(self) -> None:
        """No other name, and nothing in the clear from other machines."""
        bearer = self.bearer("operator")
        other = Browser(self.stage, host="evil.example")
        self.assertEqual(other.get("/api/v1/status", authorization=bearer).status, 421)
        far = Browser(self.stage, peer=STRANGER)
        self.assertEqual(far.get("/api/v1/status", authorization=bearer).status, 403)
        self.assertEqual(self.callers, [])
