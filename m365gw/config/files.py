"""What the files that settings name must be: readable, and what their setting says they are.

The certificates and keys are only loaded, by the standard library; the rooms that use them read
them again. Nothing of a file's content stands in a fault.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from m365gw.config.key_pairs import Unusable, kinds_for, read_pairs
from m365gw.config.mailboxes import Mailbox
from m365gw.config.self_service import SignIn
from m365gw.config.settings import Settings, Tls
from m365gw.config.sources import Fault, KeyPath

_READABLE = "The file must exist and be readable by the service."


def faults(settings: Settings) -> Iterator[Fault]:
    """Every fault of a file, except those of the secrets, which are read with the settings."""
    yield from _tls(settings.tls)
    for number, extra in enumerate(settings.tls.extra):
        yield from _pair(("tls", "extra", number), extra.certificate, extra.key)
    for number, mailbox in enumerate(settings.mailbox):
        yield from _app_certificate(("mailbox", number, "certificate_file"), mailbox)
    for number, app in enumerate(settings.sign_in):
        yield from _app_certificate(("sign_in", number, "certificate_file"), app)
    for name, cloud in settings.cloud.items():
        yield from _unreadable(("cloud", name, "ca_file"), cloud.ca_file)
    for number, webhook in enumerate(settings.alerts.webhook):
        yield from _unreadable(("alerts", "webhook", number, "ca_file"), webhook.ca_file)


def _app_certificate(here: KeyPath, mailbox: Mailbox | SignIn) -> Iterator[Fault]:
    """The faults of what an app signs in with, or a connector knows us by."""
    file = mailbox.certificate_file
    unreadable = list(_unreadable(here, file))
    yield from unreadable
    if not file or unreadable:
        return
    if is_open_to_all(file):
        yield here, f"{file} can be read by everybody: chmod o-rwx {file}", ""
    try:
        read_pairs(Path(file).read_bytes(), mailbox.certificate_passphrase, kinds_for(mailbox.exit))
    except Unusable as problem:
        yield here, f"{file} holds no certificate with its key", str(problem)


def is_open_to_all(file: str) -> bool:
    """Whether every user of the machine may read or change the file. Raises `OSError`."""
    return bool(os.stat(file).st_mode & (stat.S_IROTH | stat.S_IWOTH))


def _tls(tls: Tls) -> Iterator[Fault]:
    if bool(tls.certificate) != bool(tls.key):
        remedy = "Give both, or none for a self-signed one."
        yield ("tls",), "certificate and key belong together", remedy
    yield from _pair(("tls",), tls.certificate, tls.key)


def _pair(here: KeyPath, certificate: str, key: str) -> Iterator[Fault]:
    """The faults of a certificate and its key, each in a file of its own."""
    unreadable = [
        fault
        for name, file in (("certificate", certificate), ("key", key))
        for fault in _unreadable((*here, name), file)
    ]
    yield from unreadable
    if certificate and key and not unreadable and not _is_pair(certificate, key):
        yield (
            (*here, "key"),
            f"{key} is not the key of {certificate}",
            "Both must be PEM, the key without a passphrase, the server's certificate first.",
        )


def _is_pair(certificate: str, key: str) -> bool:
    """Whether the key is that of the first certificate. A passphrase is never asked for."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: b"")
    except (OSError, ValueError):
        return False
    return True


def _unreadable(path: KeyPath, file: str) -> Iterator[Fault]:
    if not file:
        return
    try:
        with Path(file).open("rb"):
            return
    except OSError as error:
        yield path, f"{file}: {error.strerror}", _READABLE
