"""The JSON Schema of the configuration: editors say what the loader says."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema_rs
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config import units
from m365gw.config.schema import schema
from m365gw.config.sources import Tree
from m365gw.config.structure import settings_from
from tests.config.test_load import GOOD
from tests.config.test_sample import SAMPLE, uncommented

GOOD_VALUES = (
    "[queue]\nqueue_run_delay = 5",
    '[queue]\nqueue_run_delay = "1h30m"\nmaximal_queue_lifetime = " 5D "',
    '[governor]\ngraph_request_limit = "25 MiB"\nmessages_per_minute = 30',
    '[cloud.mine]\nbased_on = "dod"',
)
BAD_VALUES = (
    "[queue]\nqueue_run_dely = 5",
    '[queue]\nqueue_run_delay = "soon"',
    "[queue]\nqueue_run_delay = -1",
    '[governor]\ngraph_request_limit = "much"',
    "[governor]\ngraph_request_limit = 1.5",
    '[log]\nlevel = "loud"',
    "[log]\nlevel = 1",
    "[[listener]]\nname = 'x'",
    "[listener]\nname = 'x'\nendpoint = 'tcp:25'",
    "[queue]\ndelivery = 'yes'",
    '[cloud.mine]\nbased_in = "dod"',
)


def complaints(text: str) -> list[str]:
    """What an editor would underline."""
    validator = jsonschema_rs.Draft7Validator(schema(), validate_formats=True)
    return [str(error) for error in validator.iter_errors(_as_json(tomllib.loads(text)))]


def _as_json(value: Any) -> Any:
    """With dates as JSON writes them."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


class SchemaTests(SynchronousTestCase):
    def test_it_is_a_schema(self) -> None:
        """By the rules of its own draft."""
        jsonschema_rs.meta.validate(schema())

    def test_good_files(self) -> None:
        """As shipped, with every setting, and with values as people write them."""
        sample = SAMPLE.read_text()
        for text in (sample, uncommented(sample), GOOD, *GOOD_VALUES):
            self.assertEqual([], complaints(text), text)

    def test_it_refuses_what_the_loader_refuses(self) -> None:
        """Names, kinds of values, choices, what is missing."""
        for text in BAD_VALUES:
            self.assertNotEqual([], complaints(text), text)
            self.assertNotEqual([], settings_from(Tree(tomllib.loads(text)))[1], text)

    def test_durations_and_sizes_are_those_of_the_loader(self) -> None:
        """Both take, and refuse, the same texts."""
        texts = ["0", "5", "1.5h", "10 ms", "1h 30m", "5d5d", "", "h", "5x", "-1s", "1,5h", "5 m s"]
        for text in texts:
            self._same("queue", "queue_run_delay", text, units.seconds)
        for text in ["0", "5", "1.5G", "512 k", "25MiB", "25mb", "", "M", "5x", "-1", "5 b", "1e3"]:
            self._same("governor", "graph_request_limit", text, units.octets)

    def _same(self, table: str, key: str, text: str, read: Any) -> None:
        try:
            read(text)
            is_good = True
        except ValueError:
            is_good = False
        said = complaints(f"[{table}]\n{key} = '{text}'")
        self.assertEqual(is_good, not said, text)
