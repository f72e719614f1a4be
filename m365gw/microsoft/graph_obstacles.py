"""What Microsoft Graph cannot carry, and what becomes of it where SMTP may not be used either.

Graph has no envelope: it sends to whom the header names, and as the mailbox. A message for which
that would be wrong is not given to it. Whatever is a matter of how this gateway is set up waits in
hold, with words for its operator; only what its sender can change is returned.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Reaction, bounce, set_aside
from m365gw.smtp.replies import Reply

_BY_SMTP = (
    'Let such mail leave by SMTP: SMTP AUTH on for <mailbox>, and exit = "smtp" or fallback ='
    ' "smtp" in its [[mailbox]]; then m365gw queue release.'
)


def _obstacle(key: str, what: str, why: str) -> Reaction:
    """An obstacle that makes the message wait for an operator."""
    return set_aside(Diagnosis(key, what, why, _BY_SMTP, "operator"))


OTHER_RECIPIENTS: Final = _obstacle(
    "graph-other-recipients",
    "Microsoft Graph would also send the message to recipients it is not for.",
    "Its header (To, Cc) names somebody who is not among the recipients of this delivery: mail of"
    " a list, one of several parts, or a repeated attempt for some of them. Graph sends to whom"
    " the header names, so they would get it a second time.",
)
UNREADABLE_RECIPIENTS: Final = _obstacle(
    "graph-unreadable-recipients",
    "Nobody can tell to whom Microsoft Graph would send the message.",
    "A To, Cc or Bcc field is not written as addresses are, or is longer than 16 KiB; or a line"
    " that is no field breaks the header off, or the message was redirected (Resent-To).",
)
NULL_SENDER: Final = _obstacle(
    "graph-null-sender",
    "Microsoft Graph cannot send mail without a sender.",
    "The message is a report (MAIL FROM:<>), and Graph would send it as ordinary mail of"
    " <mailbox>.",
)
OTHER_SENDER: Final = _obstacle(
    "graph-other-sender",
    "Microsoft Graph cannot send with <sender> as the return path.",
    "It sends as the address in From, or as <mailbox>, and neither is the envelope sender: reports"
    " would go to the wrong place.",
)
INTERNATIONAL: Final = _obstacle(
    "graph-international-address",
    "An address of the message has letters beyond ASCII.",
    "It is not known whether Microsoft Graph sends to such addresses.",
)
TOO_LARGE: Final = bounce(
    Diagnosis(
        "graph-too-large",
        "The message is larger than Microsoft Graph takes.",
        "A request may have 4 MB, in which a message of about 3 MB fits (about 2.2 MB of"
        " attachments).",
        'Send smaller attachments. Or the operator lets <mailbox> use SMTP too (fallback = "smtp",'
        " and SMTP AUTH on for it), which takes 35 MB.",
        "sender",
    )
)

OBSTACLES: Final = MappingProxyType(
    {
        reaction.diagnosis.key: reaction
        for reaction in (
            OTHER_RECIPIENTS,
            UNREADABLE_RECIPIENTS,
            NULL_SENDER,
            OTHER_SENDER,
            INTERNATIONAL,
            TOO_LARGE,
        )
    }
)


def reply_of(obstacle: Reaction) -> Reply:
    """The obstacle as logs, reports and the spool keep it: nothing was asked of Graph."""
    status = "5.3.4" if obstacle is TOO_LARGE else "4.3.5"
    return Reply(0, status, f"Microsoft Graph: cannot carry it: {obstacle.diagnosis.key}")
