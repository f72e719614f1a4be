"""Tests of m365gw, room by room as the package.

Properties are tried with the same examples in every run, so that a red run is red again, and
however long each takes: how fast a busy machine is says nothing about us. Let them roam with
HYPOTHESIS_PROFILE=roaming.
"""

import os

from hypothesis import HealthCheck, settings

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", PATIENT, derandomize=True, database=None)
settings.register_profile("roaming", PATIENT, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
