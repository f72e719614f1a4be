"""One submission session of the pretend Exchange Online, as `smtp.office365.com:587` holds it.

Greeting, EHLO, STARTTLS, AUTH, envelope; the message itself is `intake`'s. STARTTLS starts the
session anew; octets sent ahead of the handshake end it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from twisted.logger import Logger

from m365gw.rehearsal.answers import ANSWERS
from m365gw.rehearsal.exchange import Login, Transaction
from m365gw.rehearsal.intake import Intake
from m365gw.rehearsal.parameters import Wrong, host_argument, mail_arguments, rcpt_arguments
from m365gw.rehearsal.pump import HOST
from m365gw.rehearsal.wire import LineTooLong, take_line

log = Logger(namespace="m365gw.rehearsal")

LONGEST_LINE = 12_288 + 32  # an AUTH command with the longest response (RFC 4954 4)
KEYWORDS = ("PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING")
FRONT_END = "REHEARSAL.outlook.office365.com"


class SubmissionSession(Intake):
    """The server side of one connection."""

    SIGN_INS: ClassVar[tuple[str, ...]] = ("AUTH LOGIN XOAUTH2",)  # offered under TLS

    _secure = False
    _extended = False

    def begin(self, stamp: datetime) -> None:
        """The greeting."""
        self.through_faults(
            "connect",
            (),
            lambda: self.reply(
                f"220 {FRONT_END} Microsoft ESMTP MAIL Service (m365gw rehearsal, not Microsoft)"
                f" ready at {stamp:%a, %d %b %Y %H:%M:%S +0000}"
            ),
        )

    def _line(self) -> bytes | None:
        """The next line, if it is there. One without an end ends the session."""
        try:
            return take_line(self.buffer, LONGEST_LINE)
        except LineTooLong:
            self.close(ANSWERS["line-too-long"])
            return None

    def read_command(self) -> bool:
        line = self._line()
        if line is None:
            return False
        verb, _, rest = line.partition(b" ")
        command = self.COMMANDS.get(verb.upper())
        try:
            text = rest.decode()
            if command is None or any(octet in line for octet in b"\r\n\0"):
                raise Wrong("unknown-command")
            command(self, text)
        except UnicodeDecodeError:
            self.mistake(ANSWERS["unknown-command"])
        except Wrong as wrong:
            self.mistake(ANSWERS[wrong.answer])
        return True

    # The session

    def _ehlo(self, text: str) -> None:
        name = host_argument(text)
        if name.upper() in (FRONT_END.upper(), HOST.upper()):
            raise Wrong("bad-helo")
        self.through_faults("ehlo", (name,), lambda: self._welcome(name))

    def _welcome(self, name: str) -> None:
        self.end_transaction()
        self.helo, self._extended = name, True
        only_now = self.SIGN_INS if self._secure else ("STARTTLS",)
        self.reply(
            f"250 {FRONT_END} Hello [{self.transport.getPeer().host}]"
            " (m365gw rehearsal, not Microsoft)",
            f"250 SIZE {self.exchange.limits.message_size}",
            *(f"250 {each}" for each in self.exchange.middlebox.keywords((*KEYWORDS, *only_now))),
            "250 SMTPUTF8",
        )

    def _hello(self, text: str) -> None:
        self.helo, self._extended = host_argument(text), False
        self.end_transaction()
        self.reply(f"250 {FRONT_END} Hello (m365gw rehearsal, not Microsoft)")

    def _starttls(self, text: str) -> None:
        if text:
            raise Wrong("bad-arguments")
        if self._secure or not self._extended:
            raise Wrong("bad-sequence")
        self.through_faults("starttls", (self.helo,), self._secure_transport)

    def _secure_transport(self) -> None:
        if self.buffer:  # octets ahead of the handshake: somebody injects commands
            self.drop()
            return
        self.reply("220 2.0.0 SMTP server ready")
        self.flush()
        self._secure = True
        self.helo, self._extended = "", False  # all knowledge of the client is discarded
        self.transport.startTLS(self.owner.context_factory)

    def _noop(self, text: str) -> None:
        self.reply("250 2.0.0 OK")

    def _rset(self, text: str) -> None:
        if text:
            raise Wrong("bad-arguments")
        self.end_transaction()
        self.reply("250 2.0.0 Resetting")

    def _vrfy(self, text: str) -> None:
        self.reply("252 2.1.5 Cannot VRFY user")

    def _help(self, text: str) -> None:
        self.reply("214 This is an m365gw rehearsal, not Microsoft")

    def _quit(self, text: str) -> None:
        def leave() -> None:
            self.reply("221 2.0.0 Service closing transmission channel")
            self.leave()

        self.through_faults("quit", self.subjects(), leave)

    # AUTH

    def _auth(self, text: str) -> None:
        if not self._secure or not self._extended:
            raise Wrong("unknown-command")
        if self.login or self.transaction:
            raise Wrong("bad-sequence")
        mechanism, _, initial = text.partition(" ")
        if mechanism.upper() == "LOGIN":
            self._ask("Username:", lambda _: self._ask("Password:", self._basic))
        elif mechanism.upper() != "XOAUTH2":
            raise Wrong("auth-type")
        elif initial:
            if len(text) > 500:
                self.complaints.append("an AUTH line of more than 512 octets")
            self._bearer(initial.encode())
        else:
            self._ask("", self._bearer)

    def _ask(self, challenge: str, answered: Callable[[bytes], None]) -> None:
        """A challenge; the next line is its answer."""

        def read() -> bool:
            line = self._line()
            if line is None:
                return False
            self.reader = self.read_command
            if line == b"*":
                self.refuse(ANSWERS["auth-cancelled"])
            else:
                answered(line)
            return True

        self.reply("334 " + base64.b64encode(challenge.encode()).decode())
        self.reader = read

    def _basic(self, password: bytes) -> None:
        self.mistake(ANSWERS["basic-disabled"])

    def _bearer(self, response: bytes) -> None:
        outcome = self.exchange.sign_in(response)
        subjects = (outcome.mailbox, outcome.client_id) if isinstance(outcome, Login) else ()
        self.through_faults("auth", subjects, lambda: self._signed_in(outcome))

    def _signed_in(self, outcome: Login | str) -> None:
        if isinstance(outcome, Login):
            self.login = outcome
            self.reply(ANSWERS["auth-ok"])
            log.info(
                "rehearsal: connection {number}: {mailbox} signed in",
                number=self.number,
                mailbox=outcome.mailbox,
            )
            return
        log.info(
            "rehearsal: connection {number}: sign-in refused: {answer}",
            number=self.number,
            answer=outcome,
        )
        if self.exchange.tenant.error_challenge and outcome.startswith("535"):
            problem = json.dumps({"status": "401", "schemes": "Bearer", "scope": "SMTP.Send"})
            self._ask(problem, lambda _: self.mistake(outcome))
        else:
            self.mistake(outcome)

    # The envelope

    def _mail(self, text: str) -> None:
        login = self.login
        if login is None:
            raise Wrong("not-authenticated" if self.helo else "bad-sequence")
        if self.transaction is not None:
            raise Wrong("bad-sequence")
        mail = mail_arguments(text)
        limit = self.exchange.limits.messages_per_connection
        if limit and self.taken >= limit:
            self.close(ANSWERS["connection-limit"])
            return

        def proceed() -> None:
            refusal = self.exchange.refuse_sender(login, mail.sender, mail.size)
            if refusal:
                self.refuse(refusal)
                return
            self.begin_transaction(login, Transaction(mail=mail))
            self.reply("250 2.1.0 Sender OK")

        self.through_faults("mail", (login.mailbox, mail.sender), proceed)

    def _rcpt(self, text: str) -> None:
        transaction = self.transaction
        if transaction is None or self.has_chunks:
            raise Wrong("bad-sequence")
        rcpt = rcpt_arguments(text, smtputf8=transaction.mail.smtputf8)

        def proceed() -> None:
            limit = self.exchange.limits.recipients_at_rcpt
            if limit and len(transaction.recipients) >= limit:
                self.refuse(ANSWERS["too-many-recipients"])
                return
            refusal = self.login and self.exchange.refuse_recipient(
                self.login, transaction.mail.sender, rcpt.recipient
            )
            if refusal:
                self.refuse(refusal)
                return
            transaction.recipients.append(rcpt)
            self.reply("250 2.1.5 Recipient OK")

        mailbox = self.login.mailbox if self.login else ""
        self.through_faults("rcpt", (rcpt.recipient, transaction.mail.sender, mailbox), proceed)

    COMMANDS: ClassVar[dict[bytes, Callable[[SubmissionSession, str], None]]] = {
        b"EHLO": _ehlo,
        b"HELO": _hello,
        b"STARTTLS": _starttls,
        b"AUTH": _auth,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": Intake.data,
        b"BDAT": Intake.bdat,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"VRFY": _vrfy,
        b"HELP": _help,
        b"QUIT": _quit,
    }
