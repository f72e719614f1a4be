"""Prometheus' own tool, which checks rules and scrapes; `make promtool` unpacks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

UNPACKED = Path(sys.executable).parents[1] / "prometheus" / "usr" / "bin" / "promtool"


def promtool(*words: str, folder: Path | None = None, text: str = "") -> tuple[int, str]:
    """Its exit code, and what it said."""
    program = shutil.which("promtool") or str(UNPACKED)
    done = subprocess.run(
        [program, *words], cwd=folder, input=text, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr
