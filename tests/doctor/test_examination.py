"""Tests of how checks are run, without any network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.doctor.examination import Check, carry_out, in_parallel
from m365gw.doctor.finding import Finding, Seen, bad, good, skipped
from m365gw.microsoft.diagnosis import Diagnosis

BROKEN = Diagnosis("broken", "It is broken.", "So it is.", "Mend it.", "operator")


def saying(seen: Seen) -> Callable[[None], Awaitable[Seen]]:
    """A check that sees this."""

    async def look(_: None) -> Seen:
        return seen

    return look


OK = saying(good("", ""))


class CarryOutTests(SynchronousTestCase):
    def run_with(self, *checks: Check[None], longest: float = 60.0) -> dict[str, Finding]:
        self.clock = Clock()
        done = Deferred.fromCoroutine(carry_out(checks, None, self.clock, longest=longest))
        self.clock.advance(longest)
        found: Any = self.successResultOf(done)
        return dict(found)

    def test_what_depends_is_skipped_for_the_root(self) -> None:
        """Also what depends on something skipped names what failed first."""
        found = self.run_with(
            Check("D01", "", saying(bad("", "", BROKEN))),
            Check("D02", "", OK, ("D01",)),
            Check("D03", "", OK, ("D02",)),
            Check("D04", "", OK),
        )
        self.assertEqual(
            [one.result for one in found.values()], ["fail", "skipped", "skipped", "ok"]
        )
        self.assertEqual(found["D03"].seen.skipped_because, "skipped because D01 failed")

    def test_what_was_not_needed_is_inherited(self) -> None:
        """Where nothing failed, the reason itself is passed on."""
        found = self.run_with(
            Check("D01", "", saying(skipped("not needed"))), Check("D02", "", OK, ("D01",))
        )
        self.assertEqual(found["D02"].seen.skipped_because, "not needed")

    def test_findings_are_sorted_by_id(self) -> None:
        """In whatever order they were made."""
        found = self.run_with(Check("D03", "", OK), Check("D02", "", OK))
        self.assertEqual(list(found), ["D02", "D03"])

    def test_a_check_that_hangs_is_a_finding(self) -> None:
        """An examination always ends."""

        async def hang(_: None) -> Seen:
            await Deferred()
            raise AssertionError

        found = self.run_with(Check("D01", "", hang), longest=5.0)
        self.assertEqual(found["D01"].seen.came_back, "no result within 5 seconds")

    def test_a_check_that_breaks_is_a_finding(self) -> None:
        """By its kind only: its text might hold a secret."""

        async def break_down(_: None) -> Seen:
            raise RuntimeError("Bearer eyJ")

        found = self.run_with(Check("D01", "", break_down))
        self.assertEqual(found["D01"].seen.came_back, "RuntimeError")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ParallelTests(SynchronousTestCase):
    def test_so_many_at_a_time(self) -> None:
        """The others wait for their turn, and all findings come in order."""
        under_way: list[Deferred[None]] = []

        async def examine(item: int) -> dict[str, Finding]:
            turn: Deferred[None] = Deferred()
            under_way.append(turn)
            await turn
            return {str(item): Finding(str(item), "", good("", ""))}

        done = Deferred.fromCoroutine(in_parallel([1, 2, 3], examine, at_a_time=2))
        self.assertEqual(len(under_way), 2)
        under_way[1].callback(None)
        self.assertEqual(len(under_way), 3)
        under_way[0].callback(None)
        under_way[2].callback(None)
        self.assertEqual([list(each) for each in self.successResultOf(done)], [["1"], ["2"], ["3"]])
