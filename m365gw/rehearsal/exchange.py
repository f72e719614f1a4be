"""The decisions of the pretend Exchange Online: who may sign in, send as whom, and what is taken.

Nothing here speaks on the wire; an answer is "" (all is well) or a line as `answers` has them.
"""

from __future__ import annotations

import base64
import binascii
import re
from email.utils import getaddresses

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from m365gw.rehearsal.answers import ANSWERS
from m365gw.rehearsal.faults import Faults
from m365gw.rehearsal.limits import Limits, Meters
from m365gw.rehearsal.middlebox import Middlebox
from m365gw.rehearsal.parameters import MailArguments, RcptArguments
from m365gw.rehearsal.record import Record
from m365gw.rehearsal.tenant import OUTLOOK, SMTP_ROLE, SMTP_SCOPE, Mailbox, Tenant, matches_any
from m365gw.rehearsal.tokens import Grant, Tokens
from m365gw.rehearsal.wire import has_bare_line_end, header_fields

XOAUTH2 = re.compile(r"user=([^\x00-\x1f\x7f]+)\x01auth=Bearer ([\x21-\x7e]+)\x01\x01", re.I)
LONGEST_LINE = 998


@define(kw_only=True)
class Transaction:
    """One message on its way in."""

    mail: MailArguments
    recipients: list[RcptArguments] = field(factory=list)
    disturbed: bool = False  # a fault has struck while the content arrived
    complaints: list[str] = field(factory=list)  # faults of the client that Microsoft lets pass

    def names(self) -> tuple[str, ...]:
        """Sender and recipients."""
        return (self.mail.sender, *(each.recipient for each in self.recipients))


@define(kw_only=True)
class Login:
    """Somebody who has signed in: the mailbox, and the app that did it."""

    mailbox: str
    client_id: str
    ends: float  # when the token ends, seconds since the epoch


@define(kw_only=True)
class Exchange:
    """The pretend service behind all sessions."""

    tenant: Tenant
    tokens: Tokens
    limits: Limits
    meters: Meters
    faults: Faults
    record: Record
    clock: IReactorTime
    middlebox: Middlebox = field(factory=Middlebox)

    def sign_in(self, response: bytes) -> Login | str:
        """The outcome of an XOAUTH2 response (base64): a login, or the answer that refuses it."""
        credentials = parse_xoauth2(response)
        if credentials is None:
            return ANSWERS["auth-failed"]
        address, token = credentials
        grant, mailbox = self.tokens.grant(token), self.tenant.mailbox(address)
        if grant is None or mailbox is None or not mailbox.licensed:
            return ANSWERS["auth-failed"]
        if grant.audience not in OUTLOOK or not self._may_open(grant, mailbox):
            return ANSWERS["auth-failed"]
        return self._policy(mailbox) or Login(
            mailbox=mailbox.address, client_id=grant.client_id, ends=grant.ends
        )

    def _may_open(self, grant: Grant, mailbox: Mailbox) -> bool:
        """Whether a token opens a mailbox: by permission and by right on this mailbox."""
        if grant.user:
            user = self.tenant.user(grant.user)
            own = user is not None and user.owns(mailbox.address)
            allowed = own or matches_any(mailbox.full_access, grant.user)
            return allowed and SMTP_SCOPE in grant.permissions
        app = self.tenant.apps.get(grant.client_id)
        if app is None or not matches_any(app.mailboxes, mailbox.address):
            return False
        return SMTP_ROLE in grant.permissions or app.rbac

    def _policy(self, mailbox: Mailbox) -> str:
        switched_off = self.tenant.smtp_auth_refusal(mailbox)
        if switched_off:
            return ANSWERS[f"disabled-{switched_off}"]
        if self.tenant.security_defaults:
            return ANSWERS["security-defaults"]
        if self.tenant.conditional_access:
            return ANSWERS["conditional-access"]
        return ""

    def mailbox_of(self, login: Login) -> Mailbox | None:
        """The mailbox mail leaves by; None if there is none (any more)."""
        return self.tenant.mailbox(login.mailbox)

    def refuse_sender(self, login: Login, sender: str, size: int) -> str:
        """The answer that refuses a MAIL FROM, or ""."""
        mailbox = self.mailbox_of(login)
        ended = self.tenant.sessions_end_with_token and login.ends <= self.clock.seconds()
        if mailbox is None or ended:
            return ANSWERS["not-authenticated"]
        if mailbox.blocked:
            return ANSWERS["blocked-sender"]
        if not sender or not mailbox.may_send_as(sender):
            return ANSWERS["send-as"]
        if size > self.size_limit(login):
            return ANSWERS["too-large"]
        return ""

    def refuse_recipient(self, login: Login, sender: str, recipient: str) -> str:
        """The answer that refuses a RCPT TO, or "": who has signed in may write to anybody."""
        return ""

    def size_limit(self, login: Login) -> int:
        """The largest message a mailbox may send, in octets."""
        mailbox = self.mailbox_of(login)
        own = mailbox.max_send_size if mailbox is not None else 0
        return min(own, self.limits.message_size or own)

    def refuse_content(self, login: Login, transaction: Transaction, content: bytes) -> str:
        """The answer that refuses a message for what it is, or ""."""
        mailbox = self.mailbox_of(login)
        if mailbox is None:
            return ANSWERS["logon-failed"]
        if len(content) > self.size_limit(login):
            return ANSWERS["too-large"]
        if transaction.mail.body != "BINARYMIME" and has_bare_line_end(content):
            return ANSWERS["bare-line-feed"]
        if mailbox.full:
            return ANSWERS["mailbox-full"]
        return self._refuse_header(mailbox, content)

    def _refuse_header(self, mailbox: Mailbox, content: bytes) -> str:
        origins, hops = [], 0
        for name, value in header_fields(content):
            if self.limits.field_size and len(value) > self.limits.field_size:
                return ANSWERS["field-too-long"].format(size=len(value))
            if name == "from":
                origins.append(value)
            hops += name == "received"
        if self.limits.hops and hops > self.limits.hops:
            return ANSWERS["hop-count"]
        addresses = [address for _, address in getaddresses(origins) if "@" in address]
        if self.tenant.from_demanded and (len(origins) != 1 or not addresses):
            return ANSWERS["no-from"]
        for address in addresses:
            if not mailbox.may_send_as(address):
                return ANSWERS["from-denied"].format(mailbox=mailbox.address, sender=address)
        return ""

    def refuse_amount(self, login: Login, transaction: Transaction) -> str:
        """The answer that refuses a message because there were too many, or ""."""
        if self.meters.over_quota(login.mailbox, len(transaction.recipients)):
            self.meters.note_excess(login.mailbox, "quota")
            return ANSWERS["quota"]
        if self.limits.rate_mode == "refuse" and self.meters.rate_wait(login.mailbox):
            self.meters.note_excess(login.mailbox, "rate")
            return ANSWERS["rate"]
        return ""

    def fate(self, login: Login, transaction: Transaction) -> str:
        """What becomes of a message that was taken."""
        mailbox = self.mailbox_of(login)
        if mailbox is not None and len(transaction.recipients) > mailbox.recipient_limit:
            return "returned: " + ANSWERS["recipient-limit"]
        return "delivered"


def parse_xoauth2(response: bytes) -> tuple[str, str] | None:
    """User and token of an XOAUTH2 response in base64; None when it is malformed."""
    try:
        text = base64.b64decode(response, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    match = XOAUTH2.fullmatch(text)
    return (match[1], match[2]) if match else None


def complaints_about(transaction: Transaction, content: bytes) -> list[str]:
    """What a client did wrong with a message that is taken all the same, in words."""
    complaints = [*transaction.complaints]
    if transaction.mail.body == "7BIT" and not content.isascii():
        complaints.append("8-bit content without BODY=8BITMIME")
    longest = max(map(len, content.split(b"\r\n")))
    if longest > LONGEST_LINE:
        complaints.append(f"a line of {longest} octets")
    if transaction.mail.size and transaction.mail.size < len(content):
        complaints.append(f"SIZE={transaction.mail.size} but {len(content)} octets")
    if content and not content.endswith(b"\r\n"):
        complaints.append("content without CRLF at its end")
    return complaints
