"""Answers within a transaction about limits: how much, how fast, over how many connections.

Quotas come as 5yz, and yet they heal by themselves. The mailbox or the tenant waits, its mail stays
queued, and nothing is returned.
"""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import HOUR, Scope, fewer_connections, stop
from m365gw.microsoft.rows import SENDING, Phase, Row

DAY: Final = 86400.0
SENDER_OR_CONTENT: Final = frozenset({Phase.MAIL, Phase.DATA})

_tenant_quota = Diagnosis(
    "tenant-quota",
    "The tenant <tenant> has reached its limit of external recipients in 24 hours.",
    "The limit depends on the number of licences (trial tenants: 5,000) and frees by itself as the"
    " 24 hours roll on.",
    "Nothing, or send less: Get-LimitsEnforcementStatus shows the limit and its use; set"
    " governor.tenant_external_recipients_per_day to it. It is tried again each hour.",
    "exchange-admin",
)
_quota = Diagnosis(
    "mailbox-quota",
    "<mailbox> has reached its limit of recipients in 24 hours.",
    "Microsoft allows 10,000 recipients a day for a mailbox, or less if the tenant's outbound spam"
    " policy says so. Nobody can reset it; it frees by itself as the 24 hours roll on.",
    "Nothing: it is tried again each hour. If it returns, spread the senders over several"
    " mailboxes, and set governor.recipients_per_day to the true limit.",
    "operator",
)
_quota_or_rate = Diagnosis(
    "mailbox-submission-quota",
    "<mailbox> has sent too much in a short time, or has reached its daily limit.",
    "Microsoft uses one answer for both. The first frees in a minute, the second within 24 hours.",
    "Nothing: it is tried again in two minutes, then each hour. If it returns, lower"
    " governor.messages_per_minute, or spread the senders over several mailboxes.",
    "operator",
)
_personal_quota = Diagnosis(
    "personal-quota",
    "This personal Outlook.com account has reached its daily limit.",
    "The limit of personal accounts is low and depends on their reputation.",
    "Nothing: it is tried again in 24 hours. For more mail use a Microsoft 365 mailbox.",
    "operator",
)
_concurrent = Diagnosis(
    "mailbox-connections",
    "<mailbox> sends over too many connections at once.",
    "Microsoft allows three; another program may use the same mailbox.",
    "Nothing if it is rare: fewer are used for a while. If it repeats, lower"
    " governor.connections, and find what else signs in as this mailbox.",
    "operator",
)
_rate = Diagnosis(
    "mailbox-rate",
    "<mailbox> sends faster than Microsoft allows.",
    "The limit is 30 messages a minute; another program may use the same mailbox.",
    "Nothing: the mailbox waits a little, longer each time. If it repeats, lower"
    " governor.messages_per_minute.",
    "operator",
)
_busy = Diagnosis(
    "mailbox-server-busy",
    "The server of <mailbox> is too busy.",
    "In spite of its code this is temporary: the enhanced status says so.",
    "Nothing: it is tried again, each time a little later.",
    "nobody",
)

_quota_reaction = stop(Scope.MAILBOX, HOUR, _quota, alarm=True)
_burst_reaction = stop(
    Scope.MAILBOX,
    120,
    _quota_or_rate,
    attempts=1,
    then=stop(Scope.MAILBOX, HOUR, _quota_or_rate, alarm=True),
)

ROWS: Final = (
    Row(SENDING, fewer_connections(_concurrent), words=("concurrent connections limit",)),
    Row(SENDING, fewer_connections(_concurrent), words=("sender thread limit exceeded",)),
    Row(
        SENDING,
        stop(Scope.MAILBOX, 60, _rate, ceiling=HOUR),
        words=("submission rate for this client",),
    ),
    Row(
        SENDING,
        _quota_reaction,
        words=("submissionquotaexceeded", "reached your daily limit"),
    ),
    Row(
        SENDING,
        _burst_reaction,
        words=("submission quota exceeded",),
    ),
    Row(
        SENDING,
        stop(Scope.MAILBOX, DAY, _personal_quota, alarm=True),
        words=("verdict is refusequota",),
    ),
    Row(SENDING, stop(Scope.TENANT, HOUR, _tenant_quota, alarm=True), status=("5.7.232-233",)),
    Row(SENDING, _quota_reaction, status=("5.1.90",)),
    Row(
        SENDER_OR_CONTENT,
        _burst_reaction,
        status=("5.2.2",),
    ),
    Row(SENDING, stop(Scope.MAILBOX, 60, _rate, ceiling=HOUR), status=("4.5.127",)),
    Row(
        SENDING,
        stop(Scope.MAILBOX, 60, _busy, ceiling=HOUR),
        codes=(554,),
        status=("4.3.2",),
    ),
    Row(SENDING, fewer_connections(_concurrent), codes=(432,)),
)
