"""Loading the configuration: from files and environment to checked settings.

`load` gives settings that the service can run with, or raises `ConfigError` with every problem.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
from attrs import frozen

from m365gw.config import sources, structure
from m365gw.config.alerts import Webhook
from m365gw.config.checks import checks
from m365gw.config.directory import Directory
from m365gw.config.fields import FileName
from m365gw.config.files import is_open_to_all
from m365gw.config.problems import ConfigError, Problem
from m365gw.config.self_service import SignIn, with_app
from m365gw.config.settable import Configured
from m365gw.config.settings import Mailbox, Settings
from m365gw.config.sound import Sound, sound_part
from m365gw.config.sources import DEFAULT_PATH, PATH_VARIABLE, KeyPath, Tree
from m365gw.config.web import FIRST_PLACE

T = TypeVar("T", Mailbox, SignIn, Directory, Webhook)


@frozen
class Loaded:
    """The settings, and the tree that knows where each value came from."""

    settings: Settings
    tree: Tree


def load(config: str | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read, build and check the configuration.

    Without `config` the file that the variable M365GW_CONFIG names is read, else the default file
    where there is one. Raises `ConfigError`.
    """
    given = dict(os.environ if environment is None else environment)
    named = config or given.pop(PATH_VARIABLE, None)
    given.pop(PATH_VARIABLE, None)
    path = Path(named or DEFAULT_PATH)
    tree = sources.read(path.absolute(), given, must_exist=named is not None)
    settings, malformed = structure.well_formed(tree)
    problems = [*tree.problems, *(problem for _, problem in malformed)]
    if not tree.problems:  # what could not be read would only seem missing
        sound = sound_part(tree, [path for path, _ in malformed])
        checked = settings or structure.settings_from(sound.tree)[0]
        if checked is not None:
            settings, faults = _checked(checked, sound)
            problems += faults
    if problems and named is None and not tree.files:
        remedy = "Write one from etc/m365gw.toml, or name another: --config FILE"
        problems.insert(0, Problem(str(path), "is not there", remedy))
    if settings is None or problems:
        raise ConfigError(problems)
    return Loaded(_configured(settings, tree), tree)


def _checked(settings: Settings, sound: Sound) -> tuple[Settings, list[Problem]]:
    """The settings with their files and secrets, and what is wrong with their meaning."""
    settings = _with_absolute_files(settings, sound.tree, ())
    settings, problems = _with_secrets(settings, sound.tree)
    problems += [
        Problem(structure.place_of(sound.tree, path), fault, remedy)
        for path, fault, remedy in checks.faults(settings)
        if sound.is_certain(path)
    ]
    return settings, problems


def _configured(settings: Settings, tree: Tree) -> Configured:
    """The settings, with where each was given."""
    if not (settings.listener or settings.web.endpoint):
        settings = attrs.evolve(settings, web=attrs.evolve(settings.web, endpoint=FIRST_PLACE))
    values = {each.name: getattr(settings, each.name) for each in attrs.fields(Settings)}
    places = {structure.key_name(path): origin.place for path, origin in tree.origins.items()}
    return Configured(**values, places=places)


def _with_absolute_files(value: Any, tree: Tree, path: KeyPath) -> Any:
    """The settings with each relative file name made absolute from where it was given."""
    if isinstance(value, tuple):
        return tuple(_with_absolute_files(each, tree, (*path, n)) for n, each in enumerate(value))
    if isinstance(value, dict):
        return {key: _with_absolute_files(each, tree, (*path, key)) for key, each in value.items()}
    if not attrs.has(type(value)):
        return value
    hints = typing.get_type_hints(type(value), include_extras=True)
    changed: dict[str, Any] = {}
    for name, kind in hints.items():
        old, here = getattr(value, name), (*path, name)
        if kind == FileName:
            changed[name] = str(tree.origin(here).folder / old) if old else old
        else:
            changed[name] = _with_absolute_files(old, tree, here)
    return attrs.evolve(value, **changed)


def _with_secrets(settings: Settings, tree: Tree) -> tuple[Settings, list[Problem]]:
    """The settings with each secret read from its file, where one is named."""
    problems: list[Problem] = []
    mailboxes, apps = list(settings.mailbox), list(settings.sign_in)
    for name in ("client_secret", "certificate_passphrase"):
        for number, mailbox in enumerate(mailboxes):
            mailboxes[number] = _with_secret(mailbox, name, tree, ("mailbox", number), problems)
        for number, app in enumerate(apps):
            apps[number] = _with_secret(app, name, tree, ("sign_in", number), problems)
    directory = _with_secret(settings.directory, "url", tree, ("directory",), problems)
    webhooks = list(settings.alerts.webhook)
    for number in range(len(webhooks)):
        for name in ("url", "secret"):
            here = ("alerts", "webhook", number)
            webhooks[number] = _with_secret(webhooks[number], name, tree, here, problems)
    alerts = attrs.evolve(settings.alerts, webhook=tuple(webhooks))
    known = attrs.evolve(
        settings,
        mailbox=tuple(with_app(mailbox, apps) for mailbox in mailboxes),
        sign_in=tuple(apps),
        directory=directory,
        alerts=alerts,
    )
    return known, problems


def _with_secret(row: T, name: str, tree: Tree, path: KeyPath, problems: list[Problem]) -> T:
    """A table of the settings with this secret of it, read from the file `NAME_file`."""
    file = getattr(row, f"{name}_file")
    if not file:
        return row
    place = structure.place_of(tree, (*path, f"{name}_file"))
    if getattr(row, name):
        problems.append(Problem(place, f"{name} is given too", "Keep one of the two."))
        return row
    secret, fault = _secret_in(file)
    problems += [Problem(place, fault)] if fault else []
    # An unreadable secret is one fault, not also a missing or a wrong one.
    read: dict[str, Any] = {name: secret or sources.UNREADABLE}
    return attrs.evolve(row, **read)


def _secret_in(file: str) -> tuple[str, str]:
    """The secret in a file and "", or "" and the fault."""
    try:
        if is_open_to_all(file):
            return "", f"{file} can be read by everybody: chmod o-rwx {file}"
        text = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        return "", f"{file} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return "", f"{file} is not text in UTF-8"
    return text, "" if text else f"{file} is empty"
