"""The verdict on one recipient after one attempt at delivery."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from m365gw.smtp.replies import Reply


class Outcome(Enum):
    """What became of one recipient. The value is the letter the spool keeps."""

    PENDING = "T"  # still to be tried, or to be tried again
    UNCERTAIN = "U"  # lost between our final dot and the answer: may have been delivered
    DELIVERED = "D"
    FAILED = "B"  # refused for good; the sender is told, or the message is held


@frozen
class Verdict:
    """One recipient after one attempt.

    `recipient` is its place in the envelope, from 0. `reply` is the remote reply; for a failure
    without one (connection lost, name not found) it is a reply of our own with code 0 and the
    cause as its text.
    """

    recipient: int
    outcome: Outcome
    reply: Reply
