"""The setting of the doctor: when the gateway examines itself."""

from __future__ import annotations

from attrs import frozen

from m365gw.config.fields import Seconds, setting


@frozen(kw_only=True)
class Doctor:
    every: Seconds = setting(
        86400.0,
        "How often the gateway examines itself and all its mailboxes. A mailbox that stops and "
        "needs somebody is examined a minute later, too, once an hour at most. Nothing is ever "
        "sent. 0: never by itself.",
    )
    out_of_scope: tuple[str, ...] = setting(
        (),
        "Mailboxes of your tenant that no app of this gateway may open: D12 tries to sign in to "
        "each, and warns when Exchange lets it. Nothing is sent.",
    )
