"""What a new configuration changes, in words. Pure.

Some things cannot change while the gateway runs: where mail and secrets lie, and where commands
reach it. Those stay as they are until a restart,
and are said; everything else applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from m365gw.config.settings import Settings

FIXED = (
    "state_dir",
    "spool_dir",
    "control_socket",
    "control_socket_mode",
    "maildrop_dir",
    "directory",
)
_NAMES = {
    "listener": "name",
    "mailbox": "address",
    "client": "login",
    "network": "cidr",
    "local": "user",
    "sign_in": "name",
}


@frozen
class Changes:
    """What a reload does: `settings` are those that hold from then on."""

    settings: Settings
    changed: tuple[str, ...]  # "client printer3 added", "limits.recipient_limit changed"
    needs_restart: tuple[str, ...]  # keys that wait for a restart


def changes(running: Settings, wanted: Settings) -> Changes:
    """What becomes of running settings when these are wanted instead."""
    fixed: dict[str, Any] = {name: getattr(running, name) for name in FIXED}
    waiting = [name for name, value in fixed.items() if getattr(wanted, name) != value]
    threads = running.logins.check_threads
    if wanted.logins.check_threads != threads:
        waiting.append("logins.check_threads")
        fixed["logins"] = attrs.evolve(wanted.logins, check_threads=threads)
    settings = attrs.evolve(wanted, **fixed)
    return Changes(settings, tuple(_told(running, settings)), tuple(waiting))


def _told(old: Settings, new: Settings) -> Iterator[str]:
    for attribute in attrs.fields(Settings):
        name = attribute.name
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if name in _NAMES:
            key = _NAMES[name]
            yield from _rows(
                name,
                {getattr(row, key): row for row in before},
                {getattr(row, key): row for row in after},
            )
        elif isinstance(before, dict):
            yield from _rows(name, before, after)
        elif not attrs.has(type(before)):
            yield f"{name} changed"
        else:
            for inner in attrs.fields(type(before)):
                if getattr(before, inner.name) != getattr(after, inner.name):
                    yield f"{name}.{inner.name} changed"


def _rows(table: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name in (*before, *(name for name in after if name not in before)):
        if name not in after:
            yield f"{table} {name} removed"
        elif name not in before:
            yield f"{table} {name} added"
        elif before[name] != after[name]:
            yield f"{table} {name} changed"
