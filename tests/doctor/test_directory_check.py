"""D18 on both databases, and with what is wrong with them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from m365gw.config.directory import Directory
from m365gw.config.settings import Settings
from m365gw.directory.schema import REVISION
from m365gw.doctor.case import Gateway
from m365gw.doctor.checks import directory
from m365gw.doctor.finding import Seen
from m365gw.doctor.tools import Facts
from tests.directory.databases import DatabaseTestCase, OnPostgresql


@attrs.define
class Tools:
    """What D18 uses: threads, the time, and what the service knows."""

    told: Facts
    reactor: Clock = attrs.field(factory=Clock)

    @property
    def calls(self) -> Tools:
        return self

    async def call(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    def facts(self) -> Facts:
        return self.told


class DirectoryCheckTests(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        state_dir = Path(self.mktemp()).absolute()
        state_dir.mkdir(mode=0o700)
        self.settings = Settings(state_dir=str(state_dir), directory=Directory(url=self.new_url()))

    def look(self, facts: Facts | None = None) -> Seen:
        """What D18 says."""
        tools: Any = Tools(facts or Facts())
        return self.successResultOf(
            Deferred.fromCoroutine(directory.look(Gateway(self.settings, tools)))
        )

    def test_all_is_well(self) -> None:
        """Schema, secrets, and that the service is up to date."""
        seen = self.look(Facts(True, revision=0))
        self.assertEqual(seen.result, "ok", seen)
        self.assertIn(f"schema {REVISION}, 0 secrets", seen.came_back)
        self.assertNotIn("the service knows", seen.came_back)

    def test_a_service_that_is_behind(self) -> None:
        """One that has not looked yet is only told; one that cannot read is a warning."""
        seen = self.look(Facts(True, revision=7))
        self.assertEqual(seen.result, "ok")
        self.assertIn("revision 0, of which the service knows 7", seen.came_back)
        seen = self.look(Facts(True, revision=None))
        assert seen.diagnosis is not None
        self.assertEqual((seen.result, seen.diagnosis.key), ("warn", "directory-entries-older"))


class OnPostgresqlTests(OnPostgresql, DirectoryCheckTests):
    def test_another_clock(self) -> None:
        """The server's clock is compared with ours."""
        self.assertIn("s from ours", self.look().came_back)
        now = time.time()
        self.patch(directory, "_now", lambda: now + 3600)
        seen = self.look()
        assert seen.diagnosis is not None
        self.assertEqual((seen.result, seen.diagnosis.key), ("warn", "directory-clock"))
        self.assertIn("its clock is -3", seen.came_back)

    def test_no_server(self) -> None:
        """That is a failure, and says which."""
        url = "postgresql://gateway@/x?host=/nowhere"
        self.settings = attrs.evolve(self.settings, directory=Directory(url=url))
        seen = self.look()
        assert seen.diagnosis is not None
        self.assertEqual((seen.result, seen.diagnosis.key), ("fail", "directory-unreachable"))
