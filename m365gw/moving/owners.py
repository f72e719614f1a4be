"""Whose an address is by Postfix's map of senders: it asks for the whole address first, and for the
domain only where that is in no row.

So a domain held all but the addresses of others. A rule here cannot say so: the domain is not taken
then, and networks, which were held to the same, are told of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from m365gw.moving.found import Found
from m365gw.smtp.addresses import matches


def of_networks(networks: Iterable[str]) -> str:
    """That networks, which send as anybody, could not send as the addresses of logins there."""
    return (
        "could not send as the addresses of logins. A rule here cannot say that, so as soon as a"
        " listener trusts them they may send as those too. Better name what each sends as: "
        + "; ".join(f"m365gw network change {cidr} --sender ADDRESS" for cidr in networks)
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
