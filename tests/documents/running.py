"""The commands of a page, run as a reader would: typed, watched, held against what is shown."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from attrs import define

from tests.documents.examples import ENDS, NOT_RUN, RUN, STAYS, STORIES, TYPED
from tests.documents.pages import Block, Command, commands, plain
from tests.documents.scene import ALERTS, Scene
from tests.whole.stage import BIN, PATIENCE, await_

_BETWEEN = frozenset({"&&", "||", "|", ";", ";;", "do", "then", "else", "(", ")", "&"})
_OF_THE_MACHINE = "bin|boot|etc|home|lib|opt|root|run|sbin|srv|usr|var"
_TABLE = "tests/documents/examples.py"


def play(scene: Scene, page: str, blocks: Iterable[Block]) -> Iterator[str]:
    """Run the commands of a page, block by block; what went wrong, each with its place."""
    scene.open(page)
    if page in STORIES:
        scene.begin_story()
    with ExitStack() as stay:
        for block in blocks:
            if page not in STORIES:
                scene.furnish(block.text)
            for command in commands(block):
                line = plain(command)
                if re.search(STAYS, line):
                    _leave_running(scene, scene.filled(line), stay)
                elif not any(re.search(each.pattern, line) for each in NOT_RUN):
                    yield from _run(scene, command)
            scene.go_on()
    if page in STORIES:
        scene.leave_story()


def _leave_running(scene: Scene, line: str, stay: ExitStack) -> None:
    """Start a rehearsal that ends with the page, and note where it is controlled."""
    folder = Path(scene.values["page"], line.partition("--folder ")[2].split()[0])
    folder.mkdir(exist_ok=True)
    log = stay.enter_context(folder.with_name("rehearsal.log").open("w"))
    process = subprocess.Popen(
        [BIN / "m365gw", *shlex.split(line.replace("\\\n", " "))[1:]],
        stdout=log,
        stderr=log,
        cwd=scene.values["page"],
    )
    stay.callback(process.wait)
    stay.callback(process.terminate)
    ready = folder / "rehearsal.json"
    await_(ready.exists, f"the rehearsal of the page did not start: {log.name}")
    scene.values["control"] = str(json.loads(ready.read_text())["control"])


def _run(scene: Scene, command: Command) -> Iterator[str]:
    line = scene.filled(command.line)
    if strange := _strange_in(scene, line):
        yield f"{command.place}: {strange}\n    {line}"
        return
    if "m365gw restore" in line:
        scene.stop(for_another_machine="--configuration" in line)
    run = Run(scene, command)
    status = run.to_its_end(line)
    wanted = next((code for pattern, code in ENDS if re.search(pattern, command.line)), 0)
    if status != wanted:
        yield f"{command.place}: ended with {status}:\n    {line}\n{run.said}"
    elif missing := run.missing():
        yield f"{command.place}: nothing it said is like {missing!r}:\n    {line}\n{run.said}"


def _strange_in(scene: Scene, line: str) -> str:
    """Why a line is not run, if it may not be."""
    for value in sorted(filter(None, scene.values.values()), key=len, reverse=True):
        line = line.replace(value, "ours")
    if found := re.search(rf"(?<![\w.:/*])/(?:{_OF_THE_MACHINE})\b[\w/.-]*", line):
        return f"{found[0]} is of this machine: fill it in ({_TABLE})"
    for program in programs(line):
        if program not in RUN:
            return f"{program} is neither in RUN nor in NOT_RUN ({_TABLE})"
    return ""


@define
class Run:
    """A command that runs: what it has said, and what a person does about it meanwhile."""

    scene: Scene
    command: Command
    said: str = ""

    def to_its_end(self, line: str) -> int:
        """Its exit code. What watches for ever is interrupted once it has shown what it should."""
        gateway = self.scene.gateway
        typed = next((text for pattern, text in TYPED if re.search(pattern, self.command.line)), "")
        process = subprocess.Popen(
            ["bash", "-c", f"set -e -o pipefail\n{line}"],
            cwd=self.scene.values["page"],
            env={
                **os.environ,
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "M365GW_CONFIG": str(gateway.config),
                "M365GW_CONTROL_SOCKET": str(gateway.control),
                "CURL_HOME": str(self.scene.folder),
                "NO_PROXY": "*",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # without a terminal, passwords are read from where we type
        )
        assert process.stdin is not None and process.stdout is not None
        end = threading.Timer(4 * PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
        end.start()
        with suppress(BrokenPipeError):  # it ended before it asked, and says why
            process.stdin.write(typed.format(**self.scene.values))
            process.stdin.close()
        for text in process.stdout:
            self.said += text
            if code := re.search(r"enter the code\s+(\S+)", text):
                self.scene.microsoft.ask("device", {"user_code": code[1], "user": ALERTS})
            elif text.startswith("Watching"):
                self.scene.submit("you@example.com")
            elif self.has_seen_enough():
                os.killpg(process.pid, signal.SIGINT)
            if password := re.search(r"shown this once:\s+(\S+)", text):
                self.scene.values["password"] = password[1]
        end.cancel()
        status = process.wait()
        return 0 if self.has_seen_enough() else status

    def has_seen_enough(self) -> bool:
        """Whether a command that would go on for ever has done what it is there to show."""
        return (
            bool(re.search(r"^(?:Watching|Waiting) for ", self.said, re.M)) and not self.missing()
        )

    def missing(self) -> str:
        """The first line of the page that it has not said, in the order of the page."""
        lines = iter(self.said.splitlines())
        for each in self.command.shown:
            if not any(re.fullmatch(shape(self.scene.filled(each)), line, re.I) for line in lines):
                return each
        return ""


def programs(line: str) -> Iterator[str]:
    """What a line of the shell would run."""
    words = shlex.shlex(
        line.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars="();<>|&"
    )
    words.whitespace_split = True
    is_first = True
    for word in words:
        if word in _BETWEEN:
            is_first = True
        elif is_first and not re.match(r"[A-Z_]+=", word):
            yield word.rpartition("/")[2]
            is_first = False


def shape(shown: str) -> str:
    """What a line must look like to be one that is shown: numbers, ids and "..." may differ."""
    pieces = re.split(
        r"(\.\.\.|\b[0-9A-Z]{13}\b|\b[0-9a-z]{32}\b|smtp\.office365\.com|\d+|\s+)", shown.strip()
    )
    return r"\s*" + "".join(_shape(piece) for piece in pieces) + r"\s*"


def _shape(piece: str) -> str:
    if piece == "...":
        return ".*"
    if re.fullmatch("[0-9A-Z]{13}", piece):
        return "[0-9A-Za-z]{13}"
    if re.fullmatch("[0-9a-z]{32}", piece):
        return "[0-9a-z]{32}"
    if piece == "smtp.office365.com":
        return r"[\w.]+"
    if piece.isdigit():
        return r"\d+"
    return r"\s+" if piece.isspace() else re.escape(piece)
