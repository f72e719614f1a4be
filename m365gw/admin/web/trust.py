"""Which listeners trust a network: a rule of a network counts on those alone.

What a listener trusts is a setting of the listener. So that nobody has to go there first, the form
of a network asks for it too.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from m365gw.admin.web.changing import tried
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import View
from m365gw.directory.orders import ChangeListener
from m365gw.edge.admission.admission import ip_network, trusts, wider_rules

Row = dict[str, Any]


def does_trust(networks: Collection[str], cidr: str) -> bool:
    """Whether a listener that trusts these networks trusts this one; False for what is none."""
    try:
        return trusts(networks, ip_network(cidr))
    except ValueError:
        return False


def trusting(desk: Desk, cidr: str) -> list[str]:
    """The listeners that trust it, or a network around it."""
    return [one.name for one in desk.settings().listener if does_trust(one.networks, cidr)]


def trusted_around(desk: Desk, cidr: str) -> list[str]:
    """Networks around it that may send: by their rules its machines stand without its own."""
    settings = desk.settings()
    rules = [one.cidr for one in settings.network]
    return wider_rules(ip_network(cidr), rules, [one.networks for one in settings.listener])


def choices(desk: Desk, cidr: str, picked: Collection[str] = ()) -> list[Row]:
    """Every listener, for a form: whether it trusts the network, and whether that is open."""
    return [
        {
            "name": row["name"],
            "endpoint": row["endpoint"],
            "place": (row["place"] or "the configuration file") if row["origin"] == "file" else "",
            "is_picked": row["name"] in picked or does_trust(row["networks"], cidr),
            # Of a wider network, or of the file: it is taken back elsewhere.
            "is_fixed": row["origin"] == "file"
            or (cidr not in row["networks"] and does_trust(row["networks"], cidr)),
        }
        for row in desk.registry.listeners()
    ]


async def trust_at(desk: Desk, view: View, cidr: str, names: Collection[str]) -> None:
    """These listeners trust it from now on, the others no more. Raises `Rejected`."""
    for row in choices(desk, cidr):
        is_wanted = row["name"] in names
        if row["is_fixed"] or is_wanted == row["is_picked"]:
            continue
        known = next(each for each in desk.registry.listeners() if each["name"] == row["name"])
        others = [each for each in known["networks"] if each != cidr]
        networks = [*others, cidr] if is_wanted else others
        await tried(desk, ChangeListener(row["name"], {"networks": networks}), view)
