"""A session with a host of Microsoft: greeting, EHLO, STARTTLS, EHLO, AUTH, then one transaction
after the other, then QUIT.

TLS is always required. Who is known by a certificate has shown it by then and needs no AUTH.
XOAUTH2 is always done in two steps, because no token of Exchange fits into a command line
(RFC 4954 4). What the server said before TLS is forgotten.

Failures: `AttemptFailed` until the session is ready; none of it is about a message. Afterwards each
transaction gives verdicts. A token is an argument here and never an attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from m365gw.config.settings import Governor as Limits
from m365gw.microsoft.reactions import Reaction
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.esmtp import Extensions, mail_command, rcpt_command
from m365gw.relay.exit.lost import Lost
from m365gw.relay.exit.proof import Bearer, Proof
from m365gw.relay.exit.transaction import Answer, Dialogue, Transaction
from m365gw.relay.exit.wire import Wire
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Refused, Reply
from m365gw.smtp.sasl import xoauth2

GREETING_TIMEOUT: Final = 300.0  # seconds, RFC 5321 4.5.3.2.1
COMMAND_TIMEOUT: Final = 300.0  # EHLO, STARTTLS, AUTH; RFC 5321 4.5.3.2 names none
HANDSHAKE_TIMEOUT: Final = 60.0
QUIT_TIMEOUT: Final = 10.0  # nothing depends on the answer


class AttemptFailed(Exception):
    """No session came to be. `phase` says how far it got, `reply` why (code 0: no reply).

    `reaction` is what it asks for, where that is known without the table of replies.
    """

    def __init__(self, phase: Phase, reply: Reply, reaction: Reaction | None = None) -> None:
        super().__init__(f"{phase.value}: {reply}")
        self.phase = phase
        self.reply = reply
        self.reaction = reaction


class State(Enum):
    """Where a session stands."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    SECURE_EHLO = "EHLO under TLS"
    AUTH = "AUTH"
    IDLE = "idle"
    TRANSACTION = "in a transaction"
    CLOSED = "closed"


PHASES: Final = {
    State.GREETING: Phase.CONNECT,
    State.EHLO: Phase.EHLO,
    State.STARTTLS: Phase.TLS,
    State.SECURE_EHLO: Phase.EHLO,
    State.AUTH: Phase.AUTH,
}


class Connection:
    """One session of one mailbox. Made ready by `open`, then used by one delivery at a time."""

    def __init__(self, wire: Wire, host: str, hostname: str, limits: Limits) -> None:
        self.state = State.GREETING
        self.relay = f"{host}{wire.peer}"  # "smtp.office365.com[192.0.2.1]:587", for logs
        self.extensions = Extensions({})
        self.messages = 0  # transactions so far
        self._wire = wire
        self._hostname = hostname
        self._limits = limits
        self._is_retired = False
        self._needs_reset = False

    async def open(self, options: IOpenSSLClientConnectionCreator, proof: Proof) -> None:
        """From the greeting to a session that has shown its proof. Raises `AttemptFailed`.

        `options` verify the server's certificate, and show ours. After a failure the connection
        is closed.
        """
        try:
            await self._greeting()
            await self._ehlo(State.EHLO)
            await self._start_tls(options)
            await self._ehlo(State.SECURE_EHLO)
            if isinstance(proof, Bearer):
                await self._sign_in(proof)
            self._rest()
        except Lost as lost:
            phase = PHASES[self.state]
            self.abort()
            raise AttemptFailed(phase, Reply(0, "", str(lost))) from None
        except AttemptFailed:
            self.state = State.CLOSED
            self._wire.write(b"QUIT\r\n")
            self._wire.hang_up()
            raise
        except BaseException:
            self.abort()
            raise

    async def _greeting(self) -> None:
        self._expect(await self._wire.reply(GREETING_TIMEOUT), 220)

    async def _ehlo(self, state: State) -> None:
        self.state = state
        self.extensions = Extensions({})
        reply = await self._ask(f"EHLO {self._hostname}\r\n".encode("ascii", "replace"))
        self._expect(reply, 250)
        self.extensions = Extensions.of(reply)

    async def _start_tls(self, options: IOpenSSLClientConnectionCreator) -> None:
        self.state = State.STARTTLS
        if "STARTTLS" not in self.extensions:
            raise AttemptFailed(Phase.TLS, Reply(0, "", "STARTTLS is not offered"))
        self._expect(await self._ask(b"STARTTLS\r\n"), 220)
        await self._wire.secure(options, HANDSHAKE_TIMEOUT)

    async def _sign_in(self, bearer: Bearer) -> None:
        self.state = State.AUTH
        if not self.extensions.has_mechanism("XOAUTH2"):
            raise AttemptFailed(Phase.AUTH, Reply(0, "", "AUTH XOAUTH2 is not offered"))
        try:
            response = xoauth2(bearer.mailbox, bearer.token)
        except Refused as refused:
            raise AttemptFailed(Phase.AUTH, refused.reply) from None
        self._wire.hide(bearer.token, response.decode("ascii"))
        reply = await self._ask(b"AUTH XOAUTH2\r\n")
        if reply.code == 334:
            reply = await self._ask(response + b"\r\n", shown="[XOAUTH2 response]")
        if reply.code == 334:
            # Google's way to say no: the error as a challenge, then, for an empty line, the 535.
            reply = await self._ask(b"\r\n")
        self._wire.hide()
        self._expect(reply, 235)

    async def _ask(self, command: bytes, shown: str = "") -> Reply:
        self._wire.write(command, shown)
        return await self._wire.reply(COMMAND_TIMEOUT)

    def _expect(self, reply: Reply, code: int) -> None:
        if reply.code != code:
            raise AttemptFailed(PHASES[self.state], reply)

    async def deliver(self, transaction: Transaction) -> list[Answer]:
        """Carry one transaction; one answer for each recipient, in their order.

        Whatever the server does becomes an answer. What `transaction.read` or `before_dot` raises
        passes through, as does cancellation; the connection is aborted then.
        """
        if self.state is not State.IDLE:
            raise RuntimeError(f"a session that is {self.state.value} can take no transaction")
        self.state = State.TRANSACTION
        self.messages += 1
        dialogue = Dialogue(self._wire, self.extensions, transaction)
        try:
            answers = await dialogue.run(reset=self._needs_reset)
            self._needs_reset = not dialogue.is_clean
            if dialogue.is_usable:
                self._rest()
        finally:
            if self.state is not State.IDLE:
                self.abort()
        return answers

    async def try_envelope(self, sender: str, recipient: str) -> tuple[Phase, Reply]:
        """MAIL and RCPT, then RSET, and no message: the first answer that is no, or the last.

        A connection that is lost is an answer of code 0.
        """
        phase = Phase.MAIL
        try:
            mail = mail_command(
                self.extensions, sender, size=0, eight_bit=False, smtputf8=False, ret="", envid=""
            )
            reply = await self._ask(mail)
            if reply.is_positive:
                phase = Phase.RCPT
                reply = await self._ask(rcpt_command(self.extensions, Recipient(recipient), False))
            await self._ask(b"RSET\r\n")
            self._rest()
        except Refused as refused:
            return phase, refused.reply
        except Lost as lost:
            return phase, Reply(0, "", str(lost))
        return phase, reply

    def _rest(self) -> None:
        self.state = State.IDLE
        self._wire.rest(self._limits.connection_idle, self._part)

    def _part(self) -> None:
        """Idle for too long. `quit` raises nothing, so nobody needs to wait for it."""
        Deferred.fromCoroutine(self.quit())

    @property
    def offers_dsn(self) -> bool:
        """Whether the server takes wishes for delivery reports, and so answers for them."""
        return "DSN" in self.extensions

    @property
    def is_reusable(self) -> bool:
        """Whether another transaction may begin, within the limits of one connection."""
        return (
            self.state is State.IDLE
            and not self._is_retired
            and not self._wire.lost
            and not self._wire.has_unread
            and self.messages < self._limits.messages_per_connection
            and self._wire.age < self._limits.connection_age
        )

    def retire(self) -> None:
        """No other transaction begins on it; the one under way goes on."""
        self._is_retired = True

    async def quit(self) -> None:
        """End the session in good order. Raises nothing."""
        if self.state is not State.IDLE:
            self.abort()
            return
        self.state = State.CLOSED
        self._wire.write(b"QUIT\r\n")
        with suppress(Lost):
            await self._wire.reply(QUIT_TIMEOUT)
        self._wire.hang_up()

    def abort(self) -> None:
        """Close at once. Harmless when closed already."""
        self.state = State.CLOSED
        self._wire.abort("closed by us")

    def on_closed(self, then: Callable[[], object]) -> None:
        """Call `then` when the connection has ended; at once when it already has."""
        self._wire.on_lost(then)
