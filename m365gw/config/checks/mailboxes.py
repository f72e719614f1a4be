"""What must hold of a [[mailbox]]: its flow has what it needs, and nothing that is of no use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from m365gw.config.checks.rules import address_fault
from m365gw.config.mailboxes import APP_FLOWS, USER_FLOWS, Mailbox
from m365gw.config.sources import Fault, KeyPath

# Authorities that stand for many tenants at once.
SHARED_TENANTS = ("common", "organizations", "consumers")

# Settings of a credential, and the flows they belong to.
_CREDENTIALS = {
    "client_secret": ("secret", "web"),
    "client_secret_file": ("secret", "web"),
    "client_secret_expires": ("secret", "web"),
    "certificate": ("certificate", "web"),
    "certificate_file": ("certificate", "web"),
    "certificate_passphrase": ("certificate", "web"),
    "certificate_passphrase_file": ("certificate", "web"),
    "federated_token_file": ("federated",),
    "sign_in_as": USER_FLOWS,
}
_NEEDED = {
    "secret": (
        ("client_secret",),
        "a client secret",
        "Add client_secret_file = the file that holds it.",
    ),
    "certificate": (
        ("certificate_file", "certificate"),
        "a certificate",
        "Add certificate_file = a PEM file with key and certificate.",
    ),
    "federated": (
        ("federated_token_file",),
        "the token of a federated identity",
        "Add federated_token_file; in Kubernetes it is the value of AZURE_FEDERATED_TOKEN_FILE.",
    ),
}  # fmt: skip


def mailbox_faults(here: KeyPath, mailbox: Mailbox, clouds: Sequence[str]) -> Iterator[Fault]:
    """Every fault of one mailbox. `clouds` are the names it may use."""
    yield from address_fault((*here, "address"), mailbox.address)
    if mailbox.sign_in_as:
        yield from address_fault((*here, "sign_in_as"), mailbox.sign_in_as)
    if mailbox.cloud not in clouds:
        yield (
            (*here, "cloud"),
            f'there is no cloud "{mailbox.cloud}"',
            f"Known: {', '.join(clouds)}; or define [cloud.{mailbox.cloud}].",
        )
    yield from _tenant((*here, "tenant"), mailbox)
    if not mailbox.client_id and mailbox.has_token and mailbox.flow != "managed-identity":
        yield (*here, "client_id"), "is missing", "Add it; there is no default."
    yield from _credential(here, mailbox)


def _tenant(here: KeyPath, mailbox: Mailbox) -> Iterator[Fault]:
    if not re.fullmatch(r"[0-9A-Za-z.-]+", mailbox.tenant):
        yield here, f'"{mailbox.tenant}" is neither a tenant id nor a domain', ""
    elif mailbox.flow in APP_FLOWS and mailbox.tenant.lower() in SHARED_TENANTS:
        yield (
            here,
            f'flow "{mailbox.flow}" needs one tenant, "{mailbox.tenant}" stands for many',
            "Give the id or a domain of the tenant.",
        )


def _credential(here: KeyPath, mailbox: Mailbox) -> Iterator[Fault]:
    needed = _NEEDED.get(mailbox.flow)
    if needed is not None and not any(getattr(mailbox, key) for key in needed[0]):
        yield here, f'flow "{mailbox.flow}" needs {needed[1]}', needed[2]
    for key, flows in _CREDENTIALS.items():
        if getattr(mailbox, key) and mailbox.flow not in flows:
            others = " or ".join(f'"{flow}"' for flow in flows)
            yield (
                (*here, key),
                f'is of no use with flow "{mailbox.flow}"',
                f"Take it out, or set flow = {others}.",
            )
    keys = ("client_secret", "certificate", "certificate_file")
    given = [key for key in keys if getattr(mailbox, key)]
    if len(given) > 1:
        yield (
            (*here, given[1]),
            f"{given[0]} is given too",
            "Keep one of the two: an app proves itself by one.",
        )
