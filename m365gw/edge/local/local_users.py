"""Which users of this machine may send by `sendmail`, as whom, and by which mailbox.

A `[[local]]` rule names a user, or "*" for all that have no rule of their own. Closed by default:
without a rule a user may send nothing. Who a user is comes from the file system (the owner of a
file), never from what a program says of itself.
"""

from __future__ import annotations

import pwd
from collections.abc import Iterable

from attrs import frozen

from m365gw.config.local import Local
from m365gw.edge.admission.rules import Allowed, Denied, Rule, local_rule
from m365gw.smtp.replies import Reply

ANYBODY = "*"


@frozen
class LocalUser:
    """A user and what it stands under. `name` is its number when it has no name."""

    uid: int
    name: str
    settings: Local | None

    @property
    def rule(self) -> Rule | Denied:
        """The rule it stands under, or why it may send nothing."""
        if self.settings is not None:
            return local_rule(self.name, self.settings)
        words = (
            f"No rule says what the local user {self.name} may send. To allow it, the "
            f'gateway\'s operator adds [[local]] with user = "{self.name}"'
        )
        return Denied(Reply(550, "5.7.1", words))

    def may_send(self, sender: str) -> Allowed | Denied:
        """Whether it may send as this envelope sender, and by which mailbox."""
        rule = self.rule
        return rule if isinstance(rule, Denied) else rule.decide(sender)


class LocalUsers:
    """The rules, ready to be asked."""

    def __init__(self, rules: Iterable[Local]) -> None:
        self._rules = {rule.user: rule for rule in rules}

    def user(self, uid: int) -> LocalUser:
        """The user with this number. A rule may name a user by name or by number."""
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        for key in (name, str(uid), ANYBODY):
            if key in self._rules:
                return LocalUser(uid, name, self._rules[key])
        return LocalUser(uid, name, None)

    @property
    def permitted(self) -> list[int] | None:
        """The numbers of all users with a rule; None: everybody has one."""
        if ANYBODY in self._rules:
            return None
        return sorted({number for user in self._rules if (number := number_of(user)) is not None})


def number_of(user: str) -> int | None:
    """The number of a user, which may be given by name or by number; None: there is none."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return int(user) if user.isdecimal() else None
