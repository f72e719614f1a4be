"""Test mails of an operator: made here, kept in the spool like any other mail, and followed.

Whoever may use the API may send one, from any address and by any mailbox: no rule of a client is
asked, and Microsoft has the last word. From the moment it is accepted it is a message like others:
it waits where others wait, and is listed, retried and reported on as they are.

What happens to it is gathered from the log and given to whoever follows it. Nothing of that is
kept over a restart, nor for longer than `KEPT`; the message is. Failures: `Refusal` with 400 for
what is no address, 404 for an unknown mailbox, 503 when the spool takes no mail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import Following, TestMail
from m365gw.config.permissions import Permissions
from m365gw.edge.admission.rules import Rule
from m365gw.edge.receiving.intake import Intake
from m365gw.events import EventLog
from m365gw.relay.limits.overview import Overview
from m365gw.smtp.addresses import parse_mailbox
from m365gw.smtp.content import ContentScanner
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Refused

KEPT = 3600.0  # seconds a test mail can be followed
MOST_KEPT = 100
LISTENER = "send-test"  # stands where else a listener's name does

_MICROSOFT_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>|\[InternalId=[^\]]+\]")
_TEXT = """\
This is a test mail of the mail gateway {hostname}.

It was sent by its operator ({by}) through the mailbox {mailbox}, and takes the way that all mail
takes. If you can read it, the gateway, its sign-in and the mailbox work.
"""


@define
class Followed:
    """A test mail under way, and what has happened to it."""

    queue_id: str
    mailbox: str
    recipients: int
    sent_at: float
    steps: list[dict[str, Any]] = field(factory=list)
    statuses: dict[str, str] = field(factory=dict)  # of each recipient that was tried
    waiting: list[Deferred[None]] = field(factory=list)

    @property
    def outcome(self) -> str:
        """The worst that was said of a recipient in the last attempt; "" before its end."""
        if len(self.statuses) < self.recipients:
            return ""
        order = ("bounced", "held", "uncertain", "deferred", "sent")
        return next(each for each in order if each in self.statuses.values())

    def add(self, at: float, step: str, words: str, **more: Any) -> None:
        """Something has happened: whoever waits for it is told."""
        self.steps.append({"at": at, "step": step, "words": words, **more})
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.callback(None)


class SendTest:
    """Sends test mails and follows them.

    `intake` gives the way into the spool, `overview` all mailboxes; `probe` has one tried at once.
    """

    def __init__(
        self,
        hostname: str,
        intake: Callable[[], Intake],
        overview: Callable[[], list[Overview]],
        probe: Callable[[str], object],
        clock: IReactorTime,
        log: EventLog,
    ) -> None:
        self._hostname = hostname
        self._intake = intake
        self._overview = overview
        self._probe = probe
        self._clock = clock
        self._log = log
        self._followed: dict[str, Followed] = {}
        log.listeners.append(self._heard)

    async def send(self, order: TestMail, caller: Caller) -> dict[str, Any]:
        """Make a test mail durable, and have it tried at once. Raises `Refusal`."""
        mailbox = self._chosen(order.mailbox).address
        sender = _address(order.sender or mailbox)
        recipients = [_address(each) for each in order.recipients or (mailbox,)]
        envelope = Envelope(sender=sender, recipients=tuple(map(Recipient, recipients)))
        origin = Origin("", protocol="", login=caller.name, listener=LISTENER, mailbox=mailbox)
        permissions = Permissions(senders=("*",), mailbox=mailbox, foreign_from="keep")
        rule = Rule("an operator's test", "m365gw send-test", permissions)
        try:
            intake = self._intake()
            content = intake.begin(envelope, origin, rule)
            octets, message_id = self._composed(order, sender, recipients, content.queue_id, caller)
            scanner = ContentScanner()
            scanner.feed(octets)
            content.write(octets)
            now = self._clock.seconds()
            followed = self._follow(Followed(content.queue_id, mailbox, len(recipients), now))
            entry = await intake.accept(content, scanner.faults)
        except Refused as refused:
            raise Refusal(503, "The test mail was not taken.", f"{refused.reply}.") from None
        self._log.emit(
            "message.queued",
            "control",
            entry.queue_id,
            by=caller.name,
            from_=sender,
            size=entry.size,
            nrcpt=len(recipients),
            mailbox=mailbox,
        )
        self._probe(mailbox)
        return {
            "queue_id": followed.queue_id,
            "message_id": message_id,
            "mailbox": mailbox,
            "sender": sender,
            "recipients": recipients,
        }

    async def follow(self, following: Following, caller: Caller) -> dict[str, Any]:
        """What has happened since, once something has, or time is up. Raises `Refusal`."""
        followed = self._followed.get(following.queue_id)
        if followed is None:
            raise Refusal(
                404,
                f"The test mail {following.queue_id} is not followed here.",
                "It was sent long ago, or before the service was started again.",
                "m365gw queue show and the log tell what became of it.",
            )
        if following.seen >= len(followed.steps) and not followed.outcome:
            something: Deferred[None] = Deferred()
            followed.waiting.append(something)
            bound = self._clock.callLater(following.bounded, _give_up, followed, something)
            await something
            if bound.active():
                bound.cancel()
        return {
            "steps": followed.steps[following.seen :],
            "outcome": followed.outcome,
            "mailbox": self._chosen(followed.mailbox).plain(),
        }

    def _chosen(self, address: str) -> Overview:
        """The mailbox of that address; the only one, where none is named. Raises `Refusal`."""
        all_ = self._overview()
        known = ", ".join(each.address for each in all_) or "none"
        if not address and len(all_) == 1:
            return all_[0]
        if not address:
            raise Refusal(400, "Which mailbox?", f"There are: {known}.", "Name one (--mailbox).")
        for each in all_:
            if each.address.casefold() == address.casefold():
                return each
        raise Refusal(404, f"There is no mailbox {address}.", f"Known: {known}.")

    def _composed(
        self, order: TestMail, sender: str, recipients: list[str], queue_id: str, caller: Caller
    ) -> tuple[bytes, str]:
        """The message, and its Message-ID."""
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = sender, ", ".join(recipients)
        message["Subject"] = order.subject or f"Test of the mail gateway {self._hostname}"
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{queue_id}.test@{self._hostname}>"
        message["Auto-Submitted"] = "auto-generated"  # nobody's absence note answers it
        message.set_content(
            _TEXT.format(hostname=self._hostname, by=caller.name, mailbox=order.mailbox or sender)
        )
        return message.as_bytes(), str(message["Message-ID"])

    def _follow(self, followed: Followed) -> Followed:
        past = [each for each in self._followed.values() if each.sent_at < followed.sent_at - KEPT]
        for each in [*past, *list(self._followed.values())[: 1 - MOST_KEPT]]:
            self._followed.pop(each.queue_id, None)
        self._followed[followed.queue_id] = followed
        return followed

    def _heard(self, event: str, qid: str, note: str, fields: Mapping[str, object]) -> None:
        """The log says something; most of it is of other messages."""
        if not self._followed:
            return
        now = self._clock.seconds()
        if qid in self._followed:
            _take(self._followed[qid], event, note, fields, now)
        elif event in ("token.acquired", "token.unavailable"):
            for each in self._followed.values():
                if each.mailbox == fields.get("mailbox") and not each.outcome:
                    life = fields.get("life")
                    each.add(now, "token", note or f"fetched, good for {life} s")


def _take(
    followed: Followed, event: str, note: str, fields: Mapping[str, object], at: float
) -> None:
    if event == "message.queued":
        followed.add(at, "accepted", f"kept in the spool as {followed.queue_id}")
    elif event == "delivery":
        status, found = str(fields["status"]), _MICROSOFT_ID.search(note)
        followed.statuses[str(fields["to"])] = status
        words = f"to {fields['to']} by {fields['relay']}: {note}"
        reference = found.group() if found and status == "sent" else ""
        followed.add(at, status, words, microsoft_id=reference)


def _give_up(followed: Followed, waiting: Deferred[None]) -> None:
    if waiting in followed.waiting:
        followed.waiting.remove(waiting)
        waiting.callback(None)


def _address(text: str) -> str:
    try:
        return str(parse_mailbox(text))
    except Refused:
        raise Refusal(400, f'"{text}" is not a mail address.', "", "As user@example.com.") from None
