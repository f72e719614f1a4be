"""One mail transaction: from an accepted MAIL to the end of its content.

All state of a transaction lives in one object, and ending it, for whatever reason, drops the
object. So no piece of one message can reach the next.
"""

from __future__ import annotations

from attrs import define, field

from m365gw.edge.content import Content
from m365gw.smtp.commands import Mail
from m365gw.smtp.content import ContentScanner
from m365gw.smtp.envelope import Envelope, Recipient


@define
class Transaction:
    """What MAIL, RCPT and BDAT have brought so far."""

    mail: Mail
    mailbox: str  # it leaves by
    recipients: list[Recipient] = field(factory=list)
    content: Content | None = None  # begun by the first BDAT
    scanner: ContentScanner = field(factory=ContentScanner)  # of BDAT content, over all chunks

    def envelope(self) -> Envelope:
        """The envelope as it stands."""
        return Envelope(
            sender=self.mail.sender,
            recipients=tuple(self.recipients),
            eight_bit=self.mail.body == "8BITMIME",
            smtputf8=self.mail.smtputf8,
            ret=self.mail.ret,
            envid=self.mail.envid,
        )

    def abandon(self) -> None:
        """Drop what was received of the content; nobody was promised anything."""
        if self.content is not None:
            self.content.abandon()
