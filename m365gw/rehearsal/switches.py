"""Changes to a running rehearsal given as plain JSON values, checked before any of them is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import AttrsInstance, evolve, fields_dict

from m365gw.rehearsal.limits import Limits
from m365gw.rehearsal.middlebox import Middlebox
from m365gw.rehearsal.tenant import (
    CONSENT,
    MANAGED,
    App,
    Federation,
    Mailbox,
    Secret,
    Tenant,
    User,
)

Entry = TypeVar("Entry", bound=AttrsInstance)

CHOICES = {"rate_mode": ("delay", "refuse"), "consent": CONSENT, "managed": MANAGED}
SECTIONS = ("tenant", "limits", "middlebox", "mailboxes", "users", "apps")
COLLECTIONS = ("apps", "mailboxes", "users")
WORDS = {
    "tenant": "switches of the tenant",
    "limits": "limits",
    "middlebox": "switches of the middlebox",
}

Targets = tuple[tuple[Tenant, str], tuple[Limits, str], tuple[Middlebox, str]]


def apply_switches(
    tenant: Tenant, limits: Limits, middlebox: Middlebox, values: Mapping[str, Any]
) -> None:
    """Makes the changes of {"tenant": {...}, "limits": {...}, "mailboxes": {address: {...}}, ...}.

    A mailbox, user or app that is not there yet is added. ValueError: a name or a value is wrong,
    and nothing was changed.
    """
    targets: Targets = ((tenant, "tenant"), (limits, "limits"), (middlebox, "middlebox"))
    _check(targets, values)
    evolve(middlebox, **values.get("middlebox", {}))  # its own checks
    mailboxes = [
        _changed(tenant.mailbox(address) or Mailbox(address=address), changes)
        for address, changes in values.get("mailboxes", {}).items()
    ]
    users = [
        _changed(tenant.user(name) or User(name=name), changes)
        for name, changes in values.get("users", {}).items()
    ]
    apps = [
        _changed(tenant.apps.get(client_id) or App(client_id=client_id), changes)
        for client_id, changes in values.get("apps", {}).items()
    ]

    # Nothing can go wrong any more.
    for target, name in targets:
        for key, value in values.get(name, {}).items():
            setattr(target, key, value)
    for mailbox in mailboxes:
        tenant.add_mailbox(mailbox)
    for user in users:
        tenant.users[user.name.lower()] = user
    for app in apps:
        tenant.apps[app.client_id] = app


def _check(targets: Targets, values: Mapping[str, Any]) -> None:
    """ValueError: a section or a name is not known, or a value is of the wrong kind."""
    _demand_known("sections", values, SECTIONS)
    for target, name in targets:
        given = values.get(name, {})
        known = [each for each in fields_dict(type(target)) if each not in COLLECTIONS]
        _demand_known(WORDS[name], given, known)
        for key, value in given.items():
            _demand_like(key, getattr(target, key), value)
    for name in COLLECTIONS:
        _demand_known(name, values.get(name, {}), values.get(name, {}))


def remove(tenant: Tenant, values: Mapping[str, Any]) -> None:
    """Deletes {"users": [...], "mailboxes": [...], "apps": [...]}. KeyError: one is not there."""
    kinds: dict[str, dict[str, Any]] = {
        "users": tenant.users,
        "mailboxes": tenant.mailboxes,
        "apps": tenant.apps,
    }
    _demand_known("kinds", values, kinds)
    for kind, names in values.items():
        for name in names:
            del kinds[kind][name.lower()]


def _changed(entry: Entry, changes: Mapping[str, Any]) -> Entry:
    _demand_known(
        f"fields of a {type(entry).__name__.lower()}", changes, list(fields_dict(type(entry)))
    )
    native = {}
    for name, value in changes.items():
        before = getattr(entry, name)
        _demand_like(name, before, value)
        native[name] = _native(name, before, value)
    changed: Entry = evolve(entry, **native)  # type: ignore[misc]  # no plugin for the variable
    return changed


def _native(name: str, before: object, value: Any) -> Any:
    """A JSON value as the field has it: tuples and sets for lists."""
    if name == "secrets":
        return tuple(Secret(**each) for each in value)
    if name == "federations":
        return tuple(Federation(**each) for each in value)
    if name == "certificates":
        return tuple(each.encode() for each in value)
    if isinstance(before, frozenset):
        return frozenset(value)
    return tuple(value) if isinstance(before, tuple) else value


def _demand_like(name: str, before: object, value: Any) -> None:
    """A number for a number, a switch for a switch, a list for a list."""
    if name in CHOICES:
        right = value in CHOICES[name]
    elif name == "smtp_auth_disabled":
        right = value is None or isinstance(value, bool)
    elif isinstance(before, bool):
        right = isinstance(value, bool)
    elif isinstance(before, int | float):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        right = is_number and (name == "clock_off" or value >= 0)
    elif isinstance(before, str):
        right = isinstance(value, str)
    else:
        right = isinstance(value, list)
    if not right:
        raise ValueError(f"{name} cannot be {value!r}")


def _demand_known(what: str, given: Any, known: Any) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{what}: an object is needed")
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"unknown {what}: {', '.join(unknown)}; there are {', '.join(known)}")
