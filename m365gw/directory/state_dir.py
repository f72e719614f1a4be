"""The folder of keys, certificates and sealed tokens: made when missing, and ours alone.

What another user writes there the service could not read, so whoever is not its owner is told at
once: the service when it starts, and the commands that write there.
"""

from __future__ import annotations

import os
import pwd


class NotOurs(Exception):
    """state_dir cannot be used. The text says why, and what to do."""


def claim(path: str) -> None:
    """Make the folder when it is missing, with mode 0700. Raises `NotOurs`."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        owner = os.stat(path).st_uid
    except OSError as error:
        raise NotOurs(
            f"state_dir {path} cannot be used: {error.strerror}. Make it for the user of the "
            f"service: install -d -m 0700 -o {_user(os.geteuid())} {path}"
        ) from error
    if owner != os.geteuid():
        raise NotOurs(
            f"state_dir {path} belongs to {_user(owner)}, and this runs as {_user(os.geteuid())}. "
            f"Run it as {_user(owner)} (sudo -u {_user(owner)} ...), or give the folder to the "
            "user of the service (chown -R)."
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
