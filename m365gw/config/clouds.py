"""The clouds a mailbox may name: Microsoft's own and those of the configuration."""

from __future__ import annotations

from m365gw.config.settings import Settings
from m365gw.microsoft.clouds import PRESETS, Cloud, custom


def clouds_of(settings: Settings) -> dict[str, Cloud]:
    """Every cloud by its name. The settings have been checked."""
    own = {
        name: custom(
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
        )
        for name, cloud in settings.cloud.items()
    }
    return {**PRESETS, **own}
