"""Working on the files of the service as the user they belong to, when root calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_owner(folder: str) -> Iterator[None]:
    """What root makes inside belongs to the owner of this folder, as all in it must."""
    owner = os.stat(folder)
    user, group = os.geteuid(), os.getegid()
    if user or not owner.st_uid:
        yield
        return
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)
