"""One mail transaction: MAIL, RCPT, DATA, content, the final dot, and a verdict for each recipient.

The envelope goes out in one write where the server takes PIPELINING; content only after its 354.
Content is read in chunks of 64 KiB while the server takes them. The last chunk is held back until
`before_dot` is through, so no server ever has a whole message whose recipients are not yet marked
as uncertain on disk.

Failures become verdicts: what the server says, or code 0 with the cause in words when it says
nothing. Lost before the final dot is written: PENDING, nothing was delivered. Lost after it:
UNCERTAIN. What `read` or `before_dot` raises passes through; then nothing was delivered either,
and the caller aborts the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from attrs import frozen

from m365gw.microsoft.reactions import Reaction
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.esmtp import Extensions, mail_command, rcpt_command
from m365gw.relay.exit.lost import Lost
from m365gw.relay.exit.wire import Wire
from m365gw.smtp.dots import DotStuffer
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Refused, Reply
from m365gw.smtp.verdict import Outcome, Verdict

CHUNK: Final = 65536  # octets read from the spool at a time

# Seconds to wait for an answer, RFC 5321 4.5.3.2.
MAIL_TIMEOUT: Final = 300.0
RCPT_TIMEOUT: Final = 300.0
DATA_TIMEOUT: Final = 120.0
BLOCK_TIMEOUT: Final = 180.0
DOT_TIMEOUT: Final = 600.0


@frozen
class Transaction:
    """What one transaction is to carry, and to whom.

    recipients   (place in the envelope, recipient), all that this transaction is for
    size         octets of the content as `read` gives it
    read         read(offset, length) gives content octets; b"" before `size` is an error
    before_dot   awaited after the last answer before the final dot and before that dot is sent
    """

    sender: str
    recipients: Sequence[tuple[int, Recipient]]
    size: int
    read: Callable[[int, int], bytes]
    before_dot: Callable[[], Awaitable[None]]
    eight_bit: bool = False
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""


@frozen
class Answer(Verdict):
    """A verdict, with the phase of the dialogue its reply came from.

    The outcome is what the reply says by the letter: 5yz is FAILED, 4yz and no reply are PENDING.
    What Microsoft means by it is for `microsoft.replies.react(phase, reply)` to say, unless it is
    known already: `reaction`.
    """

    phase: Phase
    reaction: Reaction | None = None


class Dialogue:
    """Carries one transaction over a wire that is ready for it; used once.

    Afterwards `is_clean` tells whether the next transaction may begin without RSET, and
    `is_usable` whether the session may be used again at all.
    """

    def __init__(self, wire: Wire, extensions: Extensions, transaction: Transaction) -> None:
        self.is_clean = True
        self.is_usable = True
        self._wire = wire
        self._extensions = extensions
        self._transaction = transaction
        self._pipelined = "PIPELINING" in extensions
        self._answers: dict[int, Answer] = {}
        self._phase = Phase.MAIL
        self._dot_sent = False

    async def run(self, *, reset: bool = False) -> list[Answer]:
        """The answers in the order of the recipients. `reset` begins with RSET."""
        commands = self._commands()
        try:
            if len(self._answers) < len(self._transaction.recipients):
                await self._talk(commands, reset)
        except Lost as lost:
            self.is_usable = False
            outcome = Outcome.UNCERTAIN if self._dot_sent else Outcome.PENDING
            self._settle_rest(outcome, Reply(0, "", str(lost)))
        return [self._answers[index] for index, _ in self._transaction.recipients]

    async def _talk(self, commands: list[bytes], reset: bool) -> None:
        if self._wire.has_unread:  # said while nobody asked: the next answers would be misread
            self._give_up(await self._wire.reply(MAIL_TIMEOUT))
            self.is_usable = False
            return
        mail, *rcpts = commands
        if self._pipelined:
            start = [b"RSET\r\n"] if reset else []
            self._wire.write(b"".join((*start, *commands, b"DATA\r\n")))
        if reset and not await self._reset():
            return
        if await self._envelope(mail, rcpts) and await self._begin_data():
            await self._content()

    def _commands(self) -> list[bytes]:
        """MAIL, then RCPT for each recipient that is not refused here for its address."""
        task = self._transaction
        try:
            commands = [
                mail_command(
                    self._extensions,
                    task.sender,
                    size=task.size,
                    eight_bit=task.eight_bit,
                    smtputf8=task.smtputf8,
                    ret=task.ret,
                    envid=task.envid,
                )
            ]
        except Refused as refused:
            self._settle_rest(Outcome.FAILED, refused.reply)
            return []
        self._phase = Phase.RCPT
        for index, recipient in task.recipients:
            try:
                commands.append(rcpt_command(self._extensions, recipient, task.smtputf8))
            except Refused as refused:
                self._settle(index, Outcome.FAILED, refused.reply)
        self._phase = Phase.MAIL
        return commands

    async def _reset(self) -> bool:
        reply = await self._ask(b"RSET\r\n", MAIL_TIMEOUT)
        if not _is_ok(reply):
            self._give_up(reply)
        return _is_ok(reply)

    async def _envelope(self, mail: bytes, rcpts: list[bytes]) -> bool:
        """MAIL and RCPT. Whether someone is left to send content to."""
        reply = await self._ask(mail, MAIL_TIMEOUT)
        has_sender = _is_ok(reply)
        waiting = [index for index, _ in self._transaction.recipients if index not in self._answers]
        if not has_sender:
            self._settle_rest(_outcome(reply), reply)
        self._phase = Phase.RCPT
        was_taken = False
        if has_sender or self._pipelined:
            for index, rcpt in zip(waiting, rcpts, strict=True):
                reply = await self._ask(rcpt, RCPT_TIMEOUT)
                was_taken = was_taken or _is_ok(reply)
                if has_sender and not _is_ok(reply):
                    self._settle(index, _outcome(reply), reply)
        if has_sender and was_taken:
            return True
        if self._pipelined:
            await self._take_back_data(send_dot=not was_taken)
        return False

    async def _take_back_data(self, *, send_dot: bool) -> None:
        """DATA went out with an envelope nobody was left of; it is answered all the same.

        A server that says 354 even so waits for content. It gets the lone dot of RFC 2920 3.1,
        unless it has a recipient, who would then receive an empty message.
        """
        reply = await self._wire.reply(DATA_TIMEOUT)
        if reply.code == 354 and send_dot:
            self._wire.write(b".\r\n")
            await self._wire.reply(DOT_TIMEOUT)
        elif not (reply.is_transient or reply.is_permanent) or reply.code == 421:
            self.is_usable = False

    async def _begin_data(self) -> bool:
        self._phase = Phase.DATA
        reply = await self._ask(b"DATA\r\n", DATA_TIMEOUT)
        if reply.code != 354:
            self._give_up(reply)
        return reply.code == 354

    async def _content(self) -> None:
        """The content and the final dot, unless the server answers before that."""
        task, wire = self._transaction, self._wire
        stuffer = DotStuffer()
        offset, last = 0, b""
        is_long = task.size > CHUNK
        if is_long:
            wire.start_stream()
        try:
            while offset < task.size and not wire.has_unread:
                if last:
                    wire.write(last, f"[{len(last)} octets of content]")
                    await wire.drained(BLOCK_TIMEOUT)
                chunk = task.read(offset, min(CHUNK, task.size - offset))
                if not chunk:
                    raise EOFError(f"the message ends at {offset} of {task.size} octets")
                offset += len(chunk)
                last = stuffer.feed(chunk)
        finally:
            if is_long:
                wire.end_stream()
        if not wire.has_unread:
            await task.before_dot()
        if wire.has_unread or wire.lost:
            await self._early_answer()
        else:
            await self._final_dot(last + stuffer.finish())

    async def _early_answer(self) -> None:
        """An answer amid the content. The server now waits for octets it will not get."""
        self._give_up(await self._wire.reply(BLOCK_TIMEOUT))
        self.is_usable = False

    async def _final_dot(self, rest: bytes) -> None:
        self._dot_sent = True
        self._wire.write(rest, f"[{len(rest)} octets of content with the final dot]")
        reply = await self._wire.reply(DOT_TIMEOUT)
        if _is_ok(reply):
            self._settle_rest(Outcome.DELIVERED, reply)
            self.is_usable = not self._wire.has_unread
        elif reply.is_positive:  # 3yz: what it did with the message is anyone's guess
            self._settle_rest(Outcome.UNCERTAIN, reply)
            self.is_usable = False
        else:
            self._give_up(reply)

    async def _ask(self, command: bytes, seconds: float) -> Reply:
        """One command and its answer; with pipelining the command is already on its way."""
        if not self._pipelined:
            self._wire.write(command)
        reply = await self._wire.reply(seconds)
        if not _is_ok(reply) and reply.code != 354:
            self.is_clean = False
        if reply.code == 421:  # RFC 5321 3.8: the server closes the connection
            self.is_usable = False
        return reply

    def _give_up(self, reply: Reply) -> None:
        """This reply, not positive where it had to be, is the answer for all who have none yet."""
        if reply.is_positive or reply.code == 421:
            self.is_usable = False
        self.is_clean = False
        self._settle_rest(_outcome(reply), reply)

    def _settle_rest(self, outcome: Outcome, reply: Reply) -> None:
        for index, _ in self._transaction.recipients:
            if index not in self._answers:
                self._settle(index, outcome, reply)

    def _settle(self, index: int, outcome: Outcome, reply: Reply) -> None:
        self._answers[index] = Answer(index, outcome, reply, self._phase)


def _is_ok(reply: Reply) -> bool:
    return 200 <= reply.code < 300


def _outcome(reply: Reply) -> Outcome:
    return Outcome.FAILED if reply.is_permanent else Outcome.PENDING
