"""The programs whose files are read here, by name.

Failures: `Found.broken` says all of them, also that nothing is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from m365gw.moving import microsoft_smtp_oauth2_proxy, postfix, simple_m365_relay
from m365gw.moving.found import Found
from m365gw.moving.places import Place, Unreadable, place_of

Read = Callable[[Path, str], Found]  # where its files are, and the cloud where it was said


def _with_place(read: Callable[[Place, str], Found]) -> Read:
    def found_in(path: Path, cloud: str) -> Found:
        try:
            return read(place_of(path), cloud)
        except Unreadable as problem:
            found = Found()
            found.breaks(problem.name, problem.why)
            return found

    return found_in


SOURCES: Final[Mapping[str, Read]] = MappingProxyType(
    {
        simple_m365_relay.NAME: _with_place(simple_m365_relay.read),
        postfix.NAME: postfix.read_folder,
        microsoft_smtp_oauth2_proxy.NAME: _with_place(microsoft_smtp_oauth2_proxy.read),
    }
)
