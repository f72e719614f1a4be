"""What must hold of the exit of a mailbox, and of the addresses a cloud has for it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from m365gw.config.mailboxes import CONNECTOR_FLOWS, CustomCloud, Mailbox
from m365gw.config.sources import Fault, KeyPath
from m365gw.microsoft.clouds import RELAY_PORT, Cloud, is_loopback, mx_of, split_host_port


def exit_faults(
    here: KeyPath, mailbox: Mailbox, cloud: Cloud | CustomCloud | None
) -> Iterator[Fault]:
    """Every fault of one mailbox. `cloud`: the one it names, None if there is none such."""
    if mailbox.exit == "connector":
        yield from _connector_faults(here, mailbox, cloud)
        return
    for key, given in (("flow", mailbox.flow == "address"), ("mx", mailbox.mx)):
        if given:
            yield (
                (*here, key),
                f'"{getattr(mailbox, key)}" is of no use with exit "{mailbox.exit}"',
                'It is for exit = "connector".',
            )
    if mailbox.fallback == mailbox.exit:
        yield (
            (*here, "fallback"),
            f'is the same as exit: "{mailbox.exit}"',
            "Name the other exit, or take it out.",
        )
    if "graph" in (mailbox.exit, mailbox.fallback) and cloud is not None and not cloud.graph:
        yield (
            here,
            f'leaves by Graph, and [cloud.{mailbox.cloud}] has no "graph"',
            'Add graph = "https://..." to that cloud.',
        )


def _connector_faults(
    here: KeyPath, mailbox: Mailbox, cloud: Cloud | CustomCloud | None
) -> Iterator[Fault]:
    """A connector knows us by certificate or address, and needs the host of the tenant."""
    if mailbox.flow not in CONNECTOR_FLOWS:
        yield (
            (*here, "flow"),
            f'"{mailbox.flow}" is of no use with exit "connector", where nobody signs in',
            'Set flow = "certificate", or "address" if the connector goes by addresses.',
        )
    for key in ("client_id", "fallback"):
        if getattr(mailbox, key):
            yield (*here, key), 'is of no use with exit "connector"', "Take it out."
    if cloud is None:
        return
    try:
        host, _ = split_host_port(mailbox.mx or mx_of(cloud.mx, mailbox.tenant), RELAY_PORT)
    except ValueError:
        yield (
            (*here, "mx"),
            f'"{mailbox.mx}" is no host' if mailbox.mx else "is missing; the tenant does not tell",
            "Add the host of the tenant's MX record (Microsoft 365 admin centre > Settings >"
            " Domains > the domain > DNS records > MX).",
        )
        return
    if is_loopback(host) is not cloud.rehearsal:
        yield (
            (*here, "mx"),
            f'"{host}" must be on this machine for a rehearsal, and only for one',
            "Name a cloud with rehearsal = true, or the host of the tenant's MX record.",
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
