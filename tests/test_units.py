"""The systemd units in `etc/`: what the service may do is little, and nothing is misspelt."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ETC = Path(__file__).parents[1] / "etc"


class UnitTests(SynchronousTestCase):
    def test_exposure(self) -> None:
        """systemd's own measure, of 10 for a service that may do everything, is at most 2.0."""
        said = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", str(ETC / "m365gw.service")],
            capture_output=True,
            text=True,
            check=True,
        )
        overall = re.search(r"exposure level for m365gw.service: ([\d.]+)", said.stdout)
        assert overall, said.stdout
        self.assertLessEqual(float(overall[1]), 2.0)

    def test_openssl_may_call_back(self) -> None:
        """Its callbacks are code made at run time (cffi): forbidden, no certificate is read."""
        unit = (ETC / "m365gw.service").read_text()
        self.assertNotRegex(unit, r"(?m)^MemoryDenyWriteExecute=(?!false)")

    def test_a_wrong_configuration_is_tried_once(self) -> None:
        """RestartPreventExitStatus= asks the main process alone: a check before it would loop."""
        unit = (ETC / "m365gw.service").read_text()
        self.assertIn("\nRestartPreventExitStatus=78\n", unit)
        self.assertNotIn("ExecStartPre=", unit)

    def test_nothing_in_them_is_misspelt(self) -> None:
        """systemd knows each section and key; the program itself is not installed here."""
        for unit in ("m365gw.service", "m365gw.socket"):
            said = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", str(ETC / unit)],
                capture_output=True,
                text=True,
                check=False,
            )
            faults = [line for line in said.stderr.splitlines() if "is not executable" not in line]
            self.assertEqual([], faults)
