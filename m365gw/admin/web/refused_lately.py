"""Who was refused lately for a sender he may not be, or for having no rule at all: what an operator
may want to allow by a click.

Read from the end of the log (`log_tail`), so it is as old as that, and nothing is kept beside it.
What the rules allow by now is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from attrs import evolve, frozen

from m365gw.admin.web.desk import Desk
from m365gw.config.settings import Network, Settings
from m365gw.edge.admission.admission import Admission, Visitor, ip_address
from m365gw.edge.admission.rules import Rule
from m365gw.log_tail import Filter, LogTail

MOST: Final = 2000  # refusals that are looked at
_REPLY: Final = re.compile(
    r'553 5\.7\.1|5\d\d 5\.7\.\d .*is in no trusted network of listener "(.*)"'
)  # of `edge.admission`


@frozen
class Foreign:
    """A login, or an address without one, that tried to be this sender.

    `listener` is the one it came to where no rule knows its address, else "". `network` is the
    network whose rule refused it.
    """

    login: str
    client: str
    sender: str
    listener: str = ""
    network: str = ""
    count: int = 0
    at: float = 0.0  # of the last time, in seconds since 1970


def foreign_logins(desk: Desk) -> list[Foreign]:
    """Logins that can be changed here, the newest first."""
    own = {each["login"] for each in desk.registry.clients() if each["origin"] == "directory"}
    decide = _decider(desk.settings())
    return [
        each
        for each in foreign_senders(desk.tail)
        if each.login in own and not _is_allowed(decide(each), each.sender)
    ]


def foreign_networks(desk: Desk) -> list[Foreign]:
    """Addresses without a login, the newest first, with the network whose rule they stand under."""
    own = {each["cidr"] for each in desk.registry.networks() if each["origin"] == "directory"}
    return [each for each in _addresses(desk) if not each.network or each.network in own]


def _addresses(desk: Desk) -> Iterator[Foreign]:
    decide = _decider(desk.settings())
    for each in foreign_senders(desk.tail):
        if each.login or ip_address(each.client) is None:
            continue
        rule = decide(each)
        if rule is None:
            if each.listener:
                yield each
        elif not _is_allowed(rule, each.sender):
            yield evolve(each, network=_cidr(rule), listener="")


def foreign_senders(tail: LogTail) -> list[Foreign]:
    """The last of each that the log knows, the newest first."""
    found: dict[tuple[str, str, str], Foreign] = {}
    for entry in tail.last(Filter(text="message.refused"), MOST):
        reply = _REPLY.match(entry.note)
        if entry.event != "message.refused" or reply is None:
            continue
        said = {name: str(value) for name, value in entry.fields}
        login, sender = said.get("sasl_username", ""), said.get("from", "")
        if "*" in sender:
            continue  # in a rule it would be a pattern, and a click would allow far more
        client = said.get("client", "").partition("[")[2].rstrip("]")
        key = (login, "" if login else client, sender)
        before = found.pop(key, Foreign(login, client, sender))
        found[key] = evolve(
            before,
            client=client,
            listener=reply[1] or "",
            count=before.count + 1,
            at=entry.at,
        )
    return list(reversed(found.values()))


def _decider(settings: Settings) -> Callable[[Foreign], Rule | None]:
    """The rule each stands under now, by login, or by address on any listener that trusts it."""
    admission = Admission(settings.client, settings.network)

    def decide(foreign: Foreign) -> Rule | None:
        for listener in settings.listener:
            visitor = Visitor(listener, ip_address(foreign.client), foreign.login)
            rule = admission.rule_for(visitor)
            if isinstance(rule, Rule):
                return rule
        return None

    return decide


def _is_allowed(rule: Rule | None, sender: str) -> bool:
    return rule is not None and rule.may_be_from(sender)


def _cidr(rule: Rule) -> str:
    """The network of a rule, as it is configured."""
    return rule.permissions.cidr if isinstance(rule.permissions, Network) else ""
