"""The settings of local programs that hand in mail by `sendmail`.

Nobody waits for what the gateway says of it, so a From that may not be is rewritten here, where
elsewhere it is refused.
"""

from __future__ import annotations

from attrs import frozen

from m365gw.config.fields import required, setting
from m365gw.config.permissions import ForeignFrom, Permissions


@frozen(kw_only=True)
class Local(Permissions):
    user: str = required('User of this machine, "www-data"; "*" for all without a rule.')
    default_from: str = setting(
        "",
        "The address mail is from when its program names no sender, as cron, or when its sender is "
        "rewritten. Empty: the user at the hostname, and the mailbox when that is rewritten.",
    )
    foreign_from: ForeignFrom = setting(
        "rewrite",
        "A From field with an address that is not in senders: refuse, rewrite it to default_from "
        "(Reply-To then names the old one), or keep it.",
    )
    recipient: str = setting(
        "", 'Where mail to a name without a domain goes, as to "root". Empty: it is refused.'
    )
