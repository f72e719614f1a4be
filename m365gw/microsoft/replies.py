"""What a reply of Microsoft's submission server asks of us.

Exchange Online uses 5yz replies for quotas, throttling, a full mailbox of the sender and switches
an administrator forgot. A rule "5yz bounces" loses mail, so each known answer is a row of a table,
and what no row knows is temporary first. The order in which rows are tried:

1. the phase: nothing before MAIL FROM is ever the fault of a message;
2. the name of an exception or a telling phrase in the text;
3. the enhanced status;
4. the code;
5. the class: no answer and 4yz are temporary, 5yz bounces if it is repeated.

When code and enhanced status are of different classes the answer is temporary. A reply of code 0
stands for no reply: the connection was refused, was lost or timed out. Three texts of ours are
known then: "STARTTLS is not offered", "AUTH XOAUTH2 is not offered", and any with the word
"certificate". What keeps a mailbox from a token (`no_token`) brings its own reaction.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from m365gw.microsoft import (
    graph,
    no_token,
    rows_account,
    rows_connecting,
    rows_connector,
    rows_limits,
    rows_message,
    rows_signing_in,
)
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Reaction, done
from m365gw.microsoft.rows import SENDING, Defaults, Phase, Row
from m365gw.smtp.replies import Reply

__all__ = ["ROWS", "Phase", "diagnose", "gist", "react", "strip_tag"]

# Sorted by tier; sorting is stable, so within a tier the order of the modules holds.
ROWS: Final[tuple[Row, ...]] = tuple(
    sorted(
        (
            *rows_connecting.ROWS,
            *rows_connector.ROWS,
            *rows_signing_in.ROWS,
            *rows_limits.ROWS,  # a used-up quota is told from a full mailbox by the longer name
            *rows_account.ROWS,
            *rows_message.ROWS,
        ),
        key=lambda row: row.tier,
    )
)

DEFAULTS: Final[dict[Phase, Defaults]] = {
    **rows_connecting.DEFAULTS,
    **rows_signing_in.DEFAULTS,
    **rows_message.DEFAULTS,
}

# What is said of any answer no row knows; it says something only of the phase it came in.
_USUAL = [
    reaction.diagnosis
    for phase in DEFAULTS.values()
    for reaction in (phase.temporary, phase.permanent)
]

_accepted = done(
    Diagnosis("accepted", "Microsoft accepted it.", "The answer is positive.", "Nothing.", "nobody")
)

# "[AM0PR01CA0001.eurprd01.prod.outlook.com 2026-11-21T04:46:00.123Z 08DE2A1B2C3D4E5F]"
_TAG = re.compile(
    r"\[(?:hostname=)?[\w.-]{1,255}\.(?:outlook|office365|exchangelabs)\.(?:com|us|cn)\b[^\]]*\]",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\b(?=\w*[0-9])\w{4,}\b")


def react(phase: Phase, reply: Reply) -> Reaction:
    """The reaction to a reply in a phase. Never raises, and bounces nothing that may pass."""
    text = strip_tag(reply.text).lower()
    final = _is_final(reply)
    for row in ROWS:
        if row.matches(phase, reply, text) and (final or not row.reaction.may_bounce):
            return row.reaction
    if reply.is_positive:
        return _accepted
    if reply.code == 0:
        return DEFAULTS[phase].lost
    if final:
        return DEFAULTS[phase].permanent
    if phase in SENDING and reply.status and reply.status[0] != str(reply.code)[0]:
        return rows_message.MIXED
    return DEFAULTS[phase].temporary


@lru_cache(maxsize=256)
def diagnose(reply: Reply, *, was_sent: bool = False) -> Diagnosis:
    """What a reply, of the submission server or of Graph, means of which nobody knows the phase.

    The phases in which recipients get theirs are asked first, and the first that knows the reply
    has its say. `was_sent`: the message was out whole when what happened happened.
    """
    kept = graph.known(reply) or no_token.known(reply)
    if kept is not None:
        return kept
    if not reply.code:
        return react(Phase.DATA if was_sent else Phase.CONNECT, reply).diagnosis
    phases = (Phase.DATA, Phase.RCPT, Phase.MAIL, Phase.AUTH, Phase.CONNECT)
    found = [react(phase, reply).diagnosis for phase in phases]
    return next((one for one in found if one not in _USUAL and not one.is_unknown), found[0])


def strip_tag(text: str) -> str:
    """The text without the host, time and session Microsoft adds in brackets.

    Log the tag, Microsoft's support asks for it; but compare and group without it.
    """
    return _TAG.sub("", text).strip()


def gist(reply: Reply) -> str:
    """The reply as one groups and compares it: without tag, and with "#" for ids and counts."""
    words = _VARIABLE.sub("#", strip_tag(reply.text)).replace("\n", " ")
    return " ".join(f"{reply.code} {reply.status} {words}".split())


def _is_final(reply: Reply) -> bool:
    """Whether code and, if there is one, enhanced status both say: refused for good."""
    return 500 <= reply.code < 600 and reply.status[:1] in ("", "5")
