"""Stylesheet, scripts and pictures: read once, named by what they hold.

A page asks for them with a digest in the address, so a browser may keep them for ever and sees a
new version at once. They say nothing about anybody and are there without a session.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from attrs import frozen

FOLDER: Final = Path(__file__).parent / "static"
KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@frozen
class Asset:
    """One file as it is sent."""

    octets: bytes
    kind: str  # its media type
    digest: str


class Assets:
    """All files of the folder `static` that a browser may ask for."""

    def __init__(self) -> None:
        self._known = {
            path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in KINDS
        }

    def get(self, name: str) -> Asset | None:
        """The file of this name, if there is one."""
        return self._known.get(name)

    def url(self, name: str) -> str:
        """The address a page asks for it by. KeyError for what is not there."""
        return f"/static/{name}?v={self._known[name].digest}"


@cache
def assets() -> Assets:
    """Those of this process, whatever consoles it has."""
    return Assets()


def _read(path: Path) -> Asset:
    octets = path.read_bytes()
    return Asset(octets, KINDS[path.suffix], hashlib.sha256(octets).hexdigest()[:12])
