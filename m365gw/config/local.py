"""The settings of local programs that hand in mail by `sendmail`."""

from __future__ import annotations

from attrs import frozen

from m365gw.config.fields import required, setting


@frozen(kw_only=True)
class Local:
    user: str = required('User of this machine, "www-data"; "*" for all without a rule.')
    senders: tuple[str, ...] = required(
        'Addresses it may send as; "*@example.com" and "*" are allowed.'
    )
    mailbox: str = required("The mailbox its mail leaves by.")
    sender: str = setting(
        "", "Sender of mail whose program names none, as cron's. Empty: the user at the hostname."
    )
    recipient: str = setting(
        "", 'Where mail to a name without a domain goes, as to "root". Empty: it is refused.'
    )
