"""Whose an address is by Postfix's map of senders: it asks for the whole address first, and for the
domain only where that is in no row.

So a domain held all but the addresses of others. A rule here cannot say so: the domain is not taken
then, and networks, which were held to the same, are told of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from m365gw.moving.found import Found
from m365gw.smtp.addresses import matches

OF_NETWORKS: Final = (
    "that a network could not send as the addresses of logins is not said here: it may send as"
    " anybody. Narrow it: m365gw network change"
)


def without_others(senders: Mapping[str, Sequence[str]], found: Found) -> dict[str, list[str]]:
    """The senders of each login without domains that would hold more than they did."""
    addresses = {each for some in senders.values() for each in some if not each.startswith("*")}
    kept: dict[str, list[str]] = {}
    for login, patterns in senders.items():
        kept[login] = []
        for pattern in patterns:
            others = [each for each in addresses.difference(patterns) if matches(pattern, each)]
            if others and pattern.startswith("*"):
                why = (
                    f"{pattern} held all but {', '.join(sorted(others))}, which cannot be said"
                    " here; name the addresses it needs: m365gw client add, or client change"
                )
                found.leaves_out(f"login {login}", why)
            else:
                kept[login].append(pattern)
    return kept
