"""What must hold of a [cloud.NAME] table, by itself or with the cloud it is based on."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from m365gw.config.checks.exits import graph_faults
from m365gw.config.clouds import completed
from m365gw.config.mailboxes import CustomCloud
from m365gw.config.sources import Fault, KeyPath
from m365gw.microsoft.clouds import PRESETS, is_loopback, split_host_port


def cloud_faults(name: str, given: CustomCloud) -> Iterator[Fault]:
    """Every fault of one cloud."""
    here: KeyPath = ("cloud", name)
    known = ", ".join(PRESETS)
    if name in PRESETS:
        yield (
            here,
            f'"{name}" is the name of a Microsoft cloud',
            f'Choose another name, say based_on = "{name}", and name it as cloud of the mailbox.',
        )
    if given.based_on and given.based_on not in PRESETS:
        yield (
            (*here, "based_on"),
            f'there is no Microsoft cloud "{given.based_on}"',
            f"Known: {known}.",
        )
        return
    cloud = completed(given)
    for key in ("smtp", "authority"):
        if not getattr(cloud, key):
            yield here, f"{key} is missing", f"Add it, or based_on = one of {known}."
    if cloud.authority and not _is_authority(cloud.authority):
        yield (*here, "authority"), "must be an https address that holds the word TENANT", ""
    yield from graph_faults(here, cloud.graph, is_rehearsal=cloud.rehearsal)
    if given.proxy and not _is_proxy(given.proxy):
        yield (*here, "proxy"), "must be an address as http://proxy.example.com:3128", ""
    if cloud.smtp:
        try:
            host, _ = split_host_port(cloud.smtp)
        except ValueError as error:
            yield (*here, "smtp"), str(error), ""
        else:
            yield from _rehearsal(here, cloud, host)


def _is_authority(authority: str) -> bool:
    return authority.startswith("https://") and "TENANT" in authority


def _is_proxy(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def _rehearsal(here: KeyPath, cloud: CustomCloud, host: str) -> Iterator[Fault]:
    """A rehearsal is on loopback and says so; neither happens by accident."""
    signs = urlsplit(cloud.authority).hostname or ""
    places = [is_loopback(host), is_loopback(signs)]
    if cloud.rehearsal and not all(places):
        yield (
            (*here, "rehearsal"),
            "a rehearsal must be on loopback (127.0.0.1)",
            "Mail to a real host is no rehearsal: take rehearsal out.",
        )
    if any(places) and not cloud.rehearsal:
        yield (
            here,
            "points at this machine, so it is not Microsoft",
            "If a rehearsal is meant, say rehearsal = true.",
        )
