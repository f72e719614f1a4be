"""The clouds a mailbox may name: Microsoft's own and those of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from m365gw.config.mailboxes import CustomCloud, Mailbox
from m365gw.config.settings import Settings
from m365gw.microsoft.clouds import PRESETS, RELAY_PORT, Cloud, custom, mx_of, split_host_port


def clouds_of(settings: Settings) -> dict[str, Cloud]:
    """Every cloud by its name. The settings have been checked."""
    own = {name: _cloud(name, completed(cloud)) for name, cloud in settings.cloud.items()}
    return {**PRESETS, **own}


def cloud_of(mailbox: Mailbox, clouds: Mapping[str, Cloud]) -> Cloud:
    """The cloud a mailbox names. For exit connector its SMTP host is the one of the tenant."""
    cloud = clouds[mailbox.cloud]
    if mailbox.exit != "connector":
        return cloud
    host, port = split_host_port(mailbox.mx or mx_of(cloud.mx, mailbox.tenant), RELAY_PORT)
    return evolve(cloud, smtp_host=host, smtp_port=port)


def completed(cloud: CustomCloud) -> CustomCloud:
    """A cloud with the values of the one it is based on, where it gives none.

    Scopes are those of `worldwide` for a cloud that is based on none.
    """
    preset, scopes = PRESETS.get(cloud.based_on), PRESETS.get(cloud.based_on, PRESETS["worldwide"])
    names = ("scope", "user_scope", "graph_scope", "graph_user_scope")
    values = {name: getattr(scopes, name) for name in names}
    if preset is not None:
        values["smtp"] = f"{preset.smtp_host}:{preset.smtp_port}"
        values |= {"authority": preset.authority, "graph": preset.graph, "mx": preset.mx}
    missing: dict[str, Any] = {
        name: value for name, value in values.items() if not getattr(cloud, name)
    }
    return evolve(cloud, **missing)


def _cloud(name: str, cloud: CustomCloud) -> Cloud:
    return custom(
        name,
        smtp=cloud.smtp,
        authority=cloud.authority,
        scope=cloud.scope,
        user_scope=cloud.user_scope,
        graph=cloud.graph,
        graph_scope=cloud.graph_scope,
        graph_user_scope=cloud.graph_user_scope,
        ca_file=cloud.ca_file,
        rehearsal=cloud.rehearsal,
        proxy=cloud.proxy,
        mx=cloud.mx,
    )
