"""Alert rules and dashboard: well-formed, and about metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from m365gw.metric_table import METRICS, Sort
from tests.promtool import promtool

ROOT = Path(__file__).parents[1]
PROMETHEUS = ROOT / "etc" / "prometheus"
DASHBOARD = ROOT / "etc" / "grafana" / "dashboards" / "m365gw.json"

OTHERS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def exported() -> set[str]:
    """All names that may stand in a query."""
    names = set(OTHERS)
    for metric in METRICS.values():
        endings = ("_bucket", "_count", "_sum") if metric.sort is Sort.HISTOGRAM else ("",)
        names |= {metric.name + ending for ending in endings}
    return names


def named(text: str) -> set[str]:
    """The metrics a query names."""
    return set(re.findall(r"\b(?:m365gw|process)_[a-z0-9_]+", text))


def expressions(value: Any) -> Iterator[str]:
    """Every query of a dashboard."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in ("expr", "query", "definition") and isinstance(each, str):
                yield each
            else:
                yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)


class RuleTests(SynchronousTestCase):
    def run_promtool(self, *words: str) -> None:
        status, said = promtool(*words, folder=PROMETHEUS)
        self.assertEqual(status, 0, said)

    def test_promtool_takes_rules_and_configuration(self) -> None:
        """As Prometheus itself reads them."""
        self.run_promtool("check", "rules", "alerts.yml")
        self.run_promtool("check", "config", "prometheus.yml")

    def test_each_alert_fires_when_it_should(self) -> None:
        """And not before: `alerts_test.yml` tells the stories."""
        self.run_promtool("test", "rules", "alerts_test.yml")

    def test_no_alert_is_without_a_story(self) -> None:
        """Each is seen to fire there, and says in words what it means and what to do."""
        (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
        stories = (PROMETHEUS / "alerts_test.yml").read_text()
        for rule in group["rules"]:
            self.assertIn(f'alertname="{rule["alert"]}"', stories)
            self.assertEqual({"summary", "description"}, set(rule["annotations"]))

    def test_they_use_metrics_that_exist(self) -> None:
        """A metric that is renamed leaves no alert that never fires."""
        (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]:
            self.assertEqual(named(rule["expr"]) - exported(), set(), rule["alert"])


class DashboardTests(SynchronousTestCase):
    def test_it_uses_metrics_that_exist(self) -> None:
        """In every panel; and nearly all metrics are shown."""
        used: set[str] = set()
        for expression in expressions(json.loads(DASHBOARD.read_text())):
            self.assertEqual(named(expression) - exported(), set(), expression)
            used |= named(expression)
        self.assertGreater(len(used), 20)

    def test_panels_do_not_lie_on_each_other(self) -> None:
        """Each has a number and a place of its own, 24 columns wide at most."""
        taken: set[tuple[int, int]] = set()
        panels = json.loads(DASHBOARD.read_text())["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        for panel in panels:
            place = panel["gridPos"]
            across = range(place["x"], place["x"] + place["w"])
            cells = {(x, y) for x in across for y in range(place["y"], place["y"] + place["h"])}
            self.assertEqual(taken & cells, set(), panel["title"])
            self.assertLessEqual(across.stop, 24)
            taken |= cells
