"""Reports on mail: made, and made durable, before what they tell of is taken as told.

A report goes to the sender of the message, as mail of our own: through the same spool, from a
mailbox that may send (Microsoft takes no null sender). Inside our spool it is known for what it is
(`recovery.is_report`), so nothing is ever reported about it: that is what makes loops impossible.

What failed and cannot be told to the sender goes to the postmaster of `[queue] postmaster`; without
one the message is held with a reason for the operator (`obstacle`). Failures: `SpoolError` when
the report cannot be made durable; then nothing may be taken as reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.config.settings import Queue
from m365gw.events import EventLog
from m365gw.relay.delivery.recovery import REPORTS, noted
from m365gw.relay.reports.addressees import HEADER_LIMIT, unanswerable, wants
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.threads import Calls
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.reports.facts import Facts, Kind, Told
from m365gw.smtp.reports.reports import compose_report
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.draft import Draft
from m365gw.spool.health import SpoolError
from m365gw.spool.message import Message
from m365gw.spool.names import Entry
from m365gw.spool.outcomes import DelayWarning
from m365gw.spool.spool import Spool

WHOLE_LIMIT = 1048576  # octets of the longest message that is returned whole

_NAMES = {
    Kind.FAILED: "sender non-delivery notification",
    Kind.DELAYED: "sender delay notification",
    Kind.RELAYED: "sender delivery status notification",
}
_OUTCOMES = {Kind.FAILED: Outcome.FAILED, Kind.RELAYED: Outcome.DELIVERED}


@frozen
class Case:
    """One recipient to be told of, by its place in the envelope."""

    place: int
    told: Told

    def verdict(self, kind: Kind) -> Verdict:
        """What the message will keep of it."""
        return Verdict(self.place, _OUTCOMES[kind], self.told.reply)


@define(kw_only=True)
class Bounces:
    """Makes reports. `accepted` sends one that was made."""

    spool: Spool
    mailboxes: Mailboxes
    disk: Calls
    clock: IReactorTime
    log: EventLog
    hostname: str
    queue: Queue
    accepted: Callable[[Entry], object]

    def obstacle(self, message: Message) -> str:
        """Why the failures of a message can be told to nobody, for the operator; "" if they can.

        They can also when nobody wants to be told.
        """
        wanted = any(wants(Kind.FAILED, one) for one in message.envelope.recipients)
        if not wanted or self.addressee(message):
            return ""
        remedy = "Read it, then: m365gw queue remove <id>."
        if not self.queue.postmaster:
            remedy += " [queue] postmaster would get such mail."
        return f"{unanswerable(message)} {remedy}"

    def addressee(self, message: Message) -> str:
        """Who is told of failures: the sender, else the postmaster; "" when nobody can be."""
        if not unanswerable(message):
            return message.envelope.sender
        postmaster = self.queue.postmaster
        is_for_postmaster = any(
            one.address.casefold() == postmaster.casefold() for one in message.envelope.recipients
        )
        return "" if is_for_postmaster else postmaster

    def owes(self, message: Message, place: int, *, is_taken_over: bool) -> bool:
        """Whether the sender is to be told that a recipient was passed on.

        A server that takes over the wishes of RFC 3461 (`is_taken_over`) reports itself.
        """
        recipient = message.envelope.recipients[place]
        success = not is_taken_over and wants(Kind.RELAYED, recipient)
        cleared = (
            self.queue.confirm_delay_cleared
            and message.warning is not None
            and wants(Kind.DELAYED, recipient)
        )
        return (success or cleared) and not unanswerable(message)

    async def report(
        self, kind: Kind, message: Message, cases: Sequence[Case], retry_until: float = 0.0
    ) -> Entry | None:
        """Tell whoever is to be told. Returns when the report is durable, or none is to be made.

        The message is told first which report that is (`recovery`). The caller notes what has been
        told and then gives the report to `accepted`. Raises SpoolError.
        """
        wanted = [one for one in cases if kind is Kind.RELAYED or wants(kind, one.told.recipient)]
        addressee = self.addressee(message) if kind is Kind.FAILED else message.envelope.sender
        if not wanted or not addressee:
            return None
        whole = self._whole(kind, message)
        is_international = message.envelope.smtputf8
        draft, mailbox = self.begin(
            addressee,
            message,
            envid=message.entry.queue_id,
            eight_bit=is_international or not (whole or b"").isascii(),
        )
        self._note(kind, message, wanted, draft.queue_id)
        await self.disk.call(self.spool.sync, message)
        origin = message.origin
        facts = Facts(
            kind=kind,
            hostname=self.hostname,
            sender=mailbox,
            addressee=addressee,
            queue_id=draft.queue_id,
            about=message.entry.queue_id,
            envid=message.envelope.envid,
            came_from=(origin.helo, origin.client),
            arrived_at=datetime.fromtimestamp(message.entry.arrived_at, UTC),
            at=self.now,
            retry_until=datetime.fromtimestamp(retry_until, UTC) if retry_until else None,
            was_delayed=message.warning is not None,
            is_international=is_international,
            told=[one.told for one in wanted],
            header=message.header(HEADER_LIMIT),
            message=whole,
        )
        return await self.end(draft, compose_report(facts), _NAMES[kind], message.entry.queue_id)

    def begin(
        self, addressee: str, about: Message, *, envid: str = "", eight_bit: bool = False
    ) -> tuple[Draft, str]:
        """A draft of mail of our own to somebody, and the mailbox it leaves by."""
        mailbox = self._mailbox(about.origin.mailbox)
        envelope = Envelope(
            mailbox,
            (Recipient(addressee),),
            eight_bit=eight_bit,
            smtputf8=about.envelope.smtputf8 or not (mailbox.isascii() and addressee.isascii()),
            envid=envid,
        )
        origin = Origin("", protocol="", listener=REPORTS, mailbox=mailbox)
        return self.spool.draft(envelope, origin), mailbox

    async def end(self, draft: Draft, content: bytes, name: str, queue_id: str = "") -> Entry:
        """Make it durable, and log it under the message it is about. Raises SpoolError."""
        draft.write(content)
        draft.finish()
        (entry,) = await self.disk.call(self.spool.commit, [draft])
        if isinstance(entry, SpoolError):
            raise entry
        self.log.emit("message.report", "bounce", queue_id, note=f"{name}: {draft.queue_id}")
        return entry

    @property
    def now(self) -> datetime:
        """The time, as reports write it."""
        return datetime.fromtimestamp(self.clock.seconds(), UTC)

    def _note(self, kind: Kind, message: Message, told: Sequence[Case], report: str) -> None:
        """Tell the message which report is about to be made."""
        if kind is Kind.DELAYED:
            message.warn(DelayWarning(report, is_made=False))
            return
        verdicts = [one.verdict(kind) for one in told]
        self.spool.settle(message, noted(verdicts, report), self.clock.seconds())

    def _mailbox(self, own: str) -> str:
        """The mailbox a report leaves by: the one for reports, the message's own, or any other.

        Taken is the first that may send now. When none may, the report waits for the first.
        """
        now = self.clock.seconds()
        known, wanted = self.mailboxes.addresses, self.queue.report_from.casefold()
        candidates = [one for one in known if one.casefold() == wanted]
        candidates += [one for one in (own, *known) if one in self.mailboxes]
        return next(
            (one for one in candidates if self.mailboxes.may_send(one, now) <= now),
            candidates[0] if candidates else own,
        )

    def _whole(self, kind: Kind, message: Message) -> bytes | None:
        """All of the message, if it asked for that (RET=FULL) and is not too long to go back."""
        if kind is not Kind.FAILED or message.envelope.ret != "FULL" or message.size > WHOLE_LIMIT:
            return None
        return message.read(0, message.size)
