"""What must hold of [[sign_in]] and [self_service]: closed until all that it needs is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from m365gw.config.checks.mailboxes import SHARED_TENANTS
from m365gw.config.checks.rules import pattern_fault
from m365gw.config.self_service import SelfService, SignIn
from m365gw.config.settings import Settings
from m365gw.config.sources import Fault, KeyPath

MOST_PASSWORDS = 7  # one less than a client may have, so that one can be exchanged for a new one
PERSONAL = "consumers"

_SERVER = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,252}[0-9A-Za-z])?:([0-9]{1,5})")


def self_service_faults(settings: Settings, clouds: Sequence[str]) -> Iterator[Fault]:
    """Every fault of both tables. `clouds` are the names a [[sign_in]] may use."""
    names = [each.name for each in settings.sign_in]
    for number, app in enumerate(settings.sign_in):
        here: KeyPath = ("sign_in", number)
        if app.name in names[:number]:
            yield (*here, "name"), f'"{app.name}" is there twice', "Each needs its own name."
        yield from _sign_in(here, app, clouds)
    if settings.web.sign_in:
        yield from _for_operators(settings)
    if settings.self_service.enabled:
        yield from _needs(settings)
    yield from _self_service(settings.self_service)


def _sign_in(here: KeyPath, app: SignIn, clouds: Sequence[str]) -> Iterator[Fault]:
    if not (app.name.strip() and app.name.isprintable() and len(app.name) <= 60):
        yield (
            (*here, "name"),
            "is no name for a button",
            'As "Contoso account", 60 letters at most.',
        )
    if not app.client_id:
        yield (*here, "client_id"), "is missing", "Entra shows it: Application (client) ID."
    if not re.fullmatch(r"[0-9A-Za-z.-]+", app.tenant):
        remedy = f"Give the id or a domain of the tenant, or {' or '.join(SHARED_TENANTS[1:])}."
        yield (*here, "tenant"), f'"{app.tenant}" is neither a tenant id nor a domain', remedy
    elif app.tenant.lower() == "common":
        yield (
            (*here, "tenant"),
            '"common" does not say whether an account is of work or personal',
            'Make two: one with "organizations", one with "consumers".',
        )
    if app.cloud not in clouds:
        yield (
            (*here, "cloud"),
            f'there is no cloud "{app.cloud}"',
            f"Known: {', '.join(clouds)}; or define [cloud.{app.cloud}].",
        )
    if app.client_secret and app.certificate_file:
        yield (
            (*here, "certificate_file"),
            "client_secret is given too",
            "Keep one of the two: an app proves itself by one.",
        )


def _for_operators(settings: Settings) -> Iterator[Fault]:
    """Operators sign in to one tenant, whose administrators say who has which address."""
    key, name = ("web", "sign_in"), settings.web.sign_in
    app = next((each for each in settings.sign_in if each.name == name), None)
    if app is None:
        known = ", ".join(each.name for each in settings.sign_in) or "none"
        yield key, f'there is no [[sign_in]] "{name}"', f"Known: {known}."
    elif app.tenant.lower() in SHARED_TENANTS:
        remedy = "Name one whose tenant is an id or a domain."
        yield key, f'"{name}" takes people of any organisation', remedy
    if not settings.web.public_url:
        yield key, "needs public_url, where Microsoft sends people back to", "Set it in [web]."


def _needs(settings: Settings) -> Iterator[Fault]:
    """What has to be there before anybody can use the page."""
    own = settings.self_service
    key = ("self_service", "enabled")
    if not settings.web.endpoint:
        yield key, "needs the web server", "Set endpoint in [web]."
    if not settings.web.public_url:
        yield (
            key,
            "needs the address people come by: Microsoft sends them back to it",
            'Set public_url in [web], as "https://relay.example.com".',
        )
    if not settings.sign_in:
        yield key, "has nothing to sign in with", "Add a [[sign_in]]: docs/self-service.md."
    if not own.allow:
        yield (
            ("self_service", "allow"),
            "is empty, so nobody may use the page",
            'As ["*@contoso.com"]; ["*"] is everybody whom a [[sign_in]] takes.',
        )
    for number, app in enumerate(settings.sign_in):
        if app.tenant.lower() == PERSONAL and not own.personal_accounts:
            yield (
                ("sign_in", number, "tenant"),
                '"consumers" takes personal accounts only, and they may not use the page',
                "Set personal_accounts = true in [self_service], or take this one out.",
            )


def _self_service(own: SelfService) -> Iterator[Fault]:
    for name in ("allow", "deny"):
        for pattern in getattr(own, name):
            yield from pattern_fault(("self_service", name), pattern, is_sender=False)
    if not 1 <= own.passwords <= MOST_PASSWORDS:
        yield (
            ("self_service", "passwords"),
            "is no number from 1 to 7",
            "Three are enough for most.",
        )
    if own.password_lifetime and own.password_lifetime < 86400:
        yield (
            ("self_service", "password_lifetime"),
            "is less than a day",
            'As "180d"; 0: they do not end.',
        )
    for server in own.servers:
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found[1]) < 65536:
            yield (
                ("self_service", "servers"),
                f'"{server}" is no host with a port',
                'As "smtp.example.com:587".',
            )
