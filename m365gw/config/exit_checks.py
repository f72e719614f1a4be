"""What must hold of the exit of a mailbox, and of the Graph address of a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from m365gw.config.settings import Mailbox
from m365gw.config.sources import Fault, KeyPath
from m365gw.microsoft.clouds import is_loopback


def exit_faults(here: KeyPath, mailbox: Mailbox, without_graph: frozenset[str]) -> Iterator[Fault]:
    """Every fault of one mailbox. `without_graph`: the clouds that name no Graph address."""
    if mailbox.fallback == mailbox.exit:
        yield (
            (*here, "fallback"),
            f'is the same as exit: "{mailbox.exit}"',
            "Name the other exit, or take it out.",
        )
    if "graph" in (mailbox.exit, mailbox.fallback) and mailbox.cloud in without_graph:
        yield (
            here,
            f'leaves by Graph, and [cloud.{mailbox.cloud}] has no "graph"',
            'Add graph = "https://..." to that cloud.',
        )


def graph_faults(here: KeyPath, graph: str, *, is_rehearsal: bool) -> Iterator[Fault]:
    """Every fault of the Graph address of a cloud; none when it has none."""
    if not graph:
        return
    parts = urlsplit(graph)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        yield (
            (*here, "graph"),
            f'"{graph}" is not the base address of Graph',
            'As "https://graph.microsoft.com/v1.0".',
        )
    elif is_loopback(parts.hostname) is not is_rehearsal:
        yield (
            (*here, "graph"),
            "Graph must be on this machine for a rehearsal, and only for one",
            "Let smtp, authority and graph lead to the same rehearsal, or to Microsoft.",
        )
