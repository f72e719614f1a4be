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

    def row(self, title: str) -> str:
        [found] = [line for line in self.lines() if line.startswith(title)]
        return found.removeprefix(title)

    def test_base_comes_first(self) -> None:
        """Whatever the order of measuring, and without a ratio to itself."""
        title, heads, *_ = self.lines()
        self.assertEqual("A load (2 rounds)", title)
        self.assertEqual(["them", "us", "/", "base"], heads.split())

    def test_figure_and_ratio(self) -> None:
        """The median of the rounds; the ratio's median with its least and most."""
        self.assertEqual(["1,000", "2,500", "2.50", "(2.00-3.00)"], self.row("messages/s").split())
        self.assertEqual(["0.800", "0.200", "0.25", "(0.25-0.25)"], self.row("CPU s/1,000").split())
        self.assertEqual(["8.00", "4.00", "0.50", "(0.50-0.50)"], self.row("p99 ms").split())

    def test_generator_is_not_compared(self) -> None:
        """Its share is told so that nobody takes it for the limit."""
        self.assertEqual(["10%", "10%"], self.row("generator CPU").split())

    def test_what_was_not_measured_has_no_row(self) -> None:
        """No row of dashes."""
        self.assertNotIn("smtp-source", "".join(self.lines()))
        rounds = [{"them": evolve(BASE, smtp_source=900.0)}]
        self.assertIn("smtp-source", "".join(table("A load", rounds, "them")))
