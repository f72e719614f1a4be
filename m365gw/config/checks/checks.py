"""What must hold between settings, beyond the type of each: references, TLS, clouds, secrets.

Each check gives the key it is about and the fault; the loader adds file and line. Nothing here
opens a connection; files are only looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from ipaddress import ip_network
from unicodedata import normalize

import attrs

from m365gw.config import files
from m365gw.config.checks.alerts import alert_faults
from m365gw.config.checks.clients import client_faults, network_fault
from m365gw.config.checks.clouds import cloud_faults
from m365gw.config.checks.exits import exit_faults
from m365gw.config.checks.listeners import listener_faults
from m365gw.config.checks.mailboxes import mailbox_faults
from m365gw.config.checks.rules import (
    address_fault,
    known_mailboxes,
    mailbox_fault,
    rule_faults,
)
from m365gw.config.checks.self_service import self_service_faults
from m365gw.config.checks.web import web_faults
from m365gw.config.clouds import completed
from m365gw.config.endpoints import is_fixed
from m365gw.config.settings import CustomCloud, Settings
from m365gw.config.sources import UNREADABLE, Fault, KeyPath
from m365gw.microsoft.clouds import PRESETS, Cloud

_HOSTNAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,252}[0-9A-Za-z])?")
_USER = re.compile(r"\*|[^\x00-\x20\x7f:/*]{1,256}")
_DATABASE = re.compile(r"postgres(?:ql)?://")
MAY_BE_ZERO = (
    "tenant_external_recipients_per_day",
    "connector_recipients_per_day",
    "minimal_free_space",
    "minimal_free_inodes",
    "connection_reserve",
    "connection_idle",
    "shutdown_timeout",
)
LONGEST_SOCKET_NAME = 107  # octets, unix(7)


def faults(settings: Settings) -> Iterator[Fault]:
    """Every (key, fault, remedy) in otherwise well-formed settings."""
    yield from _listeners(settings)
    yield from _mailboxes(settings)
    yield from _clouds(settings)
    yield from _clients(settings)
    yield from _networks(settings)
    yield from _local_users(settings)
    yield from files.faults(settings)
    yield from _directory(settings)
    if settings.hostname and not _HOSTNAME.fullmatch(settings.hostname):
        yield ("hostname",), f"{settings.hostname!r} is not a host name", 'As "relay.example.com".'
    if len(os.fsencode(settings.control_socket)) > LONGEST_SOCKET_NAME:
        yield (
            ("control_socket",),
            f"is longer than the {LONGEST_SOCKET_NAME} octets the name of a socket may have",
            'Name a place higher up, as "/run/m365gw/control.sock".',
        )
    if settings.queue.postmaster:
        yield from address_fault(("queue", "postmaster"), settings.queue.postmaster)
    for number, address in enumerate(settings.doctor.out_of_scope):
        yield from address_fault(("doctor", "out_of_scope", number), address)
    yield from _reports(settings)
    yield from alert_faults(settings.alerts, known_mailboxes(settings.mailbox))
    yield from web_faults(settings.web)
    yield from self_service_faults(settings, [*PRESETS, *settings.cloud])
    for table in ("limits", "logins", "governor"):
        for name, value in attrs.asdict(getattr(settings, table)).items():
            if isinstance(value, int | float) and value <= 0 and name not in MAY_BE_ZERO:
                yield (table, name), "must be more than 0", "Take it out to get the default."
    if settings.limits.connection_reserve >= settings.limits.connection_limit:
        yield (
            ("limits", "connection_reserve"),
            "leaves no connection to clients that are not known",
            "Make it less than connection_limit.",
        )
    if settings.logins.shortest_wait > settings.logins.longest_wait:
        yield ("logins", "shortest_wait"), "is longer than longest_wait", ""
    if settings.queue.minimal_backoff_time > settings.queue.maximal_backoff_time:
        yield ("queue", "minimal_backoff_time"), "is longer than maximal_backoff_time", ""


def _reports(settings: Settings) -> Iterator[Fault]:
    """Reports leave by a mailbox that is there, and not none of them at all."""
    if settings.queue.report_from:
        yield from mailbox_fault(
            ("queue", "report_from"), settings.queue.report_from, known_mailboxes(settings.mailbox)
        )
    if settings.queue.report_limit < 1:
        yield ("queue", "report_limit"), "must be at least 1", "Take it out to get the default."


def _directory(settings: Settings) -> Iterator[Fault]:
    url = settings.directory.url
    if url and url != UNREADABLE and not _DATABASE.match(url):
        yield (
            ("directory", "url"),
            "names no PostgreSQL database",
            'As "postgresql://user@host/name"; for SQLite, take it out.',
        )


def _listeners(settings: Settings) -> Iterator[Fault]:
    yield from _duplicates("listener", "name", [each.name for each in settings.listener])
    places = [
        each.endpoint if is_fixed(each.endpoint) else f"any {number}"
        for number, each in enumerate(settings.listener)
    ]
    yield from _duplicates("listener", "endpoint", places)
    for number, listener in enumerate(settings.listener):
        here: KeyPath = ("listener", number)
        yield from listener_faults(here, listener)


def _mailboxes(settings: Settings) -> Iterator[Fault]:
    addresses = [each.address.lower() for each in settings.mailbox]
    yield from _duplicates("mailbox", "address", addresses)
    clouds = [*PRESETS, *settings.cloud]
    own = {name: completed(cloud) for name, cloud in settings.cloud.items()}
    known: dict[str, Cloud | CustomCloud] = {**PRESETS, **own}
    buttons = {each.name for each in settings.sign_in}
    for number, mailbox in enumerate(settings.mailbox):
        here: KeyPath = ("mailbox", number)
        yield from mailbox_faults(here, mailbox, clouds)
        yield from exit_faults(here, mailbox, known.get(mailbox.cloud))
        if mailbox.sign_in and mailbox.sign_in not in buttons:
            yield (
                (*here, "sign_in"),
                f'there is no [[sign_in]] "{mailbox.sign_in}" any more',
                f"Put it back under that name, or: m365gw mailbox remove {mailbox.address}",
            )


def _clouds(settings: Settings) -> Iterator[Fault]:
    for name, cloud in settings.cloud.items():
        yield from cloud_faults(name, cloud)


def _clients(settings: Settings) -> Iterator[Fault]:
    mailboxes = known_mailboxes(settings.mailbox)
    logins = [normalize("NFC", each.login) for each in settings.client]  # as they are compared
    yield from _duplicates("client", "login", logins)
    for number, client in enumerate(settings.client):
        here: KeyPath = ("client", number)
        yield from client_faults(here, client)
        yield from rule_faults(here, client, mailboxes)


def _networks(settings: Settings) -> Iterator[Fault]:
    mailboxes = known_mailboxes(settings.mailbox)
    yield from _duplicates("network", "cidr", [_one_spelling(n.cidr) for n in settings.network])
    for number, network in enumerate(settings.network):
        here: KeyPath = ("network", number)
        yield from network_fault((*here, "cidr"), network.cidr)
        yield from rule_faults(here, network, mailboxes)


def _one_spelling(cidr: str) -> str:
    """A network however it is written: two rules for one would make a secret of which counts."""
    try:
        return str(ip_network(cidr))
    except ValueError:
        return cidr  # said by its own check


def _local_users(settings: Settings) -> Iterator[Fault]:
    mailboxes = known_mailboxes(settings.mailbox)
    yield from _duplicates("local", "user", [each.user for each in settings.local])
    for number, local in enumerate(settings.local):
        here: KeyPath = ("local", number)
        if not _USER.fullmatch(local.user):
            yield (*here, "user"), f"{local.user!r} is not a user", 'As "www-data", "1000", "*".'
        if local.recipient:
            yield from address_fault((*here, "recipient"), local.recipient)
        yield from rule_faults(here, local, mailboxes)


def _duplicates(table: str, key: str, names: list[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield (table, number, key), f'"{name}" is there twice', f"Each needs its own {key}."
        seen.add(name)
