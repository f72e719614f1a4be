"""The mail transactions of a session: what MAIL, RCPT, DATA and BDAT mean, and when they may come.

At most one message is in hand. The 250 behind it is said only when it is on stable storage, and
whatever else becomes of it, its transaction is over whole (RFC 5321 4.1.1.4): the next one begins
with MAIL.

Failures: every refusal is a reply. Of a message, or of the MAIL that would have begun it, the log
learns too.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from attrs import evolve
from twisted.python.failure import Failure

from m365gw.edge.admission.rules import Denied
from m365gw.edge.receiving.content import PATIENCE, Chunk, Content, Dotted, too_large
from m365gw.edge.receiving.transaction import Transaction
from m365gw.edge.session import answers
from m365gw.edge.session.conduct import Conduct
from m365gw.edge.session.doorway import Doorway
from m365gw.edge.session.identity import Identity
from m365gw.edge.session.journal import NO_QUEUE, Journal
from m365gw.edge.session.pump import Pump
from m365gw.edge.session.shown import SessionTrace
from m365gw.edge.session.speaker import Answer
from m365gw.smtp import commands
from m365gw.smtp.content import Faults
from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.names import Entry

TINY_CHUNK: Final = 1024  # octets; smaller BDAT chunks count as commands without a message


class Reception:
    """Takes the messages of one session, one after the other."""

    def __init__(
        self,
        door: Doorway,
        pump: Pump,
        identity: Identity,
        conduct: Conduct,
        journal: Journal,
        trace: SessionTrace,
    ) -> None:
        self._door = door
        self._limits = door.limits
        self._pump = pump
        self._identity = identity
        self._conduct = conduct
        self._journal = journal
        self._trace = trace
        self._transaction: Transaction | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no message is in hand."""
        return self._transaction is None

    def reset(self) -> None:
        """Forget the message in hand, if there is one."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.abandon()

    def cut_off(self) -> None:
        """The session is over: forget the message in hand, which its client has not sent whole."""
        if self._transaction is not None and self._transaction.recipients:
            self._journal.message_cut_off(self._transaction)
        self.reset()

    # Envelope

    def mail(self, mail: commands.Mail) -> Answer:
        if self._transaction is not None:
            return answers.IN_MESSAGE
        if not self._conduct.begin_transaction():
            return answers.ENOUGH
        if not self._identity.helo:
            return answers.NEEDS_HELLO
        if self._door.listener.tls == "require" and not self._identity.is_secure:
            return self._refuse(answers.NEEDS_TLS, mail.sender)
        decision = self._identity.may_send(mail.sender)
        if isinstance(decision, Denied):
            return self._refuse(decision.reply, mail.sender)
        size = mail.size or 0
        if size > self._limits.message_size_limit:
            return self._refuse(too_large(self._limits), mail.sender)
        allowance = self._identity.allowance(decision.rule)
        try:
            allowance.check(1)
            self._door.intake.check_space(size)
        except Refused as refused:
            return self._refuse(refused.reply, mail.sender)
        self._transaction = Transaction(mail, decision, allowance)
        self._trace.leaves_by(decision.mailbox)
        return answers.SENDER_OK

    def rcpt(self, command: commands.Rcpt) -> Answer:
        transaction, recipient = self._transaction, command.recipient
        if transaction is None:
            return answers.NEEDS_MAIL
        if transaction.content is not None:
            return answers.IN_CHUNKS
        if not (recipient.address.isascii() or transaction.mail.smtputf8):
            return self._refuse(commands.NEEDS_SMTPUTF8, transaction.mail.sender)
        if len(transaction.recipients) >= self._limits.recipient_limit:
            return answers.TOO_MANY_RECIPIENTS
        if "@" not in recipient.address:
            # <Postmaster>, which we must take (RFC 5321 4.5.1) and Exchange would not: whoever
            # reads the mailbox is the one in charge here.
            recipient = evolve(recipient, address=transaction.mailbox)
        try:
            transaction.add(recipient)
        except Refused as refused:
            return self._refuse(refused.reply, transaction.mail.sender)
        self._conduct.part_of_message()
        return answers.RECIPIENT_OK

    # Content

    def data(self, command: commands.Data) -> Answer:
        transaction = self._addressed()
        if transaction.content is not None:
            return answers.IN_CHUNKS
        content = self._begin(transaction)
        self._pump.receive(Dotted(content, partial(self._end_data, transaction, content)))
        return answers.GO_AHEAD

    def bdat(self, bdat: commands.Bdat) -> Answer:
        """The octets of a chunk follow whatever we think of it: read them first, then answer."""
        if bdat.size > PATIENCE * self._limits.message_size_limit:
            self.reset()
            self._pump.last_reply()
            return too_large(self._limits)
        try:
            transaction = self._addressed()
            content = self._begin(transaction)
        except Exception as error:  # whatever it is, the octets are content and no commands
            self.reset()
            self._pump.receive(Chunk(bdat.size, None, None, partial(_fail, error)))
            return None
        if bdat.size >= TINY_CHUNK:
            self._conduct.part_of_message()
        if content.size + bdat.size > self._limits.message_size_limit:
            content.refuse(too_large(self._limits))
        ended = partial(self._end_chunk, transaction, content, bdat)
        self._pump.receive(Chunk(bdat.size, content, transaction.scanner, ended))
        return None

    def _addressed(self) -> Transaction:
        """The transaction, complete but for its content; raises Refused when there is none."""
        if self._transaction is None:
            raise Refused(answers.NEEDS_MAIL)
        if not self._transaction.recipients:
            raise Refused(answers.NEEDS_RECIPIENT)
        return self._transaction

    def _begin(self, transaction: Transaction) -> Content:
        """The content of the message in hand, begun if it is not yet. Raises Refused."""
        if transaction.content is None:
            mail = transaction.mail
            origin = self._identity.origin(transaction.mailbox, smtputf8=mail.smtputf8)
            try:
                transaction.content = self._door.intake.begin(
                    transaction.envelope(),
                    origin,
                    transaction.admitted.rule,
                    self._identity.repairs,
                )
            except Refused as refused:
                self._refuse(refused.reply, mail.sender)
                raise
        return transaction.content

    def _end_data(self, transaction: Transaction, content: Content, faults: Faults) -> Answer:
        self._trace.content(content.size)
        if content.is_hopeless:
            self._pump.last_reply()
        return self._accept(transaction, content, faults)

    def _end_chunk(self, transaction: Transaction, content: Content, bdat: commands.Bdat) -> Answer:
        self._trace.content(bdat.size)
        if bdat.last or content.refusal is not None:
            return self._accept(transaction, content, transaction.scanner.faults)
        return Reply(250, "2.0.0", f"Ok: {bdat.size} octets taken")

    # The end of a message

    def _accept(self, transaction: Transaction, content: Content, faults: Faults) -> Answer:
        self._transaction = None
        try:
            transaction.allowance.spend(len(transaction.recipients))
        except Refused as refused:
            content.refuse(refused.reply)
        try:
            stored = self._door.intake.accept(content, faults)
        except Refused as refused:
            transaction.allowance.recover()
            return self._refuse(refused.reply, transaction.mail.sender, content.queue_id)
        return stored.addCallbacks(
            self._stored,
            self._not_stored,
            callbackArgs=(transaction, content),
            errbackArgs=(transaction, content),
        )

    def _stored(self, entry: Entry, transaction: Transaction, content: Content) -> Reply:
        self._conduct.message_stored()
        self._journal.queued(transaction, content, has_left=self._pump.is_over)
        return Reply(250, "2.0.0", f"Ok: queued as {content.queue_id}")

    def _not_stored(
        self, failure: Failure, transaction: Transaction, content: Content
    ) -> Reply | Failure:
        transaction.allowance.recover()
        if not isinstance(failure.value, Refused):
            return failure
        return self._refuse(failure.value.reply, transaction.mail.sender, content.queue_id)

    def _refuse(self, reply: Reply, sender: str, queue_id: str = NO_QUEUE) -> Reply:
        """Refuse a message, with a line in the log in the words its client gets."""
        self._journal.message_refused(reply, sender, queue_id)
        return reply


def _fail(error: Exception) -> Answer:
    raise error
