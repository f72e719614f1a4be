"""Which mailboxes have something else to sign in with than when they last tried: for those that are
stopped, so that they try again as soon as somebody has signed in or replaced a secret.

There may be hundreds, looked at every few seconds. So one question to the database, and a look at
the times of the files they name, say whom to ask at all.

Blocking. Failures: none leave here; while the database is away nothing is new.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from m365gw.config.settings import Mailbox
from m365gw.directory.secret_settings import SIGN_IN
from m365gw.directory.vault import VaultError
from m365gw.relay.tokens.sign_in import vault_name

_FILES = ("certificate_file", "client_secret_file", "federated_token_file")


class Marks(Protocol):
    """What tells that secrets have changed (`directory.vault.Vault`). Blocking."""

    def marks(self, kind: str) -> dict[str, object]: ...


class SignInWatch:
    """Asks those whose marks have changed. `has_new` says whether one has something new."""

    def __init__(self, vault: Marks, has_new: Callable[[Mailbox], bool]) -> None:
        self._vault = vault
        self._has_new = has_new
        self._seen: dict[str, object] = {}  # marks of those that had nothing new

    def new(self, stopped: Iterable[Mailbox]) -> list[str]:
        """Addresses of those of these that have something new."""
        try:
            marks = self._vault.marks(SIGN_IN)
        except VaultError:
            return []
        found = []
        seen, self._seen = self._seen, {}
        for mailbox in stopped:
            mark = (mailbox, marks.get(vault_name(mailbox)), *_stamps(mailbox))
            if seen.get(mailbox.address) != mark and self._has_new(mailbox):
                found.append(mailbox.address)  # and asked again until it has tried with it
            else:
                self._seen[mailbox.address] = mark
        return found


def _stamps(mailbox: Mailbox) -> Iterable[object]:
    return [_stamp(file) for name in _FILES if (file := getattr(mailbox, name))]


def _stamp(file: str) -> Any:
    """What changes when a file is replaced or rewritten, or its permissions are."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
