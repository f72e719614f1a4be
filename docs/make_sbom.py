"""Writes what a release is made of as CycloneDX JSON: `python docs/make_sbom.py WHEEL FILE`.

The wheel is installed with what it is pinned to into an empty environment, and cyclonedx-py lists
that. What it cannot see, the files of others that lie in the wheel, is added from the table in
VENDORED.md. The same wheel gives the same file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VENDORED = ROOT / "m365gw" / "admin" / "web" / "static" / "VENDORED.md"
NAME = "m365gw"
# `htmx.min.js` | npm `htmx.org` 2.0.11, ... | Zero-Clause BSD, ... | `checksum`
ROW = re.compile(
    r"^\| `(\S+)` \| npm `(\S+)` ([\d.]+),.*\| ([\w -]+),.*\| `([0-9a-f]{64})` \|$", re.M
)
LICENCES = {"Zero-Clause BSD": "0BSD"}


def bill(wheel: Path) -> dict[str, Any]:
    """The whole of it, with the wheel as its subject."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", ROOT / "requirements.txt"], check=True)
        subprocess.run([*pip, "--no-deps", wheel], check=True)
        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "pip"], check=True)
        lister = Path(sys.executable).with_name("cyclonedx-py")
        words = [lister, "environment", "--output-reproducible", "--of", "JSON", python]
        listed = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(listed.stdout)
    subject = next(each for each in found["components"] if each["name"] == NAME)
    found["components"].remove(subject)
    subject.pop("externalReferences", None)  # where the wheel lay on this machine
    found["metadata"]["component"] = {**subject, "type": "application"}
    vendored = [carried(*row) for row in ROW.findall(VENDORED.read_text(encoding="utf-8"))]
    found["components"] += vendored
    found["dependencies"] += [{"ref": each["bom-ref"]} for each in vendored]
    for each in found["dependencies"]:
        if each["ref"] == subject["bom-ref"]:
            each["dependsOn"] += [component["bom-ref"] for component in vendored]
    return found


def carried(file: str, package: str, version: str, licence: str, checksum: str) -> dict[str, Any]:
    """A file of somebody else's that lies in the wheel."""
    return {
        "bom-ref": f"{package}@{version}",
        "description": f"{file}, in the console",
        "hashes": [{"alg": "SHA-256", "content": checksum}],
        "licenses": [{"license": {"id": LICENCES[licence]}}],
        "name": package,
        "purl": f"pkg:npm/{package}@{version}",
        "type": "library",
        "version": version,
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(bill(Path(sys.argv[1])), indent=1) + "\n")
