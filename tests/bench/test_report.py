"""The table."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from bench.measure import Figures
from bench.report import table

BASE = Figures(rate=1000.0, cpu=0.8, p50=0.002, p99=0.008, memory=40 << 20, generator=0.1)
OURS = evolve(BASE, rate=2000.0, cpu=0.2, p99=0.004, memory=60 << 20)
BETTER = evolve(OURS, rate=3000.0)


class TableTests(SynchronousTestCase):
    """Figures as medians, ratios within rounds."""

    def lines(self) -> list[str]:
        rounds = [{"us": OURS, "them": BASE}, {"us": BETTER, "them": BASE}]
        return list(table("A load", rounds, "them"))

    def test_base_comes_first(self) -> None:
        """Whatever the order of measuring, and with its own figures."""
        title, heads, base, ours, ratio = self.lines()
        self.assertEqual("A load (2 rounds)", title)
        self.assertEqual(["them", "1,000", "0.800", "2.00", "8.00", "40", "10%"], base.split())
        self.assertEqual(["us", "2,500", "0.200", "2.00", "4.00", "60", "10%"], ours.split())
        self.assertTrue(ratio.startswith("us / base"))

    def test_ratio_with_its_bounds(self) -> None:
        """The median of the rounds, the least and the most."""
        ratio = self.lines()[-1]
        self.assertIn("2.50 (2.00-3.00)", ratio)
        self.assertIn("0.25 (0.25-0.25)", ratio)

    def test_what_was_not_measured_has_no_column(self) -> None:
        """No column of dashes."""
        self.assertNotIn("smtp-source", self.lines()[1])
        rounds = [{"them": evolve(BASE, smtp_source=900.0)}]
        self.assertIn("smtp-source", list(table("A load", rounds, "them"))[1])
