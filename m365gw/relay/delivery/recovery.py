"""What a crash left undecided in a message: found when it is next claimed, said once, and settled.

Two moments are noted in the file before they come, so that afterwards they are known for what they
are:

* the final dot (`Spool.mark`): a recipient marked so may have the message. It is logged as
  uncertain, and `[queue] on_uncertain` says whether it is sent again or held;
* the report (`noted`): a recipient that is about to be reported bears the queue id of its report,
  and the report the id of its subject. If that report is in the spool, the recipient is not
  reported twice, and if it was to fail it has failed; if not, the report was never made: one that
  was to fail is tried again, one that was delivered is still `owed` its report. A warning of a
  delay is noted in the same way, for the message as a whole (`is_warned`).

After `kill -9` that is exact: a report is not sent before the failures it tells of are in the file
of its subject. After a power loss a report is made twice if it was delivered in the last second
before.

Failures: `SpoolError` when it cannot be noted; it is found again the next time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from attrs import define, evolve, field

from m365gw.config.settings import Queue
from m365gw.events import EventLog
from m365gw.relay.delivery.delivery_log import log_line
from m365gw.smtp.envelope import Origin
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.health import Corrupt, Gone
from m365gw.spool.message import Message
from m365gw.spool.names import State
from m365gw.spool.spool import Spool

REPORTS = "reports"  # the "listener" of our own reports in Origin
MAYBE = "may have been delivered"  # begins what the spool keeps of an uncertain recipient
SENT_AGAIN = Reply(0, "", "sent again after an uncertain attempt")
LOST = Reply(0, "", f"{MAYBE}: this service ended before the answer to its final dot")
CUT_OFF = (
    "its sender was about to be told when that was cut off, so it is taken up again; if a summary"
    " with it had gone by then, its sender hears of it twice"
)

_NOTED = re.compile(r"reported by ([0-9A-Z]{13}): ?(.*)", re.DOTALL)
_OWED = re.compile(r"to be reported: ?(.*)", re.DOTALL)


def is_report(origin: Origin) -> bool:
    """Whether a message is a report of our own.

    Mail of a client came by a protocol, also where it has no address and its listener this name.
    """
    return not (origin.client or origin.protocol) and origin.listener == REPORTS


def noted(told: Iterable[Verdict], report: str) -> list[Verdict]:
    """What the spool keeps of recipients while the report with this queue id is made."""
    return [
        Verdict(
            one.recipient,
            Outcome.DELIVERED if one.outcome is Outcome.DELIVERED else Outcome.PENDING,
            _prefixed(f"reported by {report}", one.reply),
        )
        for one in told
    ]


def owed(decided: Verdict) -> Verdict:
    """What the spool keeps of a recipient that has it, or failed, while nobody was told of it."""
    reply = _prefixed("to be reported", decided.reply)
    return Verdict(decided.recipient, decided.outcome, reply)


def is_owed(verdict: Verdict) -> bool:
    """Whether that is what a verdict says."""
    return verdict.outcome is Outcome.DELIVERED and _OWED.match(verdict.reply.text) is not None


def still_owed(message: Message, outcome: Outcome = Outcome.DELIVERED) -> list[Verdict]:
    """The recipients whose sender is still to be told of this outcome, as it was answered."""
    found = []
    for place, record in enumerate(message.recipients):
        match = _OWED.match(record.reply.text)
        if record.outcome is outcome and match is not None:
            reply = Reply(record.reply.code, record.reply.status, match[1])
            found.append(Verdict(place, outcome, reply))
    return found


def is_doubtful(reply: Reply) -> bool:
    """Whether this last reply says that the recipient may have it all the same."""
    return reply == SENT_AGAIN or reply.text.startswith(MAYBE)


def _prefixed(words: str, reply: Reply) -> Reply:
    return Reply(reply.code, reply.status, f"{words}: {reply.text}")


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

    def settle_given_up(self, message: Message, now: float) -> None:
        """Settle what is left of a message that is not sent again; its sender is to be told."""
        self.settle_reports(message, now)
        self._say_uncertain(message, now, "an operator has returned it")

    def settle_reports(self, message: Message, now: float) -> None:
        """Settle what has to do with reports: those on the message, and the message as a report."""
        if is_report(message.origin):
            self._settle_subject(message, now)
        self._settle_reported(message, now)

    def is_warned(self, message: Message) -> bool:
        """Whether the warning of a delay was made; noted for good when it was."""
        warning = message.warning
        if warning is None:
            return False
        if not warning.is_made and self.spool.find(warning.report) is not None:
            message.warn(evolve(warning, is_made=True))
            return True
        return warning.is_made

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
                self.is_warned(subject)
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
            elif one.outcome is Outcome.PENDING:
                log_line(self.log, message, one.recipient, "deferred", one.reply, CUT_OFF)

    def _reported(self, message: Message) -> Iterator[Verdict]:
        """Verdicts on recipients whose report was under way."""
        for place, record in enumerate(message.recipients):
            found = _NOTED.match(record.reply.text)
            if found is None:
                continue
            was_made = self.spool.find(found[1]) is not None
            reply = Reply(record.reply.code, record.reply.status, found[2])
            if record.outcome is Outcome.PENDING:
                yield Verdict(place, Outcome.FAILED if was_made else Outcome.PENDING, reply)
            elif record.outcome is Outcome.DELIVERED:
                delivered = Verdict(place, Outcome.DELIVERED, reply)
                yield delivered if was_made else owed(delivered)

    def _settle_uncertain(self, message: Message, now: float) -> bool:
        """Those marked are sent to again, or held once."""
        if self._say_uncertain(message, now, self.policy()) and self.queue.on_uncertain == "hold":
            return True
        marked = _marked(message)
        if marked:  # those said before were decided about
            again = [Verdict(place, Outcome.PENDING, SENT_AGAIN) for place in marked]
            self.spool.settle(message, again, now)
        return False

    def _say_uncertain(self, message: Message, now: float, policy: str) -> bool:
        """Those marked are logged and noted, once; whether there were any."""
        recipients = message.recipients
        fresh = [n for n in _marked(message) if not recipients[n].reply.text.startswith(MAYBE)]
        if not fresh:
            return False
        # Said before it is noted as said: a crash between the two says it twice, never not.
        for place in fresh:
            log_line(self.log, message, place, "uncertain", LOST, policy)
        self.log.flush()
        self.spool.settle(message, [Verdict(n, Outcome.UNCERTAIN, LOST) for n in fresh], now)
        return True


def _marked(message: Message) -> list[int]:
    """The recipients that may have the message."""
    return [
        place
        for place, record in enumerate(message.recipients)
        if record.outcome is Outcome.UNCERTAIN
    ]
