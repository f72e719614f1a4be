"""What a command does not wait for: libraries of the service that it has no use for."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import COMMANDS

HEAVY = ("alembic", "klein", "msal", "requests", "sqlalchemy", "twisted.internet")
# They open the directory themselves, or are a service.
NEED_THEM = {"backup", "demo", "import", "keys", "operator", "rehearsal", "restore", "token"}


class StartTests(SynchronousTestCase):
    def test_who_asks_a_running_service_needs_no_library_of_it(self) -> None:
        """Each of them costs a tenth to a half of a second, at every call."""
        wanted = sorted(module for name, (module, _) in COMMANDS.items() if name not in NEED_THEM)
        code = (
            f"import importlib, sys\nfor each in {wanted}:\n    importlib.import_module(each)\n"
            f"print([each for each in {HEAVY} if each in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        self.assertEqual("[]\n", done.stdout, done.stderr)
