"""The shape of the reply tables: a row is a pattern of replies and the reaction to them.

The rows themselves are data in the modules `rows_*`, one module for each part of the dialogue;
`replies.react` reads them. Facts behind the rows: Microsoft's documents on non-delivery reports,
SMTP AUTH submission and sending limits, and answers seen in public issue threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from attrs import field, frozen

from m365gw.microsoft.reactions import Reaction
from m365gw.smtp.replies import Reply


class Phase(Enum):
    """Where in the dialogue a reply came: the command it answers. DATA includes the final dot."""

    CONNECT = "connect"
    EHLO = "ehlo"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


CONNECTING: Final = frozenset({Phase.CONNECT, Phase.EHLO, Phase.TLS})
SIGNING_IN: Final = frozenset({Phase.AUTH})
BEFORE_MAIL: Final = CONNECTING | SIGNING_IN
SENDING: Final = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA})
ANYWHERE: Final = BEFORE_MAIL | SENDING


@frozen
class StatusRange:
    """Enhanced statuses "5.7.60" or, with the last number from low to high, "5.7.606-649".

    "" stands for a reply without enhanced status.
    """

    before: str  # "5.7", or "" for no status
    low: int = 0
    high: int = 0

    @classmethod
    def of(cls, text: str) -> StatusRange:
        before, _, detail = text.rpartition(".")
        low, _, high = detail.partition("-")
        return cls(before, int(low or 0), int(high or low or 0))

    def holds(self, status: str) -> bool:
        """Whether `status` is in the range; text that is no status is only in none or in ""."""
        before, _, detail = status.rpartition(".")
        number = int(detail[:4]) if detail.isdecimal() else 0
        return before == self.before and self.low <= number <= self.high


def _ranges(texts: Sequence[str]) -> tuple[StatusRange, ...]:
    return tuple(StatusRange.of(text) for text in texts)


@frozen
class Row:
    """One row: the replies it is about, and the reaction. What is left empty matches anything.

    A reply must match each of `codes`, `status` and `words` that is given; of `words` one is
    enough, found anywhere in the text in any letter case. What is no refusal (a code below 400, or
    0 for a reply that never came) matches only rows that name its code: the text of a 250 may
    hold anything, also the Message-ID a sender chose. `last` rows are tried after all others.
    """

    phases: frozenset[Phase]
    reaction: Reaction
    codes: tuple[int, ...] = ()
    status: tuple[StatusRange, ...] = field(default=(), converter=_ranges)
    words: tuple[str, ...] = ()
    last: bool = False

    @property
    def tier(self) -> int:
        """Words are looked for first, then the enhanced status, then the code."""
        return 3 if self.last else 0 if self.words else 1 if self.status else 2

    def matches(self, phase: Phase, reply: Reply, text: str) -> bool:
        """`text` is the text of the reply without Microsoft's tag, in lower case."""
        if phase not in self.phases:
            return False
        if reply.code not in self.codes and (self.codes or reply.code < 400):
            return False
        if self.status and not any(known.holds(reply.status) for known in self.status):
            return False
        return not self.words or any(word in text for word in self.words)


@frozen
class Defaults:
    """What to do with answers of one phase that no row knows."""

    lost: Reaction  # no answer: refused, reset, timed out
    temporary: Reaction
    permanent: Reaction
