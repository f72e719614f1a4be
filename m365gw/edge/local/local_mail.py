"""What a message of a local program becomes: its checked envelope, its completed content.

The same checks as for one that comes by SMTP, asked of what `sendmail` wrote into the maildrop.
Failures: `Refused`, with the reply a client would have got; `NotMail` when the file changes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from m365gw.config.limits import Limits
from m365gw.edge.admission.rules import Allowed, Denied
from m365gw.edge.local.local_users import LocalUser
from m365gw.edge.local.maildrop import Mail
from m365gw.edge.receiving.content import Content, too_large
from m365gw.smtp.addresses import parse_mailbox
from m365gw.smtp.content import ContentScanner, Faults
from m365gw.smtp.envelope import Envelope, Recipient
from m365gw.smtp.repair.origination import complete
from m365gw.smtp.replies import Refused, Reply

PIECE: Final = 65536  # octets read at a time
NO_RECIPIENT: Final = Reply(554, "5.5.1", "The message has no recipients")
TOO_MANY: Final = Reply(552, "5.5.3", "The message has more recipients than are allowed here")


def judge(mail: Mail, user: LocalUser, limits: Limits, hostname: str) -> tuple[Envelope, Allowed]:
    """The checked envelope, and by which rule it is allowed. Raises Refused."""
    given, settings = mail.envelope, user.settings
    sender = given.sender
    if sender is None:
        sender = (settings.default_from if settings else "") or user.name
    if sender:
        sender = str(parse_mailbox(_with_domain(sender, hostname), "5.1.7"))
    decision = user.may_send(sender)
    if isinstance(decision, Denied):
        raise Refused(decision.reply)
    if mail.size > limits.message_size_limit:
        raise Refused(too_large(limits))
    if not given.recipients:
        raise Refused(NO_RECIPIENT)
    if len(given.recipients) > limits.recipient_limit:
        raise Refused(TOO_MANY)
    unnamed = settings.recipient if settings else ""
    addresses = dict.fromkeys(_recipient(address, unnamed) for address in given.recipients)
    for address in addresses:
        denied = decision.rule.may_receive(address)
        if denied is not None:
            raise Refused(denied.reply)
    sender = decision.sender
    envelope = Envelope(
        sender=sender,
        recipients=tuple(Recipient(address, given.notify) for address in addresses),
        eight_bit=given.eight_bit,
        smtputf8=not all(address.isascii() for address in (sender, *addresses)),
        ret=given.ret,
        envid=given.envid,
    )
    return envelope, decision


def fill(
    content: Content, mail: Mail, sender: str, hostname: str, at: datetime, limits: Limits
) -> Faults:
    """BLOCKING. The message into the content, its header completed; gives its faults.

    `at` is when it was taken, aware. Raises NotMail and OSError.
    """
    scanner = ContentScanner()
    first = mail.read(0, limits.header_size_limit + 1)
    header, length = complete(
        first,
        sender=sender,
        full_name=mail.envelope.full_name,
        message_id=f"{mail.name}@{hostname}",
        at=at,
    )
    if length > limits.header_size_limit:
        header, length = b"", 0  # too large: the content says so itself
    scanner.feed(header)
    content.write(header)
    for offset in range(length, mail.size, PIECE):
        octets = mail.read(offset, PIECE)
        scanner.feed(octets)
        content.write(octets)
    return scanner.faults


def _with_domain(address: str, domain: str) -> str:
    return address if "@" in address else f"{address}@{domain}"


def _recipient(address: str, unnamed: str) -> str:
    """The address in its checked form; one without a domain is `unnamed`. Raises Refused."""
    if "@" in address:
        return str(parse_mailbox(address))
    if not unnamed:
        words = (
            f'"{address}" has no domain. The gateway\'s operator may say where such mail goes, '
            "with recipient in the [[local]] rule"
        )
        raise Refused(Reply(553, "5.1.3", words))
    return unnamed
