"""A rule and what it decides: as whom, to whom, and by which mailbox its mail goes.

Rules are made of the tables [[client]], [[network]] and [[local]]. All comparisons are of parsed
addresses (`smtp.addresses`). Every answer is a value with words, so that a session and
`m365gw explain` decide and say the same.

Denials: 553 5.7.1 for a sender the rule does not list, 550 5.7.1 for a recipient it keeps out.
"""

from __future__ import annotations

import shlex
from functools import lru_cache

from attrs import frozen

from m365gw.config.local import Local
from m365gw.config.permissions import Permissions
from m365gw.config.settings import Client, Network
from m365gw.smtp.addresses import canonical, matches
from m365gw.smtp.replies import Refused, Reply


@frozen
class Allowed:
    """Yes: the message may enter, and leaves by this mailbox, because of this rule."""

    mailbox: str
    rule: Rule
    sender: str  # of the envelope as it goes on


@frozen
class Denied:
    """No, with the reply that says why and what to change."""

    reply: Reply


@frozen(cache_hash=True)
class Rule:
    """What a login, a network or a local user may send, and by which mailbox."""

    name: str  # as replies show it: 'login "printer3"', "network 10.1.0.0/16"
    place: str  # the same, and how operators find where it was made, by whatever way that was
    permissions: Permissions

    @property
    def mailbox(self) -> str:
        """Its mail leaves by."""
        return self.permissions.mailbox

    @property
    def default_from(self) -> str:
        """Mail is from, when its sender is rewritten or missing."""
        return self.permissions.default_from or self.permissions.mailbox

    @property
    def judges_from(self) -> bool:
        """Whether From and Sender of its messages must be among its senders."""
        return self.permissions.foreign_from != "keep" and "*" not in self.permissions.senders

    @property
    def rewrites_from(self) -> bool:
        """Whether it puts another From where there is none, or a foreign one."""
        return self.permissions.foreign_from == "rewrite"

    @property
    def judges_recipients(self) -> bool:
        """Whether there are recipients it may not send to."""
        return bool(self.permissions.recipients or self.permissions.deny_recipients)

    def decide(self, sender: str) -> Allowed | Denied:
        """Whether this envelope sender ("" is the null sender) is one of the rule's."""
        return _decide(self, sender)

    def may_be_from(self, address: str) -> bool:
        """Whether mail under the rule may be from this address; False for what is none."""
        try:
            return self.lists(address)
        except Refused:
            return False

    def lists(self, address: str) -> bool:
        """Whether this is one of its senders, or the one it puts in place of others.

        Raises Refused when it is no address.
        """
        permissions = self.permissions
        if any(matches(pattern, address) for pattern in permissions.senders):
            return True
        puts_default = "rewrite" in (permissions.foreign_sender, permissions.foreign_from)
        is_known = puts_default or bool(permissions.default_from)
        return is_known and canonical(address) == canonical(self.default_from)

    def may_receive(self, recipient: str) -> Denied | None:
        """Why it may not send to this address; None when it may."""
        wanted, unwanted = self.permissions.recipients, self.permissions.deny_recipients
        try:
            if any(matches(pattern, recipient) for pattern in unwanted):
                remedy = f"takes it out of deny_recipients of {self.place}"
            elif wanted and not any(matches(pattern, recipient) for pattern in wanted):
                remedy = f"adds it to recipients of {self.place}"
            else:
                return None
        except Refused as refused:  # no address at all: a domain that does not exist in ASCII, say
            return Denied(refused.reply)
        words = f"{self.name} may not send to <{recipient}>. To allow it, the gateway's operator "
        return Denied(Reply(550, "5.7.1", words + remedy))


def client_rule(client: Client) -> Rule:
    """The rule of a login."""
    return Rule(f'login "{client.login}"', place_of_login(client.login), client)


def place_of_login(login: str) -> str:
    """A login, and the command that tells operators where it was made."""
    return f'login "{login}" (see m365gw client show {shlex.quote(login)})'


def network_rule(network: Network) -> Rule:
    """The rule of a network."""
    name = f"network {network.cidr}"
    return Rule(name, f"{name} (see m365gw network list)", network)


def local_rule(user: str, local: Local) -> Rule:
    """The rule of a local user, which may be that of all."""
    return Rule(f"local user {user}", f'[[local]] user = "{local.user}"', local)


@lru_cache(maxsize=4096)
def _decide(rule: Rule, sender: str) -> Allowed | Denied:
    permissions = rule.permissions
    try:
        if rule.lists(sender):
            return Allowed(rule.mailbox, rule, sender)
    except Refused as refused:  # no address at all: a domain that does not exist in ASCII, say
        return Denied(refused.reply)
    if permissions.foreign_sender == "rewrite":
        return Allowed(rule.mailbox, rule, rule.default_from)
    whom, pattern = f"<{sender}>", "it"
    if not sender:
        whom, pattern = "the null sender <>, which reports have", '"<>"'
    words = (
        f"{rule.name} may not send as {whom}. To allow it, the gateway's operator adds {pattern} "
        f'to senders of {rule.place}, or sets foreign_sender = "rewrite" there'
    )
    return Denied(Reply(553, "5.7.1", words))
