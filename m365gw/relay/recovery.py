"""What a crash left undecided in a message: found when it is next claimed, said once, and settled.

Two moments are noted in the file before they come, so that afterwards they are known for what they
are:

* the final dot (`Spool.mark`): a recipient marked so may have the message. It is logged as
  uncertain, and `[queue] on_uncertain` says whether it is sent again or held;
* the report (`noted`): a recipient that is about to be reported as failed bears the queue id of its
  report, and the report the id of its subject. If that report is in the spool, the recipient has
  failed and is not reported twice; if not, the report was never made, and the recipient is tried
  again.

After `kill -9` that is exact: a report is not sent before the failures it tells of are in the file
of its subject. After a power loss a report is made twice if it was delivered in the last second
before.

Failures: `SpoolError` when it cannot be noted; it is found again the next time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from attrs import define, field

from m365gw.config.settings import Queue
from m365gw.events import EventLog
from m365gw.relay.delivery_log import log_line
from m365gw.smtp.envelope import Origin
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.health import Corrupt, Gone
from m365gw.spool.message import Message
from m365gw.spool.names import State
from m365gw.spool.spool import Spool

REPORTS = "reports"  # the "listener" of our own reports in Origin; no client's mail has it
MAYBE = "may have been delivered"  # begins what the spool keeps of an uncertain recipient
SENT_AGAIN = Reply(0, "", "sent again after an uncertain attempt")
LOST = Reply(0, "", f"{MAYBE}: this service ended before the answer to its final dot")

_NOTED = re.compile(r"reported by ([0-9A-Z]{13}): ?(.*)", re.DOTALL)


def is_report(origin: Origin) -> bool:
    """Whether a message is a report of our own."""
    return not origin.client and origin.listener == REPORTS


def noted(failed: Iterable[Verdict], report: str) -> list[Verdict]:
    """What the spool keeps of recipients while the report with this queue id is made."""
    return [
        Verdict(
            one.recipient,
            Outcome.PENDING,
            Reply(one.reply.code, one.reply.status, f"reported by {report}: {one.reply.text}"),
        )
        for one in failed
    ]


@define(kw_only=True)
class Recovery:
    """Settles what was left undecided.

    `released` are the reports of this process that were not taken up yet; their subjects need no
    look.
    """

    spool: Spool
    queue: Queue
    log: EventLog
    released: set[int] = field(factory=set)

    def settle(self, message: Message, now: float) -> bool:
        """Settle it. True: an operator shall decide about uncertain recipients."""
        self.settle_reports(message, now)
        return self._settle_uncertain(message, now)

    def settle_reports(self, message: Message, now: float) -> None:
        """Settle what has to do with reports: those on the message, and the message as a report."""
        if is_report(message.origin):
            self._settle_subject(message, now)
        self._settle_reported(message, now)

    def policy(self) -> str:
        """What happens to uncertain recipients, in words."""
        if self.queue.on_uncertain == "hold":
            return "it is held, and an operator decides (on_uncertain = hold)"
        return "it is sent again and may arrive twice (on_uncertain = retry)"

    def _settle_subject(self, report: Message, now: float) -> None:
        """Before a report of a former process goes for the first time: note what it tells of."""
        is_ours = report.entry.id in self.released
        self.released.discard(report.entry.id)
        if is_ours or report.entry.state is not State.INCOMING:
            return
        entry = self.spool.find(report.envelope.envid)
        if entry is None:
            return
        with suppress(Gone, Corrupt):
            subject = self.spool.claim(entry)
            try:
                self._settle_reported(subject, now)
            finally:
                subject.close()

    def _settle_reported(self, message: Message, now: float) -> None:
        reported = list(self._reported(message))
        if reported:
            self.spool.settle(message, reported, now)
        for one in reported:
            if one.outcome is Outcome.FAILED:
                words = "this service ended while it was reported to the sender"
                log_line(self.log, message, one.recipient, "bounced", one.reply, words)

    def _reported(self, message: Message) -> Iterator[Verdict]:
        """Verdicts on recipients whose report was under way."""
        for place, record in enumerate(message.recipients):
            found = _NOTED.match(record.reply.text)
            if record.outcome is Outcome.PENDING and found is not None:
                was_made = self.spool.find(found[1]) is not None
                reply = Reply(record.reply.code, record.reply.status, found[2])
                yield Verdict(place, Outcome.FAILED if was_made else Outcome.PENDING, reply)

    def _settle_uncertain(self, message: Message, now: float) -> bool:
        """Those marked are noted and logged once.

        Those noted before were decided about, and are sent to again.
        """
        marked = [
            place
            for place, record in enumerate(message.recipients)
            if record.outcome is Outcome.UNCERTAIN
        ]
        fresh = [
            place for place in marked if not message.recipients[place].reply.text.startswith(MAYBE)
        ]
        if fresh:
            verdicts = [Verdict(place, Outcome.UNCERTAIN, LOST) for place in fresh]
            # Said before it is noted as said: a crash between the two says it twice, never not.
            for place in fresh:
                log_line(self.log, message, place, "uncertain", LOST, self.policy())
            self.log.flush()
            self.spool.settle(message, verdicts, now)
            if self.queue.on_uncertain == "hold":
                return True
        if marked:
            again = [Verdict(place, Outcome.PENDING, SENT_AGAIN) for place in marked]
            self.spool.settle(message, again, now)
        return False
