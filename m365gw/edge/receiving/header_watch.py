"""What the header of a message decides while it passes: its size, its hops, whom it is from.

Nothing is changed or held here. Failures, as Refused: 552 5.3.4 header too large, 554 5.4.6 too
many hops, 550 5.7.1 from somebody its rule does not allow (`authorship`).
"""

from __future__ import annotations

from typing import Final

from m365gw.config.limits import Limits
from m365gw.edge.admission.authorship import STRAY_FROM, foreign
from m365gw.edge.admission.rules import Rule
from m365gw.smtp.headers import HeaderScan
from m365gw.smtp.repair.stragglers import Stragglers
from m365gw.smtp.replies import Refused, Reply

MOST_VISITS: Final = 3  # of one message: who got it may send it on, but not for ever


class HeaderWatch:
    """Looks at the beginning of one message.

    `is_header`: what comes next still belongs to the header. `is_over`: what comes next need not be
    shown any more.
    """

    def __init__(self, limits: Limits, rule: Rule | None, own_hop: bytes) -> None:
        """`rule` says whom it may be from (None: not asked); `own_hop`: what our traces hold."""
        self.is_header = True
        self.is_over = False
        self._limits = limits
        self._rule = rule
        self._own_hop = own_hop
        self._visits = 0  # how often it has been here
        self._scan = HeaderScan()
        self._stragglers: Stragglers | None = None

    def feed(self, octets: bytes) -> None:
        """The next octets of the message. Raises Refused."""
        if self._stragglers is not None:
            self._stragglers.feed(octets)
            return
        scan, limits = self._scan, self._limits
        seen = scan.size
        scan.feed(octets)
        mine = max(0, scan.size - seen)  # octets of these that belong to the header
        self._visits += octets[:mine].count(self._own_hop)
        if self._visits > MOST_VISITS:
            words = f"Mail loop: the message has been here {self._visits} times before"
            raise Refused(Reply(554, "5.4.6", words))
        if scan.size > limits.header_size_limit:
            limit = limits.header_size_limit
            words = f"The message header is larger than the {limit} octets allowed here"
            raise Refused(Reply(552, "5.3.4", words))
        if scan.received_count > limits.hopcount_limit:
            words = f"Mail loop: the message has been through {scan.received_count} servers"
            raise Refused(Reply(554, "5.4.6", words))
        if scan.finished:
            self.is_header = False
            self._judge()
            if self._stragglers is not None:
                # It was broken off by a line in these octets, which may have begun before them.
                self._stragglers.feed(octets[octets.find(b"\n", mine) + 1 :])

    def finish(self) -> None:
        """The message is over, perhaps within its header. Raises Refused."""
        if self.is_header:
            self._scan.finish()
            self._judge()
        if self._stragglers is not None:
            self._stragglers.finish()
            if self._stragglers.found:
                raise Refused(STRAY_FROM)

    def _judge(self) -> None:
        """Whether it may be from whom it says, now that its header is complete."""
        self.is_over = True
        if self._rule is None:
            return
        reply = foreign(self._rule, self._scan)
        if reply is not None:
            raise Refused(reply)
        if self._scan.stray:
            self._stragglers = Stragglers(self._scan.stray)
            self.is_over = False
