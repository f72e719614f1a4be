The API is described in OpenAPI 3.1: docs/openapi.json, and `/api/v1/openapi.json` of a running gateway.
