"""What came of one attempt to send a message, as values: one finding for each recipient tried.

Made by `attempt`, weighed by `judgement`, told by `delivery_log` and in reports.
"""

from __future__ import annotations

from attrs import frozen

from m365gw.microsoft.reactions import Reaction
from m365gw.microsoft.replies import Phase
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome


@frozen
class Finding:
    """One recipient after an attempt: what was answered, and what is due now.

    `outcome` is what the answer means, not what its first digit says: FAILED only when the
    recipient is refused for good. `pause` is in seconds, for reactions that name one.
    """

    recipient: int
    outcome: Outcome
    reply: Reply
    phase: Phase
    reaction: Reaction
    pause: float = 0.0


@frozen
class Attempt:
    """What came of one attempt. `began` tells whether a transaction took place at all.

    `is_taken_over`: the server was told what reports are wanted, and makes those of success itself
    (RFC 3461 5.2.1).
    """

    findings: tuple[Finding, ...]
    relay: str = "none"
    began: bool = False
    connecting: float = 0.0  # seconds until there was a session
    sending: float = 0.0  # seconds of the transaction
    is_taken_over: bool = False
