"""The settings of every rule that lets mail in: as whom, to whom, how much, and by which mailbox.

A rule belongs to a login ([[client]]), a network ([[network]]) or a user of this machine
([[local]]); those tables begin with what stands here.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from m365gw.config.fields import required, setting

ForeignSender = Literal["refuse", "rewrite"]
ForeignFrom = Literal["refuse", "rewrite", "keep"]


@frozen(kw_only=True)
class Permissions:
    senders: tuple[str, ...] = required(
        'Addresses it may send as; "*@example.com" and "*" are allowed, "<>" is the null sender.'
    )
    mailbox: str = required("The mailbox its mail leaves by.")
    default_from: str = setting(
        "",
        "The address mail is from when its sender is rewritten or missing, for example a shared "
        "mailbox that `mailbox` may send as. It counts as one of senders. Empty: the mailbox.",
    )
    foreign_sender: ForeignSender = setting(
        "refuse",
        "An envelope sender that is not in senders: refuse, or rewrite it to default_from.",
    )
    foreign_from: ForeignFrom = setting(
        "refuse",
        "A From field with an address that is not in senders: refuse, rewrite it to default_from "
        "(Reply-To then names the old one), or keep it.",
    )
    recipients: tuple[str, ...] = setting(
        (), 'Addresses it may send to, as in senders: "*@example.com". Empty: to any.'
    )
    deny_recipients: tuple[str, ...] = setting(
        (), "Addresses it may not send to, whatever recipients says."
    )
    messages_per_hour: int = setting(0, "Messages it may send in an hour. 0: any number.")
    recipients_per_day: int = setting(0, "Recipients it may send to in 24 hours. 0: any number.")
