"""The ESMTP session: what each command means, when it may come, and what is answered.

One session belongs to one connection, or to the part of it inside TLS. It decides nothing about
who may send (`admission`) or who is who (`authentication`) and moves no octets (`pump`): it keeps
the order of the protocol and the state between commands. The 250 behind a message is said only
when the message is on stable storage.

Failures: every refusal is a reply. A message that is refused ends its transaction whole (RFC 5321
4.1.1.4). Too many errors, or too many commands without a message, end the session with 421 4.7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final

from attrs import evolve
from twisted.python.failure import Failure

from m365gw.edge import answers
from m365gw.edge.admission import Denied, Rule, Visitor
from m365gw.edge.content import PATIENCE, Chunk, Content, Dotted, too_large
from m365gw.edge.doorway import Doorway, Peer
from m365gw.edge.journal import NO_QUEUE, Journal
from m365gw.edge.login import Login
from m365gw.edge.pump import Pump
from m365gw.edge.speaker import Answer
from m365gw.edge.strangers import recognise
from m365gw.edge.transaction import Transaction
from m365gw.smtp import commands
from m365gw.smtp.content import Faults
from m365gw.smtp.envelope import Origin
from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.names import Entry

AUTH_LINE_LIMIT: Final = 12288  # octets, RFC 4954 4
TINY_CHUNK: Final = 1024  # octets; smaller BDAT chunks count as commands without a message
LONGEST_REMEMBERED: Final = 200  # octets of a command line that is remembered with its meaning

# Clients say the same few lines all day. AUTH is never remembered: it may hold a password.
_remembered = lru_cache(maxsize=1024)(commands.parse)


class Session:
    """The state between commands, and the answer to each. It is the pump's `Speaker`."""

    def __init__(self, doorway: Doorway, pump: Pump, peer: Peer, visitor: Visitor) -> None:
        self._door = doorway
        self._limits = doorway.limits
        self._pump = pump
        self._peer = peer
        self._visitor = visitor
        self._journal = Journal(doorway.log, peer)
        self._rule: Rule | Denied | None = None  # of the visitor, once it was asked for
        self._helo = ""
        self._is_esmtp = False
        self._login = Login(doorway.authenticator, visitor.address, self._journal.login_failed)
        self._transaction: Transaction | None = None
        self._errors = 0
        self._idle_commands = 0  # since the last message
        may_log_in = doorway.listener.auth != "off" and self._may_say_passwords
        self._may_log_in = may_log_in
        pump.limit_lines(AUTH_LINE_LIMIT if may_log_in else self._limits.line_length_limit)

    # What the pump asks

    @property
    def is_idle(self) -> bool:
        return self._transaction is None

    def greeting(self) -> Reply:
        return Reply(220, "", f"{self._door.hostname} ESMTP m365gw")

    def stranger(self, first: bytes) -> Reply | None:
        words = recognise(first)
        if not words:
            return None
        self._journal.stranger(words)
        return answers.STRANGER

    def command(self, line: bytes) -> Answer:
        if self._login.is_under_way:
            return self._login.respond(line)
        self._idle_commands += 1
        try:
            if len(line) <= LONGEST_REMEMBERED and line[:4].upper() != b"AUTH":
                command = _remembered(line)
            else:
                command = self._parse_long(line)
        except Exception:
            if line[:4].upper() == b"BDAT":
                # How much content follows is not known, and content is never read as commands.
                self._pump.last_reply()
            raise
        return _ANSWERS[type(command)](self, command)

    def _parse_long(self, line: bytes) -> commands.Command:
        """Where AUTH is taken longer lines come in (RFC 4954 4), but only AUTH may use them."""
        limit = self._limits.line_length_limit
        if len(line) + 2 > limit and line[:5].upper() != b"AUTH ":
            words = f"Line too long; the limit here is {limit} octets"
            raise Refused(Reply(500, "5.5.2", words))
        return commands.parse(line)

    def consider(self, reply: Reply) -> Reply | None:
        if reply.is_permanent:
            self._errors += 1
            if self._errors > self._limits.hard_error_limit:
                self._journal.client_refused(answers.TOO_MANY_ERRORS)
                return answers.TOO_MANY_ERRORS
        if self._idle_commands > self._limits.command_limit:
            self._journal.client_refused(answers.TOO_MANY_COMMANDS)
            return answers.TOO_MANY_COMMANDS
        return None

    def gone(self) -> None:
        self._reset()

    # Greeting, TLS, login

    def _ehlo(self, command: commands.Ehlo) -> Answer:
        self._reset()
        self._helo, self._is_esmtp = command.name, True
        offers = [self._door.hostname, "PIPELINING", f"SIZE {self._limits.message_size_limit}"]
        if self._may_start_tls:
            offers.append("STARTTLS")
        if self._may_log_in and not self._login.name:
            offers.append("AUTH PLAIN LOGIN")
        offers += ["8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"]
        return Reply(250, "", "\n".join(offers))

    def _hello(self, command: commands.Helo) -> Answer:
        self._reset()
        self._helo, self._is_esmtp = command.name, False
        return Reply(250, "", self._door.hostname)

    def _start_tls(self, command: commands.StartTls) -> Answer:
        if not self._may_start_tls:
            return answers.NO_TLS_HERE
        if self._pump.buffered:
            self._journal.client_refused(answers.INJECTED)
            return answers.INJECTED
        self._pump.encrypt()
        return answers.BEGIN_TLS

    def _auth(self, auth: commands.Auth) -> Answer:
        if self._door.listener.auth == "off":
            return answers.NO_LOGINS_HERE
        if not self._may_log_in:
            return answers.NEEDS_TLS_TO_LOG_IN
        if not self._helo:
            return answers.NEEDS_HELLO
        if self._login.name:
            return answers.LOGGED_IN_ALREADY
        if self._transaction is not None:
            return answers.IN_MESSAGE
        return self._login.begin(auth)

    @property
    def _may_start_tls(self) -> bool:
        return self._door.listener.tls in ("starttls", "require") and not self._pump.is_secure

    @property
    def _may_say_passwords(self) -> bool:
        return self._pump.is_secure or "plaintext-auth" in self._door.listener.quirks

    # Envelope

    def _mail(self, mail: commands.Mail) -> Answer:
        if self._transaction is not None:
            return answers.IN_MESSAGE
        if not self._helo:
            return answers.NEEDS_HELLO
        if self._door.listener.tls == "require" and not self._pump.is_secure:
            return answers.NEEDS_TLS
        rule = self._rule_of_visitor()
        decision = rule if isinstance(rule, Denied) else rule.decide(mail.sender)
        if isinstance(decision, Denied):
            return self._refuse(decision.reply, mail.sender)
        size = mail.size or 0
        if size > self._limits.message_size_limit:
            return self._refuse(too_large(self._limits), mail.sender)
        try:
            self._door.intake.check_space(size)
        except Refused as refused:
            return self._refuse(refused.reply, mail.sender)
        self._transaction = Transaction(mail, decision.mailbox)
        return answers.SENDER_OK

    def _rcpt(self, command: commands.Rcpt) -> Answer:
        transaction = self._transaction
        if transaction is None:
            return answers.NEEDS_MAIL
        if transaction.content is not None:
            return answers.IN_CHUNKS
        if not (command.recipient.address.isascii() or transaction.mail.smtputf8):
            return commands.NEEDS_SMTPUTF8
        if len(transaction.recipients) >= self._limits.recipient_limit:
            return answers.TOO_MANY_RECIPIENTS
        transaction.recipients.append(command.recipient)
        self._idle_commands -= 1  # it is part of a message
        return answers.RECIPIENT_OK

    def _rule_of_visitor(self) -> Rule | Denied:
        """The rule the client stands under; looked for anew when it has logged in."""
        if self._rule is None or self._visitor.login != self._login.name:
            self._visitor = evolve(self._visitor, login=self._login.name)
            self._rule = self._door.admission.rule_for(self._visitor)
        return self._rule

    def _reset(self) -> None:
        """Forget the message in hand, if there is one."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.abandon()

    # Content

    def _data(self, command: commands.Data) -> Answer:
        transaction = self._addressed()
        if transaction.content is not None:
            return answers.IN_CHUNKS
        content = self._begin(transaction)
        self._pump.receive(Dotted(content, partial(self._end_data, transaction, content)))
        return answers.GO_AHEAD

    def _end_data(self, transaction: Transaction, content: Content, faults: Faults) -> Answer:
        if content.is_hopeless:
            self._pump.last_reply()
        return self._accept(transaction, content, faults)

    def _bdat(self, bdat: commands.Bdat) -> Answer:
        """The octets of a chunk follow whatever we think of it: read them first, then answer."""
        if bdat.size > PATIENCE * self._limits.message_size_limit:
            self._reset()
            self._pump.last_reply()
            return too_large(self._limits)
        try:
            transaction = self._addressed()
            content = self._begin(transaction)
        except Exception as error:  # whatever it is, the octets are content and no commands
            self._reset()
            self._pump.receive(Chunk(bdat.size, None, None, partial(_fail, error)))
            return None
        if bdat.size >= TINY_CHUNK:
            self._idle_commands -= 1  # it is part of a message
        if content.size + bdat.size > self._limits.message_size_limit:
            content.refuse(too_large(self._limits))
        ended = partial(self._end_chunk, transaction, content, bdat)
        self._pump.receive(Chunk(bdat.size, content, transaction.scanner, ended))
        return None

    def _end_chunk(self, transaction: Transaction, content: Content, bdat: commands.Bdat) -> Answer:
        if bdat.last or content.refusal is not None:
            return self._accept(transaction, content, transaction.scanner.faults)
        return Reply(250, "2.0.0", f"Ok: {bdat.size} octets taken")

    def _addressed(self) -> Transaction:
        """The transaction, complete but for its content; raises Refused when there is none."""
        if self._transaction is None:
            raise Refused(answers.NEEDS_MAIL)
        if not self._transaction.recipients:
            raise Refused(answers.NEEDS_RECIPIENT)
        return self._transaction

    def _begin(self, transaction: Transaction) -> Content:
        """The content of the message in hand, begun if it is not yet."""
        if transaction.content is None:
            envelope = transaction.envelope()
            transaction.content = self._door.intake.begin(envelope, self._origin(transaction))
        return transaction.content

    def _origin(self, transaction: Transaction) -> Origin:
        return Origin(
            client=self._peer.host,
            port=self._peer.port,
            helo=self._helo,
            protocol=self._protocol(transaction.mail.smtputf8),
            tls=self._peer.tls,
            login=self._login.name,
            listener=self._door.listener.name,
            mailbox=transaction.mailbox,
        )

    def _protocol(self, smtputf8: bool) -> str:
        """The "with" word of the trace field (RFC 3848, RFC 6531 4.3)."""
        if not self._is_esmtp:
            return "SMTP"
        kind = "UTF8SMTP" if smtputf8 else "ESMTP"
        return kind + "S" * self._pump.is_secure + "A" * bool(self._login.name)

    def _accept(self, transaction: Transaction, content: Content, faults: Faults) -> Answer:
        """The end of the content. Whatever becomes of the message, its transaction is over."""
        self._transaction = None
        try:
            stored = self._door.intake.accept(content, faults)
        except Refused as refused:
            return self._refuse(refused.reply, transaction.mail.sender, content.queue_id)
        return stored.addCallbacks(
            self._stored,
            self._not_stored,
            callbackArgs=(transaction, content),
            errbackArgs=(transaction, content),
        )

    def _stored(self, entry: Entry, transaction: Transaction, content: Content) -> Reply:
        self._errors = self._idle_commands = 0
        self._journal.queued(
            transaction,
            content,
            self._login,
            protocol=self._protocol(transaction.mail.smtputf8),
            helo=self._helo,
            has_left=self._pump.is_over,
        )
        return Reply(250, "2.0.0", f"Ok: queued as {content.queue_id}")

    def _not_stored(
        self, failure: Failure, transaction: Transaction, content: Content
    ) -> Reply | Failure:
        if not isinstance(failure.value, Refused):
            return failure
        return self._refuse(failure.value.reply, transaction.mail.sender, content.queue_id)

    # The rest

    def _rset(self, command: commands.Rset) -> Answer:
        self._reset()
        return answers.OK

    def _quit(self, command: commands.Quit) -> Answer:
        self._reset()
        return answers.BYE

    def _refuse(self, reply: Reply, sender: str, queue_id: str = NO_QUEUE) -> Reply:
        """Refuse a message, with a line in the log in the words its client gets."""
        self._journal.message_refused(reply, sender, queue_id, self._helo)
        return reply


def _fail(error: Exception) -> Answer:
    raise error


_ANSWERS: Final[dict[type, Callable[[Session, Any], Answer]]] = {
    commands.Ehlo: Session._ehlo,
    commands.Helo: Session._hello,
    commands.Mail: Session._mail,
    commands.Rcpt: Session._rcpt,
    commands.Data: Session._data,
    commands.Bdat: Session._bdat,
    commands.Rset: Session._rset,
    commands.Noop: lambda session, command: answers.OK,
    commands.Vrfy: lambda session, command: answers.CANNOT_VERIFY,
    commands.Expn: lambda session, command: answers.NO_LISTS,
    commands.Help: lambda session, command: answers.HELP,
    commands.Quit: Session._quit,
    commands.StartTls: Session._start_tls,
    commands.Auth: Session._auth,
}
