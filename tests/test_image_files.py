"""The Dockerfile, as a linter reads it. What it makes is tried by `make image`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]


class DockerfileTests(SynchronousTestCase):
    def test_the_linter_has_nothing_to_say(self) -> None:
        """hadolint, with what is ignored said in the file, and why."""
        said = subprocess.run(
            [Path(sys.executable).with_name("hadolint"), "--format=json", ROOT / "Dockerfile"],
            capture_output=True,
            check=False,
        )
        self.assertEqual([], json.loads(said.stdout))

    def test_what_is_copied_is_not_ignored(self) -> None:
        """Each source of a COPY is let in by .dockerignore, which begins by ignoring everything."""
        ignored, *let_in = (ROOT / ".dockerignore").read_text().split()
        self.assertEqual("*", ignored)
        copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
        sources = {source for copy in copies for source in copy.split()}
        self.assertLessEqual(sources, {name.removeprefix("!") for name in let_in})
        self.assertTrue(all((ROOT / source).exists() for source in sources))

    def test_its_commands_are_those_of_the_page(self) -> None:
        """Those that stand at the head of it, and of the Compose file; `make image` gives them."""
        page = (ROOT / "docs" / "containers.md").read_text()
        seen = 0
        for name in ("Dockerfile", "etc/compose.yaml"):
            for line in re.findall(r"^#   (docker .*?)(?:  .*)?$", (ROOT / name).read_text(), re.M):
                self.assertRegex(page, rf"(?m)^\$ {re.escape(line)}(?:  .*)?$")
                seen += 1
        self.assertEqual(4, seen)
