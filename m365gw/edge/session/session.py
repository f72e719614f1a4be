"""The ESMTP session: what each command means, when it may come, and what is answered.

One session belongs to one connection, or to the part of it inside TLS. It decides nothing about
who may send (`admission`) or who is who (`authentication`) and moves no octets (`pump`): it keeps
the order of the protocol. Who the client has shown to be is kept in `identity`, the message in
hand in `reception`.

Failures: every refusal is a reply. Too many errors, or too many commands without a message, end
the session with 421 4.7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from m365gw.edge.admission.admission import Visitor, may_log_in
from m365gw.edge.login.login import Login
from m365gw.edge.receiving.reception import Reception
from m365gw.edge.session import answers
from m365gw.edge.session.conduct import Conduct
from m365gw.edge.session.doorway import Doorway, Peer
from m365gw.edge.session.identity import Identity
from m365gw.edge.session.journal import Journal
from m365gw.edge.session.pump import Pump
from m365gw.edge.session.shown import SessionTrace
from m365gw.edge.session.speaker import Answer
from m365gw.edge.session.strangers import recognise
from m365gw.smtp import commands
from m365gw.smtp.lines import LineFault
from m365gw.smtp.replies import Refused, Reply

AUTH_LINE_LIMIT: Final = 12288  # octets, RFC 4954 4
LONGEST_REMEMBERED: Final = 200  # octets of a command line that is remembered with its meaning

_GREETINGS: Final = (b"HELO", b"EHLO")

# Clients say the same few lines all day. AUTH is never remembered: it may hold a password.
_remembered = lru_cache(maxsize=1024)(commands.parse)


class Session:
    """The state between commands, and the answer to each. It is the pump's `Speaker`."""

    def __init__(self, doorway: Doorway, pump: Pump, peer: Peer, visitor: Visitor) -> None:
        self._door = doorway
        self._limits = doorway.limits
        self._pump = pump
        self._identity = Identity(doorway.admission, visitor, peer)
        self._conduct = Conduct(doorway.limits)
        self._journal = Journal(doorway.log, self._identity, doorway.listener.name)
        self._login = Login(doorway.authenticator, visitor.address, self._identity, self._journal)
        self._tracing = doorway.log.tracing
        self._trace = SessionTrace(self._tracing, self._identity, visitor.listener.name)
        self.reception = Reception(
            doorway, pump, self._identity, self._conduct, self._journal, self._trace
        )
        self._no_login = may_log_in(visitor, is_secure=self._identity.is_secure)
        self._offers_twice = visitor.has_quirk("auth-equals")
        # Who greets without a name is called by its address, where that is taken.
        is_nameless = visitor.has_quirk("no-helo-name")
        self._name_if_none = f" {visitor.address or 'unknown'}" if is_nameless else ""
        pump.limit_lines(self._limits.line_length_limit if self._no_login else AUTH_LINE_LIMIT)

    # What the pump asks

    @property
    def is_idle(self) -> bool:
        return self.reception.is_idle

    @property
    def is_newcomer(self) -> bool:
        return self._identity.is_newcomer

    def greeting(self) -> Reply:
        return Reply(220, "", f"{self._door.hostname} ESMTP m365gw")

    def stranger(self, octets: bytes) -> Reply | None:
        words = recognise(octets)
        if not words:
            return None
        self._journal.stranger(words)
        return answers.STRANGER

    def command(self, line: bytes) -> Answer:
        if self._tracing.is_on:
            self._trace.line(line, is_response=self._login.is_under_way)
        if self._login.is_under_way:
            return self._login.respond(line)
        self._conduct.command()
        if self._name_if_none and line.rstrip().upper() in _GREETINGS:
            line += self._name_if_none.encode()
        try:
            if len(line) <= LONGEST_REMEMBERED and line[:4].upper() != b"AUTH":
                command = _remembered(line)
            else:
                command = self._parse_long(line)
        except Exception as error:
            farewell = self.stranger(line)  # its first octets may have come one by one
            if farewell is not None:
                return farewell
            self._beware_of_content(line[:4].upper())
            if isinstance(error, Refused):
                self._journal.command_refused(error.reply)
            raise
        return _ANSWERS[type(command)](self, command)

    def garbled(self, fault: LineFault) -> Reply:
        if self._tracing.is_on:
            self._trace.unreadable()
        self._conduct.command()
        self._login.give_up()
        farewell = self.stranger(fault.verb)
        if farewell is not None:
            return farewell
        self._beware_of_content(fault.verb)
        self._journal.command_refused(fault.reply)
        return fault.reply

    def consider(self, reply: Reply) -> Reply | None:
        farewell = self._conduct.judge(reply)
        if self._tracing.is_on:
            self._trace.reply(reply)
            if farewell is not None:
                self._trace.reply(farewell)
        if farewell is not None or (reply.code == 421 and reply in answers.TIMEOUTS):
            self._journal.client_refused(farewell or reply)
        return farewell

    def gone(self) -> None:
        self.reception.cut_off()
        self._trace.over()

    def _parse_long(self, line: bytes) -> commands.Command:
        """Where AUTH is taken longer lines come in (RFC 4954 4), but only AUTH may use them."""
        limit = self._limits.line_length_limit
        if len(line) + 2 > limit and line[:5].upper() != b"AUTH ":
            words = f"Line too long; the limit here is {limit} octets"
            raise Refused(Reply(500, "5.5.2", words))
        return commands.parse(line)

    def _beware_of_content(self, verb: bytes) -> None:
        """How much content follows a BDAT that cannot be read is not known: read nothing more.

        Content is never read as commands.
        """
        if verb == b"BDAT":
            self._pump.last_reply()

    # Greeting, TLS, login

    def _ehlo(self, command: commands.Ehlo) -> Answer:
        self.reception.reset()
        self._identity.greet(command.name, is_esmtp=True)
        offers = [self._door.hostname, "PIPELINING", f"SIZE {self._limits.message_size_limit}"]
        if self._may_start_tls:
            offers.append("STARTTLS")
        if self._no_login is None and not self._identity.login:
            offers.append("AUTH PLAIN LOGIN")
            if self._offers_twice:
                offers.append("AUTH=PLAIN LOGIN")
        offers += ["8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"]
        return Reply(250, "", "\n".join(offers))

    def _hello(self, command: commands.Helo) -> Answer:
        self.reception.reset()
        self._identity.greet(command.name, is_esmtp=False)
        return Reply(250, "", self._door.hostname)

    @property
    def _may_start_tls(self) -> bool:
        offers = self._door.listener.tls in ("starttls", "require", "auto")
        return offers and not self._identity.is_secure

    def _start_tls(self, command: commands.StartTls) -> Answer:
        if not self._may_start_tls:
            return answers.NO_TLS_HERE
        if self._pump.buffered:
            self._journal.client_refused(answers.INJECTED)
            return answers.INJECTED
        self._pump.encrypt()
        return answers.BEGIN_TLS

    def _auth(self, auth: commands.Auth) -> Answer:
        if self._no_login is not None:
            self._journal.login_refused(auth.mechanism, self._no_login.reply)
            return self._no_login.reply
        if not self._identity.helo:
            return answers.NEEDS_HELLO
        if self._identity.login:
            return answers.LOGGED_IN_ALREADY
        if not self.reception.is_idle:
            return answers.IN_MESSAGE
        return self._login.begin(auth)

    # The rest

    def _rset(self, command: commands.Rset) -> Answer:
        self.reception.reset()
        return answers.OK

    def _quit(self, command: commands.Quit) -> Answer:
        self.reception.reset()
        return answers.BYE


_ANSWERS: Final[dict[type, Callable[[Session, Any], Answer]]] = {
    commands.Ehlo: Session._ehlo,
    commands.Helo: Session._hello,
    commands.Mail: lambda session, command: session.reception.mail(command),
    commands.Rcpt: lambda session, command: session.reception.rcpt(command),
    commands.Data: lambda session, command: session.reception.data(command),
    commands.Bdat: lambda session, command: session.reception.bdat(command),
    commands.Rset: Session._rset,
    commands.Noop: lambda session, command: answers.OK,
    commands.Vrfy: lambda session, command: answers.CANNOT_VERIFY,
    commands.Expn: lambda session, command: answers.NO_LISTS,
    commands.Help: lambda session, command: answers.HELP,
    commands.Quit: Session._quit,
    commands.StartTls: Session._start_tls,
    commands.Auth: Session._auth,
}
