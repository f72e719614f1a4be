"""From the body of a request to a value: exactly the keys and types its class has.

Failures: `Refusal` 400 for what is not JSON, for a key that is unknown or missing, and for a value
of another type; each is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import GenericAlias
from typing import Any, TypeVar, get_args, get_origin

from attrs import frozen
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError

from m365gw.admin.refusal import Refusal

Body = TypeVar("Body")

_HALF = re.compile(r"[\ud800-\udfff]")


@frozen
class Nothing:
    """The body of a request that has nothing to say: empty, or {}."""


def read(octets: bytes, kind: type[Body]) -> Body:
    """The value of an attrs class that a body holds. Raises `Refusal`."""
    try:
        plain = json.loads(octets) if octets.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The body is not JSON.", f"{error}.", "Send one JSON object.") from None
    if not isinstance(plain, dict):
        raise Refusal(400, "The body is not a JSON object.", "", 'Send {"key": value, ...}.')
    try:
        return _converter.structure(plain, kind)
    except BaseValidationError as error:
        faults = "; ".join(transform_error(error, "body", _words))
        keys = ", ".join(f'"{name}"' for name in kind.__annotations__) or "none"
        raise Refusal(
            400, "The body is not what is asked for here.", f"{faults}.", f"Known keys: {keys}."
        ) from None


def _made() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)

    def a_list(value: Any, kind: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):  # a text is no list of its letters
            raise TypeError("must be a list")
        members: Any = GenericAlias(list, get_args(kind)[:1])
        return tuple(converter.structure(value, members))

    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(bool, _only(bool, "true or false"))
    converter.register_structure_hook(int, _only(int, "a whole number"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(_is_list, a_list)
    return converter


def _only(kind: type[Any], words: str) -> Callable[[Any, Any], Any]:
    def check(value: Any, _kind: Any) -> Any:
        if type(value) is not kind:  # true is no number
            raise TypeError(f"must be {words}")
        return value

    return check


def _text(value: Any, _kind: Any) -> str:
    """JSON can write half a character ("\\ud800"), which nothing could pass on."""
    if not isinstance(value, str) or _HALF.search(value):
        raise TypeError("must be a text")
    return value


def _words(error: BaseException, _kind: type | None) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown key: {', '.join(sorted(error.extra_fields))}"
    return "missing" if isinstance(error, KeyError) else str(error)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _number(value: Any, _kind: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e15:
        raise TypeError("must be a number")
    return float(value)


_converter = _made()
