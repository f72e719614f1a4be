"""One mail transaction: from an accepted MAIL to the end of its content.

All state of a transaction lives in one object, and ending it, for whatever reason, drops the
object. So no piece of one message can reach the next.
"""

from __future__ import annotations

from attrs import define, field

from m365gw.edge.admission.allowances import Allowance
from m365gw.edge.admission.rules import Allowed
from m365gw.edge.receiving.content import Content
from m365gw.smtp.commands import Mail
from m365gw.smtp.content import ContentScanner
from m365gw.smtp.envelope import Envelope, Recipient
from m365gw.smtp.replies import Refused


@define
class Transaction:
    """What MAIL, RCPT and BDAT have brought so far."""

    mail: Mail
    admitted: Allowed  # the sender, by which rule
    allowance: Allowance  # of its client
    recipients: list[Recipient] = field(factory=list)
    content: Content | None = None  # begun by the first BDAT
    scanner: ContentScanner = field(factory=ContentScanner)  # of BDAT content, over all chunks

    @property
    def mailbox(self) -> str:
        """The address of the mailbox it leaves by."""
        return self.admitted.mailbox

    @property
    def sender(self) -> str:
        """The sender of the envelope as it goes on, which a rule may have rewritten."""
        return self.admitted.sender

    def envelope(self) -> Envelope:
        """The envelope as it stands."""
        return Envelope(
            sender=self.admitted.sender,
            recipients=tuple(self.recipients),
            eight_bit=self.mail.body == "8BITMIME",
            smtputf8=self.mail.smtputf8,
            ret=self.mail.ret,
            envid=self.mail.envid,
        )

    def add(self, recipient: Recipient) -> None:
        """One more recipient, if the rule has nothing against it. Raises Refused."""
        rule = self.admitted.rule
        if rule.judges_recipients:
            denied = rule.may_receive(recipient.address)
            if denied is not None:
                raise Refused(denied.reply)
        self.allowance.check(len(self.recipients) + 1)
        self.recipients.append(recipient)

    def abandon(self) -> None:
        """Drop what was received of the content; nobody was promised anything."""
        if self.content is not None:
            self.content.abandon()
