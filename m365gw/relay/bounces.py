"""Reports on mail that could not be delivered: made, and made durable, before it is let go.

A report goes to the sender of the message, as mail of our own: through the same spool, from a
mailbox that may send (Microsoft takes no null sender). Nothing is ever reported to a null sender,
nor on a report, nor on an automatic answer (RFC 3834 2, Auto-Submitted: auto-replied), nor where
the sender asked for none (RFC 3461 NOTIFY). Mail that an application or a list generated is
reported to its envelope sender as RFC 5321 6.1 wants it; RFC 3834 speaks of answers, not of
delivery reports.

What cannot be returned goes to the postmaster of `[queue] postmaster`; without one the message is
held with a reason for the operator (`obstacle`). Failures: `SpoolError` when the report cannot be
made durable; then nothing may be taken as reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog
from m365gw.relay.attempt import Attempt, Finding
from m365gw.relay.mailboxes import Mailboxes
from m365gw.relay.recovery import REPORTS, is_report, noted
from m365gw.relay.threads import Calls
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.headers import header_of
from m365gw.smtp.reports import FailedRecipient, compose_report
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.health import SpoolError
from m365gw.spool.message import Message
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool

HEADER_LIMIT = 65536  # octets of the original header that are looked at and returned
WHOLE_LIMIT = 1048576  # octets of the longest message that is returned whole


@frozen
class Failure:
    """A recipient that is given up, and the attempt that decided it."""

    finding: Finding
    attempt: Attempt
    gave_up: bool = False  # temporary trouble until the end of its time


@define(kw_only=True)
class Bounces:
    """Makes reports. `accepted` sends one that was made."""

    spool: Spool
    mailboxes: Mailboxes
    disk: Calls
    clock: IReactorTime
    log: EventLog
    hostname: str
    postmaster: str
    accepted: Callable[[Entry], object]

    def obstacle(self, message: Message) -> str:
        """Why the failures of a message can be told to nobody, for the operator; "" if they can.

        They can also when nobody wants to be told.
        """
        wanted = any(_wants_report(recipient) for recipient in message.envelope.recipients)
        return self._addressee(message)[1] if wanted else ""

    async def report(self, message: Message, failures: Sequence[Failure]) -> Entry | None:
        """Tell whoever is to be told. Returns when the report is durable, or none is to be made.

        The message is told first which report that is (`recovery`). The caller notes the failures
        and then gives the report to `accepted`.
        """
        told = [
            failure
            for failure in failures
            if _wants_report(message.envelope.recipients[failure.finding.recipient])
        ]
        addressee, _ = self._addressee(message)
        if not told or not addressee:
            return None
        mailbox = self._mailbox(message.origin.mailbox)
        is_ascii = mailbox.isascii() and addressee.isascii()
        envelope = Envelope(
            mailbox, (Recipient(addressee),), smtputf8=not is_ascii, envid=message.entry.queue_id
        )
        origin = Origin("", protocol="", listener=REPORTS, mailbox=mailbox)
        draft = self.spool.draft(envelope, origin)
        verdicts = [Verdict(o.finding.recipient, Outcome.FAILED, o.finding.reply) for o in told]
        self.spool.settle(message, noted(verdicts, draft.queue_id), self.clock.seconds())
        await self.disk.call(self.spool.sync, message)
        draft.write(self._text(message, told, mailbox, addressee, draft.queue_id))
        draft.finish()
        (entry,) = await self.disk.call(self.spool.commit, [draft])
        if isinstance(entry, SpoolError):
            raise entry
        self.log.emit(
            "message.report",
            "bounce",
            message.entry.queue_id,
            note=f"sender non-delivery notification: {draft.queue_id}",
        )
        return entry

    def _addressee(self, message: Message) -> tuple[str, str]:
        """Who is told of failures, or "" and why nobody can be."""
        obstacle = _unanswerable(message)
        if not obstacle:
            return message.envelope.sender, ""
        addresses = {recipient.address for recipient in message.envelope.recipients}
        if self.postmaster and self.postmaster not in addresses:
            return self.postmaster, ""
        remedy = "Read it, then: m365gw queue remove <id>."
        if not self.postmaster:
            remedy += " [queue] postmaster would get such mail."
        return "", f"{obstacle} {remedy}"

    def _mailbox(self, own: str) -> str:
        """The mailbox a report leaves by: the message's own, or another one if that may not."""
        now = self.clock.seconds()
        configured = self.mailboxes.addresses
        candidates = (own, *configured) if own in self.mailboxes else configured
        free = (one for one in candidates if self.mailboxes.may_send(one, now) <= now)
        return next(free, candidates[0] if candidates else own)

    def _text(
        self, message: Message, failures: Sequence[Failure], mailbox: str, addressee: str, qid: str
    ) -> bytes:
        """The report itself (RFC 3464), with all of the message if it asked for that (RET=FULL)."""
        whole = message.envelope.ret == "FULL" and message.size <= WHOLE_LIMIT
        return compose_report(
            hostname=self.hostname,
            sender=mailbox,
            addressee=addressee,
            queue_id=qid,
            about=message.entry.queue_id,
            envid=message.envelope.envid,
            arrived_at=datetime.fromtimestamp(message.entry.arrived_at, UTC),
            at=datetime.fromtimestamp(self.clock.seconds(), UTC),
            failed=[_failed(message, failure) for failure in failures],
            header=message.header(HEADER_LIMIT),
            message=message.read(0, message.size) if whole else None,
        )


def _wants_report(recipient: Recipient) -> bool:
    """Whether a failure of this recipient is to be reported (RFC 3461 4.1)."""
    return not recipient.notify or "FAILURE" in recipient.notify


def _unanswerable(message: Message) -> str:
    """Why a message may not be answered with a report; "" if it may."""
    if is_report(message.origin):
        return "It is a report that the sender of a message could not be given."
    if not message.envelope.sender:
        return "Not delivered, and it has no sender it could be returned to."
    header = header_of(message.header(HEADER_LIMIT))
    automatic = header.first("auto-submitted").partition(";")[0].strip().lower()
    if automatic in ("auto-replied", "auto-notified"):
        return "It is an automatic answer, not delivered, and those are not answered."
    if header.first("content-type").strip().lower().startswith("multipart/report"):
        return "Not delivered, and it is a report itself."
    return ""


def _failed(message: Message, failure: Failure) -> FailedRecipient:
    finding = failure.finding
    return FailedRecipient(
        message.envelope.recipients[finding.recipient],
        finding.reply,
        finding.reaction.diagnosis,
        failure.attempt.relay,
        failure.gave_up,
    )
