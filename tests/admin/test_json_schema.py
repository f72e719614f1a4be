"""JSON Schema of the types bodies and answers have."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.json_schema import schema_of, summary_of


@frozen
class Body:
    """Which messages, and why. More words."""

    ids: tuple[str, ...]
    kind: Literal["a", "b"]
    limit: int = 100
    before: float | None = None
    values: dict[str, Any] = {}


class Said(TypedDict):
    """What it says."""

    name: str
    more: NotRequired[list[int]]


class SchemaTests(SynchronousTestCase):
    def test_bodies_take_nothing_else(self) -> None:
        """Fields without a default are required, unknown ones refused."""
        schema = schema_of(Body)
        self.assertEqual(schema["required"], ["ids", "kind"])
        self.assertFalse(schema["additionalProperties"])
        properties = schema["properties"]
        self.assertEqual(properties["ids"], {"type": "array", "items": {"type": "string"}})
        self.assertEqual(properties["kind"], {"enum": ["a", "b"]})
        self.assertEqual(properties["limit"], {"type": "integer", "default": 100})
        number_or_null = [{"type": "number"}, {"type": "null"}]
        self.assertEqual(properties["before"], {"anyOf": number_or_null, "default": None})
        self.assertEqual(properties["values"], {"type": "object", "additionalProperties": {}})

    def test_answers_may_say_more(self) -> None:
        """What need not be there is not required."""
        schema = schema_of(Said)
        self.assertEqual(schema["required"], ["name"])
        self.assertNotIn("additionalProperties", schema)
        self.assertEqual(schema["properties"]["more"]["items"], {"type": "integer"})

    def test_what_json_cannot_say(self) -> None:
        """Is an error of the programmer."""
        self.assertRaises(TypeError, schema_of, set[str])

    def test_the_first_sentence_is_the_summary(self) -> None:
        """Without its end."""
        self.assertEqual(summary_of(Body), "Which messages, and why")
