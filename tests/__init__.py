"""Tests of m365gw, room by room as the package.

Properties are tried with the same examples in every run, so that a red run is red again. Let them
roam with HYPOTHESIS_PROFILE=roaming.
"""

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("roaming", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
