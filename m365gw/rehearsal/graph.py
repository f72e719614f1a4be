"""The decisions of the pretend Graph: whose sendMail is called, by whom, and what is taken.

As the real one it knows no envelope: it sends to whom To, Cc and Bcc name, and takes Bcc away.
Nothing here speaks HTTP; every refusal is a `Declined` with the status and error Graph would give.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from email.utils import getaddresses

from attrs import define, field, frozen

from m365gw.rehearsal.answers import ANSWERS
from m365gw.rehearsal.exchange import Exchange
from m365gw.rehearsal.tenant import GRAPH, MAIL_SEND, Mailbox, matches_any
from m365gw.rehearsal.tokens import Grant
from m365gw.rehearsal.wire import header_fields

ACCEPTED = 202
THROTTLED_FOR = 10  # seconds of Retry-After


class Declined(Exception):
    """Graph says no: HTTP status, error.code, and seconds of Retry-After if it names any."""

    def __init__(self, status: int, code: str, message: str, retry_after: int = 0) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


@frozen
class Mail:
    """A message as Graph understands it."""

    mailbox: Mailbox
    client_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)  # without Bcc


@define(kw_only=True)
class Graph:
    """The pretend service behind all requests."""

    exchange: Exchange
    running: Counter[str] = field(factory=Counter)  # requests under way, by mailbox

    def opened(self, owner: str, token: str) -> tuple[Grant, Mailbox]:
        """Who asks, and the mailbox asked for: `owner` is an address, or "" for "me"."""
        grant = self.exchange.tokens.grant(token)
        if grant is None or grant.audience != GRAPH:
            raise Declined(401, "InvalidAuthenticationToken", "Access token validation failure.")
        if not owner and not grant.user:
            words = "/me request is only valid with delegated authentication flow."
            raise Declined(400, "BadRequest", words)
        mailbox = self.exchange.tenant.mailbox(owner or grant.user)
        if mailbox is None:
            raise Declined(404, "ErrorInvalidUser", f"The requested user '{owner}' is invalid.")
        if not mailbox.licensed:
            words = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise Declined(404, "MailboxNotEnabledForRESTAPI", words)
        if not self._may_send(grant, mailbox):
            words = "Access is denied. Check credentials and try again."
            raise Declined(403, "ErrorAccessDenied", words)
        return grant, mailbox

    def _may_send(self, grant: Grant, mailbox: Mailbox) -> bool:
        if MAIL_SEND not in grant.permissions:
            return False
        if grant.user:
            own = grant.user.lower() == mailbox.address.lower()
            return own or matches_any(mailbox.full_access, grant.user)
        app = self.exchange.tenant.apps.get(grant.client_id)
        return app is not None and matches_any(app.mailboxes, mailbox.address)

    def begin(self, mailbox: Mailbox) -> None:
        """A request of a mailbox is under way; `end` it. Declined: there are too many."""
        limit = self.exchange.limits.graph_requests
        if limit and self.running[mailbox.address] >= limit:
            self.exchange.meters.note_excess(mailbox.address, "connections")
            words = "Application is over its MailboxConcurrency limit."
            raise Declined(429, "ApplicationThrottled", words, THROTTLED_FOR)
        self.running[mailbox.address] += 1

    def end(self, mailbox: Mailbox) -> None:
        """A request is over."""
        self.running[mailbox.address] -= 1

    def read(self, grant: Grant, mailbox: Mailbox, body: bytes) -> Mail:
        """The message in a request."""
        if len(body) > self.exchange.limits.graph_request_size:
            raise Declined(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum size.")
        try:
            content = base64.b64decode(body, validate=True)
        except binascii.Error:
            words = "Invalid base64 string for MIME content."
            raise Declined(400, "ErrorMimeContentInvalidBase64String", words) from None
        fields = list(header_fields(content))
        if not fields:
            raise Declined(400, "ErrorMimeContentInvalid", "The MIME content is invalid.")
        named = [value for name, value in fields if name in ("to", "cc", "bcc")]
        recipients = tuple(dict.fromkeys(address for _, address in getaddresses(named) if address))
        if not recipients or not all("@" in one for one in recipients):
            words = "At least one recipient is not valid."
            raise Declined(400, "ErrorInvalidRecipients", words)
        origins = [value for name, value in fields if name == "from"]
        senders = [address for _, address in getaddresses(origins) if "@" in address]
        sender = senders[0] if senders else mailbox.address
        return Mail(mailbox, grant.client_id, sender, recipients, without_bcc(content))

    def judge(self, mail: Mail) -> None:
        """Whether the message is sent. Declined when it is not."""
        mailbox, meters = mail.mailbox, self.exchange.meters
        if mailbox.blocked:
            words = "Cannot send mail. The account is blocked."
            raise Declined(403, "ErrorMessageSubmissionBlocked", words)
        if mailbox.full:
            raise Declined(400, "ErrorQuotaExceeded", "The mailbox is full.")
        if not mailbox.may_send_as(mail.sender):
            words = f"The user account does not have the right to send as {mail.sender}."
            raise Declined(403, "ErrorSendAsDenied", words)
        if len(mail.content) > mailbox.max_send_size:
            raise Declined(400, "ErrorMessageSizeExceeded", "The message exceeds the maximum size.")
        if meters.over_quota(mailbox.address, len(mail.recipients)):
            meters.note_excess(mailbox.address, "quota")
            words = "The message can't be submitted because the sender's quota was exceeded."
            raise Declined(403, "ErrorSubmissionQuotaExceeded", words)
        meters.count_message(mailbox.address)

    def take(self, mail: Mail, connection: int, fate: str = "") -> None:
        """Counts and records the message."""
        exchange, address = self.exchange, mail.mailbox.address
        exchange.meters.count_recipients(address, len(mail.recipients))
        is_too_many = len(mail.recipients) > mail.mailbox.recipient_limit
        returned = f"returned: {ANSWERS['recipient-limit']}" if is_too_many else ""
        exchange.record.add(
            mail.content,
            at=exchange.clock.seconds(),
            connection=connection,
            mailbox=address,
            client_id=mail.client_id,
            sender=mail.sender,
            recipients=mail.recipients,
            by="graph",
            fate=fate or returned or "delivered",
        )


def without_bcc(content: bytes) -> bytes:
    """A message without its Bcc fields, else octet for octet."""
    header, end, rest = content.partition(b"\r\n\r\n")
    kept: list[bytes] = []
    is_bcc = False
    for line in header.split(b"\r\n"):
        if line[:1] not in (b" ", b"\t"):
            is_bcc = line[:4].lower() == b"bcc:"
        if not is_bcc:
            kept.append(line)
    return b"\r\n".join(kept) + end + rest
