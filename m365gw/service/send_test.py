"""Test mails of an operator: made here, kept in the spool like any other mail, and followed.

Whoever may use the API may send one, from any address and by any mailbox: no rule of a client is
asked, and Microsoft has the last word. From the moment it is accepted it is a message like others:
it waits where others wait, and is listed, retried and reported on as they are.

What happens to it is gathered from the log and given to whoever follows it. Nothing of that is
kept over a restart, nor for longer than `KEPT`; the message is. Failures: `Refusal` with 400 for
what is no address, 404 for an unknown mailbox, 503 when the spool takes no mail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from twisted.internet.interfaces import IReactorTime

from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import Following, TestMail
from m365gw.config.permissions import Permissions
from m365gw.edge.admission.rules import Rule
from m365gw.edge.receiving.intake import Intake
from m365gw.events import EventLog
from m365gw.relay.limits.overview import Overview
from m365gw.service.followed import Followed
from m365gw.smtp.addresses import parse_mailbox
from m365gw.smtp.content import ContentScanner
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Refused
from m365gw.spool.names import Entry

KEPT = 3600.0  # seconds a test mail can be followed
MOST_KEPT = 100
MOST_RECIPIENTS = 10
LISTENER = "send-test"  # stands where else a listener's name does

_TEXT = """\
This is a test mail of the mail gateway {hostname}.

It was sent by its operator ({by}) through the mailbox {mailbox}, and takes the way that all mail
takes. If you can read it, the gateway, its sign-in and the mailbox work.
"""


class SendTest:
    """Sends test mails and follows them.

    `intake` gives the way into the spool, `overview` all mailboxes; `probe` has one tried at once.
    """

    def __init__(
        self,
        hostname: Callable[[], str],
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
        recipients = list(dict.fromkeys(map(_address, order.recipients or (mailbox,))))
        if len(recipients) > MOST_RECIPIENTS or not order.subject.isprintable():
            words = (
                f"A test mail has at most {MOST_RECIPIENTS} recipients, and a subject of one line."
            )
            raise Refusal(400, words)
        envelope = Envelope(sender=sender, recipients=tuple(map(Recipient, recipients)))
        origin = Origin("", protocol="", login=caller.name, listener=LISTENER, mailbox=mailbox)
        followed = self._follow(mailbox, len(recipients))
        try:
            entry, message_id = await self._accepted(envelope, origin, order.subject, followed)
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

    async def _accepted(
        self, envelope: Envelope, origin: Origin, subject: str, followed: Followed
    ) -> tuple[Entry, str]:
        """A message that is durable, and its Message-ID. Raises Refused."""
        permissions = Permissions(senders=("*",), mailbox=origin.mailbox, foreign_from="keep")
        rule = Rule("an operator's test", "m365gw send-test", permissions)
        intake = self._intake()
        content = intake.begin(envelope, origin, rule)
        try:
            octets, message_id = self._composed(subject, envelope, origin, content.queue_id)
            intake.check_space(len(octets))
            scanner = ContentScanner()
            scanner.feed(octets)
            content.write(octets)
            followed.queue_id = content.queue_id
            self._followed[content.queue_id] = followed
            return await intake.accept(content, scanner.faults), message_id
        except Exception:
            content.abandon()
            self._followed.pop(content.queue_id, None)
            raise

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
            await followed.something(self._clock, following.bounded)
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
        self, subject: str, envelope: Envelope, origin: Origin, queue_id: str
    ) -> tuple[bytes, str]:
        """The message, and its Message-ID."""
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        message = EmailMessage(policy=SMTP)
        message["From"] = envelope.sender
        message["To"] = ", ".join(each.address for each in envelope.recipients)
        message["Subject"] = subject or f"Test of the mail gateway {self._hostname()}"
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{queue_id}.test@{self._hostname()}>"
        message["Auto-Submitted"] = "auto-generated"  # nobody's absence note answers it
        message.set_content(
            _TEXT.format(hostname=self._hostname(), by=origin.login, mailbox=origin.mailbox)
        )
        return message.as_bytes(), str(message["Message-ID"])

    def _follow(self, mailbox: str, recipients: int) -> Followed:
        """What is known of a test mail that begins; the old ones are let go of."""
        now = self._clock.seconds()
        past = [name for name, one in self._followed.items() if one.sent_at < now - KEPT]
        for name in [*past, *list(self._followed)[: 1 - MOST_KEPT]]:
            self._followed.pop(name, None)
        return Followed(mailbox, recipients, now)

    def _heard(self, event: str, qid: str, note: str, fields: Mapping[str, object]) -> None:
        """The log says something; most of it is of other messages."""
        if not self._followed:
            return
        now = self._clock.seconds()
        if qid in self._followed:
            self._followed[qid].take(event, note, fields, now)
        elif event in ("token.acquired", "token.unavailable"):
            for each in self._followed.values():
                if each.mailbox == fields.get("mailbox") and not each.outcome:
                    life = fields.get("life")
                    each.add(now, "token", note or f"fetched, good for {life} s")


def _address(text: str) -> str:
    """An address in its checked form; in ASCII, as mailboxes of Exchange Online are."""
    try:
        address = str(parse_mailbox(text))
    except Refused:
        address = ""
    if not address or not address.isascii():
        raise Refusal(400, f'"{text}" is not a mail address.', "", "As user@example.com.")
    return address
