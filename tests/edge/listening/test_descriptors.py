"""The limit of open files."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.listening import descriptors

NEEDED = 2 * 1000 + descriptors.OF_OURS


class AllowTests(SynchronousTestCase):
    """What the process may open is raised as far as it goes."""

    def allow(self, soft: int, hard: int) -> tuple[str, list[tuple[int, int]]]:
        """The words for a thousand connections, and the limits that were set."""
        limits: list[tuple[int, int]] = []
        self.patch(resource, "getrlimit", lambda kind: (soft, hard))
        self.patch(resource, "setrlimit", lambda kind, limit: limits.append(limit))
        return descriptors.allow(1000), limits

    def test_soft_limit_is_raised(self) -> None:
        """The usual 1,024 of a service are not enough, and more may be had for the asking."""
        self.assertEqual(self.allow(1024, 524_288), ("", [(NEEDED, 524_288)]))
        infinite = resource.RLIM_INFINITY
        self.assertEqual(self.allow(1024, infinite), ("", [(NEEDED, infinite)]))

    def test_enough_is_left_alone(self) -> None:
        """A limit is never lowered."""
        self.assertEqual(self.allow(20_000, 20_000), ("", []))
        self.assertEqual(self.allow(resource.RLIM_INFINITY, resource.RLIM_INFINITY), ("", []))

    def test_too_few_are_said(self) -> None:
        """The operator learns how many there are, how many are needed, and where to change it."""
        words, limits = self.allow(1024, 1500)
        self.assertEqual(limits, [(1500, 1500)])
        for part in ("1500", str(NEEDED), "LimitNOFILE", "connection_limit"):
            self.assertIn(part, words)
