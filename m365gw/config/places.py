"""Where a folder or socket of the service is, without the rest of its configuration.

For commands that have to start at once, or that run as users who may not read the configuration:
they get what the environment says (M365GW_SPOOL_DIR, ...), else the default. What the values of
other settings are, and whether they make sense, is not looked at.

Failures: `ConfigError` for a file that is not there although it was named, or is no TOML.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from m365gw.config.problems import ConfigError, Problem
from m365gw.config.settings import Settings
from m365gw.config.sources import DEFAULT_PATH, PATH_VARIABLE, Tree, is_there, read


class Places:
    """The places named by one configuration. Raises ConfigError.

    `unread` is the file when it may not be read by this user, else "".
    """

    def __init__(self, config: str | None = None) -> None:
        environment = dict(os.environ)
        named = config or environment.get(PATH_VARIABLE)
        environment.pop(PATH_VARIABLE, None)
        path = Path(named or DEFAULT_PATH).absolute()
        self.unread = ""
        try:
            must_exist = bool(named) or is_there(path)
            open(path, "rb").close()
        except PermissionError:
            self.unread, path, must_exist = str(path), Path(os.devnull), False
        except OSError:
            pass  # the reader says so, in its words
        self._tree: Tree = read(path, environment, must_exist=must_exist)
        if self._tree.problems:
            raise ConfigError(self._tree.problems)

    def of(self, setting: str) -> str:
        """The place that this setting names, as an absolute path. Raises ConfigError."""
        value = self._tree.values.get(setting)
        if value is None:
            return str(attrs.fields_dict(Settings)[setting].default)
        if not isinstance(value, str):
            raise ConfigError([Problem(setting, "must be text in quotes", "")])
        return str(self._tree.origin((setting,)).folder / value) if value else ""
