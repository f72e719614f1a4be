"""The queue's endpoints: bounded, typed, a result for each message."""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.queue_api import MOST_IDS, add_queue
from m365gw.spool.health import SpoolError
from m365gw.spool.operations import Action, Done, Result
from tests.admin.requests import Stage

ID = "4Q7BX2K9M3PDW"


@define
class Queue:
    """Notes what it is told to do."""

    told: list[tuple[Action, Sequence[str], str]] = field(factory=list)
    is_broken: bool = False

    def active(self) -> list[str]:
        return [ID]

    async def act(self, action: Action, queue_ids: Sequence[str], reason: str = "") -> list[Result]:
        self.told.append((action, queue_ids, reason))
        return [Result(each, Done.LATER, "it flies") for each in queue_ids]

    async def flush(self, mailbox: str = "") -> int:
        if self.is_broken:
            raise SpoolError(OSError(5, "Input/output error"))
        return len(mailbox)


class QueueApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.queue = Queue()
        add_queue(self.stage.api, self.queue)

    def post(self, path: str, **body: object) -> tuple[int, object]:
        answered = self.stage.ask("POST", f"/api/v1/queue/{path}", json.dumps(body).encode())
        return answered.status, answered.body

    def test_what_is_in_flight(self) -> None:
        """The ids of what is being delivered."""
        answered = self.stage.ask("GET", "/api/v1/queue/active")
        self.assertEqual((answered.status, answered.body), (200, {"active": [ID]}))

    def test_each_action_has_its_path(self) -> None:
        """All actions are there, and each message has its own result."""
        one = {"queue_id": ID, "result": "later", "words": "it flies"}
        for action in Action:
            said = self.post(action.value, queue_ids=[ID], reason="why")
            self.assertEqual(said, (200, {"results": [one]}))
            self.assertEqual(self.queue.told.pop(), (action, (ID,), "why"))

    def test_too_many_at_a_time(self) -> None:
        """More ids than fit in a short while are refused before any is touched."""
        status, _ = self.post("remove", queue_ids=[ID] * (MOST_IDS + 1))
        self.assertEqual((status, self.queue.told), (400, []))

    def test_what_is_no_list_of_ids(self) -> None:
        """A body of another shape is refused before anything is touched."""
        for body in ({}, {"queue_ids": ID}, {"queue_ids": [1]}, {"queue_ids": [], "all": True}):
            self.assertEqual(self.post("remove", **body)[0], 400, body)
        self.assertEqual(self.queue.told, [])

    def test_flush(self) -> None:
        """It tells how many go; a disk that fails is told in words."""
        self.assertEqual(self.post("flush", mailbox="abc"), (200, {"released": 3}))
        self.queue.is_broken = True
        status, said = self.post("flush")
        self.assertEqual(status, 503)
        self.assertIn("Input/output error", json.dumps(said))
