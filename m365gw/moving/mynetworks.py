"""The networks Postfix trusted, as `mynetworks` lists them.

Failures: what cannot be said here is among what is found, and then nothing wider is taken instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from m365gw.moving.found import Found
from m365gw.moving.postfix_words import network_of

_CUT: Final = "an exception stands beside it, which it would hold here; name smaller networks"

_EVERYBODY: Final = "is everybody: an open relay. Name your own networks: m365gw network add"


def networks_in(words: Sequence[str], place: str, found: Found) -> Iterator[str]:
    """The cidr of each word; none at all where there is an exception, and never all."""
    is_cut = any(word.startswith("!") for word in words)
    for word in words:
        try:
            cidr = network_of(word)
        except ValueError as error:
            found.breaks(place, f"{word!r}: {error}")
            continue
        if is_cut or cidr.endswith("/0"):
            found.leaves_out(place, f"{cidr}: {_CUT if is_cut else _EVERYBODY}")
        else:
            yield cidr
