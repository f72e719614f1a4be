"""The registry in the API: orders are typed, refused in words, and say who wants them."""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.registry_api import add_registry
from m365gw.config.problems import Problem
from m365gw.directory.database import DirectoryError
from m365gw.directory.orders import ORDERS, AddPassword, Order, RemoveClient
from m365gw.directory.registry import Rejected
from m365gw.directory.vault import VaultError
from tests.admin.requests import Stage


@define
class Desk:
    """Notes what it is told to do, or fails as it is told."""

    failure: Exception | None = None
    told: list[tuple[Order, str]] = field(factory=list)

    async def mailboxes(self) -> list[dict[str, Any]]:
        return [{"address": "relay@contoso.com"}]

    def clients(self) -> list[dict[str, Any]]:
        return [{"login": "erp"}]

    def networks(self) -> list[dict[str, Any]]:
        return []

    def listeners(self) -> list[dict[str, Any]]:
        return [{"name": "submission"}]

    def single_settings(self) -> list[dict[str, Any]]:
        return [{"key": "hostname", "value": "gw"}]

    async def carry_out(self, order: Order, by: str) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        self.told.append((order, by))
        return {"done": True}


class RegistryApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.desk = Desk()
        add_registry(self.stage.api, self.desk)

    def post(self, path: str, **body: object) -> tuple[int, Any]:
        answered = self.stage.ask("POST", f"/api/v1{path}", json.dumps(body).encode())
        return answered.status, answered.body

    def test_listings(self) -> None:
        """What there is, each under its path."""
        for path, rows in (
            ("mailboxes", [{"address": "relay@contoso.com"}]),
            ("clients", [{"login": "erp"}]),
            ("networks", []),
            ("listeners", [{"name": "submission"}]),
            ("settings", [{"key": "hostname", "value": "gw"}]),
        ):
            answered = self.stage.ask("GET", f"/api/v1/{path}")
            self.assertEqual((answered.status, answered.body), (200, rows))

    def test_orders(self) -> None:
        """A body becomes an order, and who asked is told with it."""
        self.assertEqual(self.post("/clients/remove", login="erp"), (200, {"done": True}))
        values = {"label": "new", "networks": ["10.0.0.0/8"]}
        self.post("/clients/passwords/add", login="erp", values=values)
        by = self.stage.caller.name
        self.assertEqual(
            self.desk.told, [(RemoveClient("erp"), by), (AddPassword("erp", values), by)]
        )

    def test_bodies_of_another_shape(self) -> None:
        """They are refused by every order before anything is done."""
        for path in ORDERS:
            for body in (
                {"everything": True},
                {"values": [1], "address": 1, "login": 1, "cidr": 1},
            ):
                with self.subTest(path=path, body=body):
                    self.assertEqual(self.post(path, **body)[0], 400)
        self.assertEqual(self.desk.told, [])

    def test_change_that_makes_no_sense(self) -> None:
        """Every problem is in the answer, also each by itself."""
        problem = Problem("client erp", "has no password", "Make one.")
        self.desk.failure = Rejected([problem])
        status, said = self.post("/clients/add", values={})
        self.assertEqual(status, 422)
        self.assertIn("client erp: has no password.", said["error"]["why"])
        self.assertEqual(
            said["problems"],
            [{"place": "client erp", "fault": "has no password", "remedy": "Make one."}],
        )

    def test_change_that_cannot_be_kept(self) -> None:
        """It may be another time: 503, in the words of the directory."""
        for failure in (DirectoryError("The disk is full."), VaultError("The key is lost.")):
            self.desk.failure = failure
            status, said = self.post("/clients/add", values={})
            self.assertEqual((status, said["error"]["why"]), (503, str(failure)))
