"""The API does as `docs/openapi.json` says: asked by schemathesis, of a gateway made for that."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.whole.stage import Gateway, WholeTestCase
from tests.whole.test_monitoring import WEB, fetched, token_of

DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.json"
SECONDS = 20  # it may ask

# They end the gateway, or wait for something for long.
LEFT_OUT = r"/(drain|doctor)$|/follow$"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


class DescriptionTests(WholeTestCase):
    def test_every_answer_is_as_it_is_described(self) -> None:
        """Good and bad requests: each answer has the shape described, none is a fault of ours."""
        gateway = self.gateway(self.microsoft("--no-limits"), WEB)
        token = token_of(gateway, "operator")
        status, said = fetched(gateway, "/api/v1/openapi.json", token)
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(said), json.loads(DESCRIPTION.read_text()))
        self._questioned(gateway, token)
        faults = [each for each in gateway.of("program") if each["level"] == "error"]
        self.assertEqual(faults, [])

    def _questioned(self, gateway: Gateway, token: str) -> None:
        address = gateway.wait_for("web.ready")["address"]
        self.run_client(
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://{address}/api/v1/openapi.json",
            *("--header", f"Authorization: Bearer {token}"),
            *("--exclude-path-regex", LEFT_OUT),
            *("--checks", ",".join(CHECKS)),
            *("--phases", "coverage,fuzzing", "--max-examples", "2", "--max-time", str(SECONDS)),
            *("--generation-deterministic", "--workers", "1", "--no-color", "--no-shrink"),
        )
