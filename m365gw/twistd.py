"""What twistd asks of us: `twistd -n m365gw --config FILE`.

`makeService` reads the configuration and gives twistd the service. A wrong configuration, or an
option of twistd's that does not go with the promise to keep mail, ends the program with 78 and
every error in words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, TextIO

from twisted.python import usage

import m365gw.reactor  # noqa: F401 importing it installs it, before others ask for one
from m365gw import __version__
from m365gw.config.load import load
from m365gw.config.problems import ConfigError
from m365gw.config.settings import Settings
from m365gw.config.sources import DEFAULT_PATH, PATH_VARIABLE
from m365gw.service.gateway import Gateway

EX_CONFIG = 78


class Options(usage.Options):
    """The options of `twistd m365gw`."""

    synopsis = "[--config FILE]"
    longdesc = (
        "A store-and-forward SMTP gateway to Microsoft 365. It takes mail from anything that"
        " speaks SMTP, keeps it safe on disk, and hands it to Microsoft 365 with OAuth 2.0."
        " Everything else is the command m365gw: see m365gw --help."
    )
    optParameters = [
        [
            "config",
            "c",
            None,
            "Configuration file (default: $M365GW_CONFIG, /etc/m365gw/m365gw.toml). "
            "Check it with: m365gw --config FILE check",
        ]
    ]

    def opt_version(self) -> None:
        """Show the version and exit."""
        print(f"m365gw {__version__}")
        raise SystemExit(0)


def makeService(options: Options) -> Gateway:
    """The service for twistd. Ends the program with 78 when the configuration is wrong."""
    from twisted.internet import reactor  # only here it is certain which reactor was chosen

    # Read again at a reload, wherever the program stands then.
    config = options["config"] or os.environ.get(PATH_VARIABLE)
    config = config and os.path.abspath(config)
    read = partial(_settings, config)
    try:
        settings = read()
    except ConfigError as error:
        raise _refusal(str(error)) from None
    # twistd's own options; there are none when somebody else makes the service.
    twistd: Mapping[str, Any] = options.parent or {}
    if twistd.get("uid") or twistd.get("gid"):
        raise _refusal(
            "m365gw does not change its user: the spool must belong to the user that runs it.\n"
            "Start it as that user; for ports below 1024 give it CAP_NET_BIND_SERVICE\n"
            "(systemd: User= and AmbientCapabilities=CAP_NET_BIND_SERVICE)."
        )
    if twistd.get("syslog"):
        raise _refusal("m365gw writes to standard output or --logfile; systemd takes the former.")
    return Gateway(settings, read, reactor, _log_stream(twistd), config or DEFAULT_PATH)


def _settings(config: str | None) -> Settings:
    return load(config).settings


def _refusal(words: str) -> SystemExit:
    print(words, file=sys.stderr)
    return SystemExit(EX_CONFIG)


def _log_stream(twistd: Mapping[str, Any]) -> TextIO:
    """Where the log goes: twistd's --logfile, else standard output, else twistd's usual file."""
    file = twistd.get("logfile") or ("-" if twistd.get("nodaemon", True) else "twistd.log")
    try:
        return sys.stdout if file == "-" else open(file, "a", encoding="utf-8")  # noqa: SIM115 kept
    except OSError as error:
        raise _refusal(f"--logfile {file} cannot be written: {error.strerror}.") from None
