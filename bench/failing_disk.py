"""The gateway on disks that fail, with mail flowing all the while. Needs root.

    .venv/bin/python -m bench.failing_disk [TROUBLE]...

For each trouble a gateway is started on a file system of its own (`bench.trouble`) before a
rehearsal Microsoft 365, and a client hands in a message every tenth of a second, each to another
recipient, so that each can be told from all others. Then the trouble comes and goes. It is printed
what the client was told meanwhile, what the log says, how long after its end mail flowed again, and
of the messages: how many were promised, how many of them were lost, or came twice, or came although
they had been refused.

Ends with 1 when a promised message was lost, a client was told anything but 250 or 4xx, the gateway
ended, or mail did not flow again by itself.
"""

from __future__ import annotations

import json
import re
import signal
import smtplib
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import click
from attrs import define, field, frozen

from bench.certificate import certificate
from bench.crowded_gateway import CrowdedGateway, open_mailboxes
from bench.gateway import rehearsal
from bench.trouble import Disk

LASTS = 15.0  # seconds of each trouble
RECOVERS = 150.0  # seconds after which mail has to flow again
EVERY = 0.1  # seconds between two messages
FAST = "\n[governor]\nmessages_per_minute = 100000\nburst = 100000\n"
_WRONG = re.compile(r"error|warning|incident|spool\.")
_ITS_OWN = re.compile(r"^.*?m365gw/|\[[0-9]+\]|: [0-9B-Z]{13}|from=.*?, ")


@frozen
class Trouble:
    """How it comes, how it goes, and which room the configuration wants to be left."""

    comes: Callable[[Disk], object]
    goes: Callable[[Disk], object]
    least_room: str = "1M"


def _unmount_and_mount(disk: Disk) -> None:
    """As an administrator would; what is written to the mount point meanwhile would be lost."""
    disk.detach()
    time.sleep(LASTS)
    written = list(disk.mount.iterdir())
    if written:
        raise AssertionError(f"{written} was written to the empty mount point")
    disk.attach()


def _repair(disk: Disk) -> None:
    disk.make_room_below()
    _unmount_and_mount(disk)


TROUBLES = {
    "nearly-full": Trouble(Disk.fill, Disk.make_room, "1M"),
    "full": Trouble(Disk.fill, Disk.make_room, "0"),
    "no-inodes": Trouble(Disk.fill_inodes, Disk.make_room),
    "read-only": Trouble(Disk.turn_read_only, _unmount_and_mount),
    "gone": Trouble(Disk.shut_down, _unmount_and_mount),
    "unsynced": Trouble(Disk.fill_below, _repair),
}


@define
class Client:
    """Hands in one message after the other, for as long as it is told to."""

    port: int
    answers: list[tuple[float, str, str]] = field(factory=list)  # when, recipient, answer
    _over: Event = field(factory=Event)
    _thread: Thread = field(init=False)

    def __enter__(self) -> Client:
        self._thread = Thread(target=self._send)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def since(self, at: float) -> Counter[str]:
        """How often each answer was given since then."""
        return Counter(answer for when, _, answer in self.answers if when >= at)

    @property
    def promised(self) -> set[str]:
        """Recipients whose message was answered with 250."""
        return {recipient for _, recipient, answer in self.answers if answer == "250"}

    def _send(self) -> None:
        number = 0
        while not self._over.wait(EVERY):
            number += 1
            recipient = f"n{number}@example.net"
            self.answers.append((time.monotonic(), recipient, self._one(recipient)))

    def _one(self, recipient: str) -> str:
        message = f"From: erp@contoso.example\r\nSubject: {recipient}\r\n\r\n{'x' * 20000}\r\n"
        try:
            with smtplib.SMTP("127.0.0.1", self.port, "bench", timeout=60) as client:
                client.sendmail("erp@contoso.example", [recipient], message)
            return "250"
        except smtplib.SMTPRecipientsRefused as error:
            [(code, text)] = error.recipients.values()
            return f"{code} {text.decode()}"
        except smtplib.SMTPResponseException as error:
            # Bytes, whatever its annotation says.
            return f"{error.smtp_code} {bytes(error.smtp_error).decode()}"  # type: ignore[arg-type]
        except OSError as error:
            return f"no answer: {error}"


@define
class Course:
    """One trouble, from before it to after it."""

    name: str
    gateway: CrowdedGateway
    disk: Disk
    microsoft: Path  # the folder of the rehearsal
    faults: list[str] = field(factory=list)

    def run(self, trouble: Trouble) -> None:
        """All of it; `faults` says what should not have been."""
        click.echo(f"\n{self.name}")
        self.gateway.start()
        self.gateway.first_250()
        with Client(self.gateway.port) as client:
            time.sleep(3)
            came, mark = time.monotonic(), len(self.gateway.log)
            trouble.comes(self.disk)
            time.sleep(LASTS)
            trouble.goes(self.disk)
            went = time.monotonic()
            self._await_recovery(client, went)
            time.sleep(3)
        self._tell_answers(client, came)
        self._tell_log(self.gateway.log[mark:])
        self._count(client)

    def _await_recovery(self, client: Client, went: float) -> None:
        while not client.since(went)["250"]:
            if time.monotonic() - went > RECOVERS:
                self.faults.append("mail does not flow again")
                return
            time.sleep(0.1)
        click.echo(f"  mail flows {time.monotonic() - went:.1f} s after its end")

    def _tell_answers(self, client: Client, came: float) -> None:
        for answer, count in client.since(came).most_common():
            click.echo(f"  {count:>6} times {answer}")
            if not answer.startswith(("250", "4")):
                self.faults.append(f"a client was told: {answer}")

    def _tell_log(self, log: str) -> None:
        """Each line that says that something is wrong, once, without its time and its message."""
        lines = (_ITS_OWN.sub("", line) for line in log.splitlines())
        for line, count in Counter(line for line in lines if _WRONG.search(line)).items():
            click.echo(f"    {count:>4} x {line[:400]}")

    def _count(self, client: Client) -> None:
        """What became of the messages."""
        end = time.monotonic() + RECOVERS
        while missing := client.promised - set(received := self._received()):
            if time.monotonic() > end:
                self.faults.append(f"{len(missing)} promised messages are lost")
                break
            time.sleep(0.5)
        times = Counter(received)
        twice = [one for one in client.promised if times[one] > 1]
        refused = {recipient for _, recipient, _ in client.answers} - client.promised
        click.echo(
            f"  {len(client.promised)} promised, {len(missing)} lost, {len(twice)} came twice"
            f" ({self.gateway.log.count('uncertain')} said to be uncertain),"
            f" {sum(one in times for one in refused)} of {len(refused)} refused came"
        )

    def _received(self) -> list[str]:
        port = json.loads((self.microsoft / "rehearsal.json").read_text())["control"]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        found: list[str] = []
        number = 0
        while True:
            path = f"http://127.0.0.1:{port}/rehearsal/messages?since={number}&limit=1000"
            with opener.open(path) as answer:
                more = json.load(answer)["messages"]
            if not more:
                return found
            number = more[-1]["number"]
            found += [one["recipients"][0] for one in more]


@contextmanager
def course(name: str, trouble: Trouble) -> Iterator[Course]:
    """Everything one trouble needs."""
    with tempfile.TemporaryDirectory(prefix="m365gw-disk-") as scratch:
        place = Path(scratch)
        disk = Disk(place)
        try:
            disk.make()
            with rehearsal(place) as microsoft:
                open_mailboxes(place)
                more = f'{FAST}\n[limits]\nminimal_free_space = "{trouble.least_room}"\n'
                pem = certificate(place)
                gateway = CrowdedGateway(
                    place / "gateway", disk.mount / "spool", pem, microsoft.cloud, more
                )
                try:
                    yield Course(name, gateway, disk, place)
                finally:
                    gateway.kill()
        finally:
            disk.remove()


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(TROUBLES)))
def main(names: tuple[str, ...]) -> None:
    """Run the gateway on disks that fail."""
    # An end from outside takes the way of Ctrl-C: what runs ends, disks are unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    faults = []
    for name in names or TROUBLES:
        with course(name, TROUBLES[name]) as each:
            each.run(TROUBLES[name])
            faults += [f"{name}: {fault}" for fault in each.faults]
    if faults:
        sys.exit("\n" + "\n".join(faults))


if __name__ == "__main__":
    main()
