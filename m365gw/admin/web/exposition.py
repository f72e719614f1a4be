"""Metrics as a scraper reads them: Prometheus' text, or OpenMetrics where it asks for that.

The text is written by prometheus_client, with a registry of our own and nothing of its own counted.
BLOCKING: with hundreds of mailboxes it takes a tenth of a second, so it belongs in a thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from attrs import frozen
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from m365gw.metric_rules import Values
from m365gw.metric_table import METRICS, Metric, Sort
from m365gw.metrics import Histogram

_FAMILIES: Any = {Sort.COUNTER: CounterMetricFamily, Sort.GAUGE: GaugeMetricFamily}


@frozen
class Buckets:
    """A histogram at one moment."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @classmethod
    def of(cls, histogram: Histogram) -> Buckets:
        return cls(histogram.bounds, tuple(histogram.counts), histogram.total)


@frozen(eq=False)
class Snapshot(Collector):
    """All values at one moment: taken where they are counted, written elsewhere."""

    values: Mapping[tuple[str, Values], float]
    histograms: Mapping[str, Buckets]

    @classmethod
    def of(
        cls,
        totals: Mapping[tuple[str, Values], float],
        gauges: Iterable[tuple[str, Values, float]],
        histograms: Mapping[str, Histogram],
    ) -> Snapshot:
        """Counters, gauges and histograms as they are now."""
        values = {(name, labels): value for name, labels, value in gauges}
        told = {name: Buckets.of(each) for name, each in histograms.items()}
        return cls({**totals, **values}, told)

    def collect(self) -> Iterator[Family]:
        """Every metric of the table; one without a value as its name and meaning alone."""
        found: dict[str, list[tuple[Values, float]]] = defaultdict(list)
        for (name, labels), value in self.values.items():
            found[name].append((labels, value))
        for metric in METRICS.values():
            if metric.sort is Sort.HISTOGRAM:
                yield _histogram(metric, self.histograms[metric.name])
            else:
                yield _family(metric, found[metric.name])

    def encoded(self, accept: str) -> tuple[bytes, str]:
        """The octets and their content type, by what the scraper takes."""
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type


def _family(metric: Metric, values: Iterable[tuple[Values, float]]) -> Family:
    family: Any = _FAMILIES[metric.sort](metric.name, metric.meaning, labels=metric.labels)
    if not metric.labels:  # a counter that has counted nothing is 0
        values = list(values) or ([((), 0.0)] if metric.sort is Sort.COUNTER else [])
    for labels, value in values:
        family.add_metric(labels, float(value))
    return family  # type: ignore[no-any-return]


def _histogram(metric: Metric, buckets: Buckets) -> Family:
    bounds = [*map(_bound, buckets.bounds), "+Inf"]
    family = HistogramMetricFamily(metric.name, metric.meaning)
    pairs = list(zip(bounds, accumulate(buckets.counts), strict=True))
    family.add_metric([], buckets=pairs, sum_value=buckets.total)
    return family


def _bound(bound: float) -> str:
    return str(float(bound))
