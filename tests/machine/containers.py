"""What the pages say of containers, done by a real Docker (`make image`).

`docs/containers.md` is walked from its beginning to its end, and so are the lines of other pages
that say `docker`. After some of them something has to be true, before some a reader would have done
something else: `walk.py`. Needs root, namespaces, debootstrap and the package index.

Not seen here: Grafana, which Debian does not have, an engine without root, and Kubernetes.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator

from tests.documents.pages import blocks, commands
from tests.machine.case import MachineTestCase
from tests.machine.docker import REPOSITORY, Docker
from tests.machine.other_containers import OtherContainers
from tests.machine.walk import Walk

# Those that are played. A page with a docker command has to stand here.
PAGES = ("docs/containers.md", "docs/moving.md")
_PLAYED = re.compile(r"(?:docker|install) ")


def lines_of(page: str) -> Iterator[str]:
    """Each line of a page that is played: those of blocks about Docker."""
    for block in blocks("console"):
        if block.page == page and re.search(r"^\$ docker ", block.text, re.MULTILINE):
            found = [command.line for command in commands(block)]
            yield from (line for line in found if _PLAYED.match(line))


class ContainerTests(MachineTestCase):
    def test_every_line_of_the_pages(self) -> None:
        """Each ends well, and what has to be true after it is."""
        self.reader("root", "/root")
        docker = Docker.installed(self.machine)
        self.told("Docker is there")
        docker.build_peers()
        self.told("HAProxy and Prometheus are there")
        walk = Walk.of(docker)
        for line in lines_of("docs/containers.md"):
            walk.play(line, REPOSITORY)
            self.told(line.splitlines()[0])
        self.assertEqual(set(), walk.left(), "checks whose line no page has any more")
        old = OtherContainers.started(self.machine)
        for line in lines_of("docs/moving.md"):
            self.machine.run(line, folder=old.FOLDER)
        self.assertEqual([], old.missing())

    def told(self, what: str) -> None:
        """Say when it was done, as it takes minutes."""
        print(f"{time.strftime('%T')}  {what}", file=sys.stderr, flush=True)
