"""The API described by OpenAPI 3.1, made from its endpoints: `docs/openapi.json`.

Nothing is said here that is not said by the endpoints themselves: bodies are their attrs classes,
answers the types they declare.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from m365gw import __version__
from m365gw.admin.endpoint import Endpoint
from m365gw.admin.json_schema import schema_of, summary_of

_ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("what", "why", "fix")},
            "required": ["what", "why", "fix"],
        }
    },
    "required": ["error"],
}
_REFUSED: Final = {
    "description": "Refused: what is wrong, why, and what to do.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


def described(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The description of these endpoints."""
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "m365gw",
            "version": __version__,
            "summary": "A store-and-forward SMTP gateway to Microsoft 365.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "m365gw token add NAME. A viewer's may call what is marked so.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-m365gw",
                    "description": "Of the console; each POST also needs X-CSRF-Token.",
                },
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    group, *rest = endpoint.path.removeprefix("/api/v1/").split("/")
    operation: dict[str, Any] = {
        "operationId": "_".join([endpoint.method.lower(), group, *rest]).replace("-", "_"),
        "tags": [group],
        "summary": summary_of(endpoint.takes or endpoint.says),
        "x-role": "viewer" if endpoint.only_reads else "operator",
        "responses": {
            "200": {
                "description": summary_of(endpoint.says) or "Done.",
                "content": {"application/json": {"schema": schema_of(endpoint.says)}},
            },
            "default": _REFUSED,
        },
    }
    if endpoint.takes is not None:
        schema = schema_of(endpoint.takes)
        operation["requestBody"] = {
            "required": bool(schema.get("required")),
            "content": {"application/json": {"schema": schema}},
        }
    return operation
