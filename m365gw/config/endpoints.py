"""Where a listener may listen: the Twisted endpoints that make sense for it, and their options.

Twisted itself reads them only when the service starts, and says what is wrong in its own terms.
"""

from __future__ import annotations

import re

_OPTIONS = ("interface", "backlog")
_EXAMPLE = 'For example "tcp:587" or "tcp:25:interface=127.0.0.1".'


def endpoint_fault(endpoint: str) -> tuple[str, str] | None:
    """What is wrong with an endpoint, and the remedy; None for a good one."""
    kind, *words = re.split(r"(?<!\\):", endpoint)  # a colon inside an address is written "\:"
    if kind in ("unix", "systemd") and words and words[0]:
        return None
    if kind not in ("tcp", "tcp6") or not words:
        return f'"{endpoint}" is not an endpoint', _EXAMPLE
    port, *options = words
    if not port.isdecimal() or int(port) > 65535:
        return f'"{port}" is not a port', f"A port is a number up to 65535. {_EXAMPLE}"
    for option in options:
        name, _, value = option.partition("=")
        if name not in _OPTIONS or not value or (name == "backlog" and not value.isdecimal()):
            remedy = r'Only interface=ADDRESS and backlog=NUMBER; "tcp6:25:interface=\:\:1".'
            return f'"{option}" is not an option of an endpoint', remedy
    return None


def is_fixed(endpoint: str) -> bool:
    """Whether it names one place; with port 0 the system chooses a free one each time."""
    return not re.match(r"tcp6?:0+(:|$)", endpoint)
