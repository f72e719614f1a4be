"""The image without an engine: the steps of the Dockerfile, done in Debian trees (`make image`).

Each FROM is a tree made by debootstrap, each RUN is run in it (chroot), each COPY copies what git
knows. The last tree is then started as the Dockerfile says: by its ENTRYPOINT, as its USER, without
any capability, with everything but its VOLUMEs, /run/m365gw and /tmp read-only. It has to be found
well by its HEALTHCHECK and to carry a message to a rehearsal Microsoft.

Needs root, debootstrap and the package index. Mounts are made in a mount namespace of their own, so
nothing is left of them. What the engine would do else (layers, networks) is not tried here.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field

from tests.image_trial import trial

ROOT = Path(__file__).parents[1]
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# Copied, never mounted: what is installed in the tree writes there. By these it reaches the package
# index as this machine does.
FROM_HOST = {"/etc/resolv.conf": "/etc/resolv.conf", AUTHORITIES: "/root/authorities.pem"}


@define
class Stage:
    """A tree that is being built, and what was said about it."""

    tree: Path
    place: str = "/"
    environment: dict[str, str] = field(factory=dict)
    user: str = "0:0"
    volumes: list[str] = field(factory=list)
    entrypoint: list[str] = field(factory=list)
    healthcheck: list[str] = field(factory=list)

    def run(self, command: str) -> None:
        words = ["chroot", str(self.tree), "/bin/sh", "-ec", f"cd {self.place}\n{command}"]
        clean = {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", **self.environment}
        index = {"PIP_CERT": FROM_HOST[AUTHORITIES], "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(words, check=True, env={**clean, **index})

    def started(self, command: list[str]) -> list[str]:
        """The command line that starts this in the finished tree, with the rights of the image."""
        rights = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]
        uid, _, gid = self.user.partition(":")
        return ["chroot", str(self.tree), "setpriv", f"--reuid={uid}", f"--regid={gid}", *rights,
                *command]  # fmt: skip


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile with its argument, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, argument = line.strip().partition(" ")
            yield name.upper(), argument.strip()


def build(folder: Path) -> Stage:
    """Do what the Dockerfile says; the last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for name, argument in instructions((ROOT / "Dockerfile").read_text()):
        print(f"\n{name} {argument}", flush=True)
        if name == "FROM":
            image, _, known_as = argument.partition(" AS ")
            stage = Stage(debian(folder / (known_as or "image"), image))
            stages[known_as or "image"] = stage
        elif name == "RUN":
            stage.run(argument)
        elif name == "COPY":
            copy(stage, stages, shlex.split(argument))
        elif name == "WORKDIR":
            stage.place = argument
            (stage.tree / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "ENV":
            stage.environment.update([argument.split("=", 1)])
        elif name == "USER":
            stage.user = argument
        elif name == "VOLUME":
            stage.volumes = json.loads(argument)
        elif name == "ENTRYPOINT":
            stage.entrypoint = json.loads(argument)
        elif name == "HEALTHCHECK":
            stage.healthcheck = json.loads(argument.partition("CMD ")[2])
        elif name not in ("EXPOSE", "STOPSIGNAL"):
            raise SystemExit(f"{name}: this does not know how to do that.")
    return stage


def debian(tree: Path, image: str) -> Path:
    """A tree of `debian:SUITE-slim`, in which programs can be run."""
    suite = re.fullmatch(r"debian:(\w+)-slim", image)
    if not suite:
        raise SystemExit(f"{image}: only debian:SUITE-slim can be made here.")
    base = tree.parent / f"debian-{suite[1]}"
    if not base.exists():
        subprocess.run(["debootstrap", "--variant=minbase", suite[1], str(base)], check=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(tree)], check=True)
    subprocess.run(["mount", "--bind", str(tree), str(tree)], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(tree / "proc")], check=True)
    for path, place in FROM_HOST.items():
        inside = tree / place.lstrip("/")
        inside.unlink(missing_ok=True)
        shutil.copy(path, inside)
    return tree


def copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    """COPY: from an earlier stage, or from what git knows of this tree."""
    source = ROOT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].tree
    *names, place = words
    target = stage.tree / (place if place.startswith("/") else f"{stage.place}/{place}").lstrip("/")
    for name in names:
        into = target / name if place.endswith("./") else target
        if source == ROOT:
            known = subprocess.run(
                ["git", "ls-files", "--", name],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            for file in known:
                end = target / file if place == "./" else target / Path(file).relative_to(name)
                end.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, end)
        else:
            subprocess.run(["cp", "-a", f"{source}/{name.lstrip('/')}", str(into)], check=True)


def seal(stage: Stage) -> None:
    """Everything read-only but what the image may write in."""
    uid, _, gid = stage.user.partition(":")
    for path in ("/tmp", "/run/m365gw", *stage.volumes):
        inside = stage.tree / path.lstrip("/")
        owner = "mode=1777" if path == "/tmp" else f"uid={uid},gid={gid},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", owner, "tmpfs", str(inside)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(stage.tree)], check=True)


def inside(folder: Path) -> None:
    """All of it, in a mount namespace of its own."""
    stage = build(folder)
    seal(stage)
    trial(stage, folder)


def main() -> None:
    """Build, start, ask for its health, send a message through."""
    if len(sys.argv) > 1:
        inside(Path(sys.argv[1]))
        return
    folder = tempfile.mkdtemp(prefix="m365gw-image-")
    # What is mounted there is gone with the namespace, before the folder is removed.
    again = ["unshare", "--mount", "--propagation=private", sys.executable, "-m", "tests.image"]
    try:
        subprocess.run([*again, folder], check=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
