"""Pages that are written from the code say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

DOCS = Path(__file__).parents[1] / "docs"


class ConfigurationReferenceTests(SynchronousTestCase):
    def test_it_is_what_the_code_says(self) -> None:
        """Every setting, its kind, default and meaning."""
        page = runpy.run_path(str(DOCS / "make_configuration.py"))["page"]()
        written = (DOCS / "configuration.md").read_text(encoding="utf-8")
        self.assertEqual(page, written, "Write it anew: python docs/make_configuration.py")


class MetricsPageTests(SynchronousTestCase):
    def test_it_is_what_the_code_says(self) -> None:
        """Every metric with its labels and meaning."""
        page = runpy.run_path(str(DOCS / "make_metrics.py"))["page"]()
        written = (DOCS / "metrics.md").read_text(encoding="utf-8")
        self.assertEqual(page, written, "Write it anew: python docs/make_metrics.py")


class ApiDescriptionTests(SynchronousTestCase):
    def test_it_is_what_the_code_says(self) -> None:
        """Every endpoint, with what it takes and what it says."""
        made = runpy.run_path(str(DOCS / "make_openapi.py"))["page"]()
        written = (DOCS / "openapi.json").read_text(encoding="utf-8")
        self.assertEqual(made, written, "Write it anew: python docs/make_openapi.py")
