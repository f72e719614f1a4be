"""D01: the ground the service stands on: files it must read, folders it must write, room on disk.

All of it blocks, so it runs in a thread. The spool is tried with a file of our own at its root,
which no message lies in; it is synced as messages are, and removed.
"""

from __future__ import annotations

import os
import pwd
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from m365gw.config.settings import Settings
from m365gw.doctor.finding import Seen, bad, doubtful, good
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

SLOW_SYNC: Final = 0.1  # seconds; then a message waits longer for the disk than for the network


def look(settings: Settings) -> Seen:
    """D01, blocking."""
    tried = f"reading the named files, writing to {settings.state_dir} and {settings.spool_dir}"
    troubles = [*_files(settings), *_folders(settings)]
    if not troubles:
        try:
            seconds = _sync_time(Path(settings.spool_dir))
        except OSError as problem:
            troubles.append(_cannot_write(settings.spool_dir, problem))
    if troubles:
        first, came_back = troubles[0], "; ".join(words for words, _ in troubles)
        return bad(tried, came_back, _unusable(first[0]), *(remedy for _, remedy in troubles))
    return _room(settings, tried, seconds)


def _unusable(words: str) -> Diagnosis:
    return Diagnosis(
        "host-unusable",
        f"A file or folder of the gateway cannot be used: {words}.",
        "It belongs to somebody else, is missing, or its disk is read-only.",
        "Give it to the user of the service, then run this again.",
        "operator",
    )


def _files(settings: Settings) -> Iterator[tuple[str, Remedy]]:
    """Files of the configuration that this user cannot read."""
    named = [
        settings.tls.certificate,
        settings.tls.key,
        *(name for pair in settings.tls.extra for name in (pair.certificate, pair.key)),
        *(
            name
            for mailbox in settings.mailbox
            for name in (
                mailbox.client_secret_file,
                mailbox.certificate_file,
                mailbox.certificate_passphrase_file,
                mailbox.federated_token_file,
            )
        ),
        *(cloud.ca_file for cloud in settings.cloud.values()),
    ]
    for name in dict.fromkeys(filter(None, named)):
        try:
            with open(name, "rb") as file:
                file.read(1)
        except OSError as problem:
            yield _trouble(f"{name}: {problem.strerror}", f"chown {_user()} {name}")


def _folders(settings: Settings) -> Iterator[tuple[str, Remedy]]:
    for folder in (settings.state_dir, settings.spool_dir):
        try:
            owner = os.stat(folder).st_uid
        except OSError as problem:
            fix = f"install -d -m 0700 -o {_user()} {folder}"
            yield _trouble(f"{folder}: {problem.strerror}", fix)
            continue
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            words = f"{folder} belongs to {_user(owner)} and {_user()} cannot write there"
            yield _trouble(words, f"chown -R {_user()} {folder}")


def _trouble(words: str, fix: str) -> tuple[str, Remedy]:
    return words, Remedy(words, f"On this machine, as root: {fix}", "", "operator", "at once")


def _cannot_write(folder: str, problem: OSError) -> tuple[str, Remedy]:
    return _trouble(f"{folder} cannot be written: {problem.strerror}", f"df -h {folder}; dmesg")


def _sync_time(folder: Path) -> float:
    """Seconds that one small file and its folder take to be durable."""
    descriptor, name = tempfile.mkstemp(prefix=".doctor-", dir=folder)
    try:
        began = time.monotonic()
        os.write(descriptor, b"m365gw doctor\n")
        os.fsync(descriptor)
        return time.monotonic() - began
    finally:
        os.close(descriptor)
        os.unlink(name)


def _room(settings: Settings, tried: str, seconds: float) -> Seen:
    disk = os.statvfs(settings.spool_dir)
    free, files = disk.f_bavail * disk.f_frsize, disk.f_favail
    limits = settings.limits
    words = f"a sync takes {seconds * 1000:.1f} ms, {free:,} octets free"
    words += f", room for {files:,} files" if disk.f_files else ""
    if free <= limits.minimal_free_space or (disk.f_files and files <= limits.minimal_free_inodes):
        diagnosis = Diagnosis(
            "spool-full",
            "The disk of the spool is nearly full; no mail is taken (452).",
            f"minimal_free_space is {limits.minimal_free_space:,} octets, minimal_free_inodes"
            f" {limits.minimal_free_inodes:,}.",
            f"Make room on the disk of {settings.spool_dir}, or lower these settings.",
            "operator",
        )
        fix = Remedy(
            diagnosis.why, f"On this machine: df -h {settings.spool_dir}", "", "operator", "at once"
        )
        return bad(tried, words, diagnosis, fix)
    if seconds > SLOW_SYNC:
        diagnosis = Diagnosis(
            "spool-slow",
            "The disk of the spool is slow to make a file durable.",
            "Each message waits for it before its 250.",
            "Move spool_dir to a faster disk, best one with a write cache that survives a power"
            " failure.",
            "operator",
        )
        return doubtful(tried, words, diagnosis)
    return good(tried, words)


def _user(number: int | None = None) -> str:
    uid = os.geteuid() if number is None else number
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
