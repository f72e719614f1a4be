"""Tests of the JSON of errors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.aadsts import ERRORS, Declined, error_body
from tests.rehearsal.dialogue import NOW


class ErrorTests(SynchronousTestCase):
    """The JSON of errors."""

    def test_every_error_has_its_fields(self) -> None:
        """Error, description with number, trace and time, list of numbers."""
        for number in ERRORS:
            body = error_body(Declined(number), NOW, "correlation")
            self.assertTrue(body["error_description"].startswith(f"AADSTS{number}: "))
            self.assertEqual(body["error_codes"], [number])
            self.assertEqual(body["correlation_id"], "correlation")
            self.assertIn("rehearsal", body["error_description"])
