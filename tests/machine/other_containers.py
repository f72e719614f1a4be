"""The containers people move over from, as far as a page copies something out of them.

They hold the files the programs would have written, and sleep.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from attrs import frozen

from tests.machine.docker import SLIM
from tests.machine.machine import Machine
from tests.moving.other_programs import microsoft_smtp_oauth2_proxy, simple_m365_relay

COMPOSE = f"""\
services:
  ui:
    image: {SLIM}
    command: [sleep, infinity]
    init: true
  postfix:
    image: {SLIM}
    command: [sleep, infinity]
    init: true
    volumes: ["./relay:/data"]
"""


@frozen
class OtherContainers:
    """Those of simple-m365-relay (by Compose) and microsoft-smtp-oauth2-proxy (`proxy`)."""

    machine: Machine
    FOLDER: ClassVar = "/root/old"

    @classmethod
    def started(cls, machine: Machine) -> OtherContainers:
        """Both run, with what they would have written in the meantime."""
        there = machine.path(cls.FOLDER)
        there.mkdir()
        with TemporaryDirectory() as made:  # no database is written through another's /proc
            simple_m365_relay(Path(made) / "relay")
            microsoft_smtp_oauth2_proxy(Path(made) / "proxy")
            shutil.copytree(made, there, dirs_exist_ok=True)
        (there / "compose.yaml").write_text(COMPOSE)
        machine.run("docker compose up --detach --quiet-pull", folder=cls.FOLDER)
        machine.run(
            f"docker run --detach --init --name proxy --env-file proxy/.env {SLIM} sleep infinity\n"
            "docker exec proxy mkdir /app\ndocker cp proxy/data proxy:/app/data",
            folder=cls.FOLDER,
        )
        return cls(machine)

    def missing(self) -> list[str]:
        """What should have been copied out by now, and was not, or is not the same."""
        pairs = [
            *self._files("relay", "/srv/relay-data"),
            *self._files("proxy/data", "/srv/proxy/data"),
        ]
        wrong = [str(to) for of, to in pairs if not to.is_file() or _octets(of) != _octets(to)]
        said = self.machine.path("/srv/proxy/.env").read_text().splitlines()
        known = self.machine.path(f"{self.FOLDER}/proxy/.env").read_text().splitlines()
        return wrong + [line for line in known if line not in said]

    def _files(self, source: str, target: str) -> list[tuple[Path, Path]]:
        top = self.machine.path(f"{self.FOLDER}/{source}")
        found = [path for path in top.rglob("*") if path.is_file()]
        assert found
        return [(path, self.machine.path(target) / path.relative_to(top)) for path in found]


def _octets(path: Path) -> bytes:
    return path.read_bytes()
