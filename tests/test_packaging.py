"""The package as users get it: built, installed into an empty environment, and found by twistd.

Building and installing take a while and need the package index, as an installation does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw import __version__

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end and give what it printed; its errors become the failure's text."""
    words = [str(word) for word in command]
    # The test runner's PYTHONPATH would let everything in that shall be missing.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


class WheelTests(SynchronousTestCase):
    def test_it_is_whole_and_installs(self) -> None:
        """What is built is well-formed, has its manual, and works in an empty environment."""
        self.build()
        self.assert_the_index_would_take_them()
        self.assert_commands_have_pages()
        self.assert_it_installs_with_its_plugin()

    def build(self) -> None:
        """Wheel and source distribution, as for a release."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        run(sys.executable, ROOT / "docs" / "make_man.py", ROOT / "man")
        run(sys.executable, "-m", "build", "--outdir", self.folder / "dist", ROOT)
        (self.wheel,) = (self.folder / "dist").glob("*.whl")
        (self.sdist,) = (self.folder / "dist").glob("*.tar.gz")

    def assert_the_index_would_take_them(self) -> None:
        """What is said of the package is well-formed, and the wheel holds what a wheel should."""
        twine = Path(sys.executable).with_name("twine")
        run(twine, "check", "--strict", self.wheel, self.sdist)
        run(twine.with_name("check-wheel-contents"), self.wheel, cwd=ROOT)
        wheel = zipfile.ZipFile(self.wheel)
        (about,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        said = wheel.read(about).decode()
        # A page of the index has nothing that a link into the repository could lead to.
        self.assertNotRegex(said, r"\]\((?!https://)")
        self.assertRegex(said, rf"(?m)^Version: {re.escape(__version__)}$")
        licences = {Path(name).name for name in wheel.namelist() if "/licenses/" in name}
        self.assertEqual({"LICENSE", "htmx.LICENSE"}, licences)

    def assert_commands_have_pages(self) -> None:
        """The wheel puts the manual where man(1) looks for it."""
        names = zipfile.ZipFile(self.wheel).namelist()
        pages = {Path(name).name for name in names if "/share/man/" in name}
        expected = {"m365gw.1", "m365gw-check.1", "m365gw-queue-hold.1", "m365gw.toml.5"}
        self.assertLessEqual(expected, pages)
        text = zipfile.ZipFile(self.wheel).read(
            next(name for name in names if name.endswith("m365gw-queue-hold.1"))
        )
        self.assertIn(b"--dry-run", text.replace(b"\\", b""))

    def assert_it_installs_with_its_plugin(self) -> None:
        """pip install puts command and twistd plugin in place, and nothing of Twisted's."""
        names = zipfile.ZipFile(self.wheel).namelist()
        self.assertIn("twisted/plugins/m365gw_plugin.py", names)
        self.assertIn("m365gw/py.typed", names)
        self.assertIn("m365gw/microsoft/setup_script/parts/head.ps1", names)
        self.assertIn("m365gw/admin/web/templates/base.html", names)
        self.assertIn("m365gw/admin/web/static/console.css", names)
        self.assertIn("m365gw/directory/migrations/env.py", names)
        self.assertIn("m365gw/directory/migrations/versions/v0001_entries.py", names)
        self.assertEqual([n for n in names if n.startswith("twisted/") and "__init__" in n], [])
        self.assertEqual([n for n in names if n.startswith("tests")], [])
        with tarfile.open(self.sdist) as archive:
            inside = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
        self.assertIn("twisted/plugins/m365gw_plugin.py", inside)
        self.assertLessEqual({"etc/m365gw.toml", "docs/architecture.md", "Makefile"}, inside)

        empty = self.folder / "environment"
        venv.create(empty)
        pip = [sys.executable, "-m", "pip", "--python", empty / "bin" / "python", "install"]
        pip += ["--quiet", "--no-compile"]  # most of it is never imported here
        run(*pip, "-r", ROOT / "requirements.txt", cwd=self.folder)
        run(*pip, "--no-deps", self.wheel, cwd=self.folder)

        self.assertIn("m365gw", run(empty / "bin" / "twistd", "--help", cwd=self.folder))
        service = run(empty / "bin" / "twistd", "-n", "m365gw", "--help", cwd=self.folder)
        self.assertIn("--config", service)
        command = run(empty / "bin" / "m365gw", "--help", cwd=self.folder)
        for name in ("check", "client", "demo", "mailbox", "queue", "status"):
            self.assertIn(name, command)
