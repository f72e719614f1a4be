"""A machine of our own: Debian under systemd, in namespaces; commands are run in it as typed.

Its network is its own, so every port of the documents is free and nothing leaves it; a command that
fetches packages is run with the network of this machine instead. It needs root. It ends with its
process here, however that ends, and leaves nothing (`boot.sh`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from attrs import define, field

from tests.machine.debian import Debian

BOOT = Path(__file__).with_name("boot.sh")
PATIENCE = 600.0  # seconds until something expected is given up; all of it waits for states
TURN = 0.1  # seconds between two looks at a state
NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd=/")
# What is told to those who fetch: ask nothing, and whom to trust and to go through as this machine.
FETCHING = {
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_CERT": "/root/authorities.pem",
    "PIP_DEFAULT_TIMEOUT": "60",  # seconds without an octet; it tries six times
}
AS_HERE = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL")


class Failed(AssertionError):
    """A command did not end with 0, or not in time; the text says which, and what it said."""


@define
class Machine:
    """One that runs: what keeps it, the PID of its systemd here, where its packages are kept.

    `environment` is told to every command, beside what a login has.
    """

    guard: subprocess.Popen[str]
    init: int
    packages: Path
    environment: dict[str, str] = field(factory=dict)

    @classmethod
    def booted(cls) -> Self:
        """A machine with an empty Debian that has come up. Whoever asks has to call `end`."""
        obstacle = subprocess.run(["bash", BOOT, "--possible"], stdout=subprocess.PIPE, check=True)
        if obstacle.stdout:
            raise Failed(f"No machine can be had here: {obstacle.stdout.decode().strip()}.")
        debian = Debian.kept()
        guard = subprocess.Popen(
            ["bash", BOOT, debian.tree, debian.packages, debian.wheels],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a ^C is for us, who end it in good order
        )
        assert guard.stdout is not None
        said = guard.stdout.readline()
        if not said:
            guard.communicate()
            raise Failed("The machine did not even begin to boot; why is said above.")
        machine = cls(guard, int(said), debian.packages)
        try:
            machine.wait_until(machine._is_up, "systemd did not come up")
        except BaseException:
            machine.end()
            raise
        return machine

    def _is_up(self) -> bool:
        return self.ends("systemctl is-system-running | grep -E '^(running|degraded)$'")

    def end(self) -> None:
        """End all of it; when this returns, nothing is left but the packages that were fetched."""
        for package in self.path("/var/cache/apt/archives").glob("*.deb"):
            if not (self.packages / package.name).exists():
                beside = self.packages / "partial" / f"{self.init}-{package.name}"
                shutil.copy(package, beside)
                beside.rename(self.packages / package.name)
        self.guard.communicate()

    def path(self, inside: str) -> Path:
        """A file of the machine, as it is reached from here."""
        return Path(f"/proc/{self.init}/root", inside.lstrip("/"))

    def run(
        self,
        line: str,
        *,
        user: str = "root",
        folder: str = "~",
        typed: str = "",
        fetches: bool = False,
        patience: float = PATIENCE,
    ) -> str:
        """What a line says that is typed by this user, logged in; raises `Failed` unless it ends 0.

        `typed` is what is typed meanwhile, `fetches` gives it the network of this machine;
        `patience` is in seconds.
        """
        told, namespaces = dict(self.environment), [*NAMESPACES]
        if fetches:
            here = {name: os.environ[name] for name in AS_HERE if name in os.environ}
            told = FETCHING | here | told
        else:
            namespaces.append("--net")
        script = f"cd {folder}\nset -e -o pipefail\n{line}"
        process = subprocess.Popen(
            [
                "nsenter",
                f"--target={self.init}",
                *namespaces,
                "/usr/sbin/runuser",
                "--login",
                user,
                f"--whitelist-environment={','.join(told)}",
                "--command",
                script,
            ],
            env={"TERM": "dumb", **told},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            said, _ = process.communicate(typed, patience)
        except subprocess.TimeoutExpired as late:
            process.kill()
            heard = (late.stdout or b"").decode(errors="replace")
            raise Failed(f"not done after {patience:.0f} s: {line}\n{heard}") from None
        if process.returncode:
            raise Failed(f"ended with {process.returncode}: {line}\n{said}")
        return said

    def start(self, unit: str, line: str, *, user: str = "root", folder: str = "/") -> None:
        """Leave a line running as a unit of its own, which `systemctl stop` ends."""
        script = shlex.quote(f"cd {folder} && {line}")
        self.run(f"systemd-run --quiet --collect --unit={unit} --uid={user} bash -lc {script}")

    def journal(self, unit: str) -> str:
        """What a unit has said, without the beginnings of the lines."""
        return self.run(f"journalctl --no-pager --output=cat --unit={unit}")

    def from_here(self, *words: str) -> str:
        """What a program of this machine says in the network of that one; it has to end with 0."""
        entered = ["nsenter", f"--target={self.init}", "--net", *words]
        done = subprocess.run(entered, check=False, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"ended with {done.returncode}: {words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def ends(self, line: str) -> bool:
        """Whether a line ends with 0."""
        try:
            self.run(line)
        except Failed:
            return False
        return True

    def wait_until(self, ready: Callable[[], bool], what_if_not: str) -> None:
        """Look again and again until it is so."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self.guard.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{what_if_not}\n{self._last_words()}")
            time.sleep(TURN)

    def _last_words(self) -> str:
        """Its log, for whoever reads of a failure."""
        try:
            return self.run("journalctl --no-pager --lines=100")
        except Failed as silent:
            return str(silent)
