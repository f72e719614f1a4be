"""How a session takes a message: DATA or BDAT, the judgement at its end, the record.

A message that is refused is read to its end first, as the client may have sent it already.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.logger import Logger

from m365gw.rehearsal.answers import ANSWERS
from m365gw.rehearsal.exchange import Login, Transaction, complaints_about
from m365gw.rehearsal.faults import Fault
from m365gw.rehearsal.parameters import Wrong, bdat_arguments
from m365gw.rehearsal.pump import HOST, Owner, Pump
from m365gw.rehearsal.wire import ChunkContent, DotContent

log = Logger(namespace="m365gw.rehearsal")

SLACK = 65_536  # octets kept beyond the limit, so that dot-stuffing never decides


class Intake(Pump):
    """The part of a session that holds a transaction."""

    def __init__(self, number: int, owner: Owner) -> None:
        super().__init__(number, owner)
        self.helo = ""
        self.login: Login | None = None
        self.transaction: Transaction | None = None
        self.complaints: list[str] = []  # about the session
        self.taken = 0
        self._chunks: ChunkContent | None = None

    def end(self) -> None:
        """The client is gone: its place is free."""
        self.end_transaction()

    @property
    def has_chunks(self) -> bool:
        """Whether a first BDAT chunk has come."""
        return self._chunks is not None

    def subjects(self) -> tuple[str, ...]:
        """The names a fault may look for now: mailbox, sender, recipients."""
        mailbox = (self.login.mailbox,) if self.login else ()
        return mailbox + (self.transaction.names() if self.transaction else ())

    def begin_transaction(self, login: Login, transaction: Transaction) -> None:
        """A submission begins; it holds a place of its mailbox if one is free."""
        self.transaction = transaction
        self.exchange.meters.take_place(login.mailbox, self)

    def end_transaction(self) -> None:
        """Forgets the transaction and frees its place."""
        if self.transaction is not None and self.login is not None:
            self.exchange.meters.leave_place(self.login.mailbox, self)
        self.transaction = self._chunks = None

    def _limit(self) -> int:
        return self.exchange.size_limit(self.login) + SLACK if self.login else 0

    # DATA

    def data(self, text: str) -> None:
        """The command DATA."""
        transaction = self.transaction
        if text:
            raise Wrong("bad-arguments")
        if transaction is None or self.has_chunks or transaction.mail.body == "BINARYMIME":
            raise Wrong("bad-sequence")
        if not transaction.recipients:
            raise Wrong("no-recipients")
        if self.buffer:
            transaction.complaints.append("content sent before the 354")
        self.through_faults("data", self.subjects(), self._invite_content)

    def _invite_content(self) -> None:
        self.reply("354 Start mail input; end with <CRLF>.<CRLF>")
        content = DotContent(self._limit())

        def read() -> bool:
            if not self.buffer:
                return False
            rest = content.feed(self._take_buffer())

            def proceed() -> None:
                if rest is not None:
                    self._back_to_commands(rest)
                    self._finish(content, "DATA")

            self._disturb(content.arrived, proceed)
            return rest is not None

        self.reader = read

    def _take_buffer(self) -> bytes:
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def _back_to_commands(self, rest: bytes) -> None:
        """The content is over; `rest` came behind it, ahead of what has come since."""
        self.buffer[:0] = rest
        self.reader = self.read_command

    def _disturb(self, arrived: int, proceed: Callable[[], None]) -> None:
        """Goes on, unless a fault waits for so much of a message. One strikes in a message."""
        faults, transaction = self.exchange.faults, self.transaction
        waiting = [each.after for each in faults.pending if each.phase == "content"]
        if not waiting or arrived < min(waiting) or transaction is None or transaction.disturbed:
            proceed()
            return
        transaction.disturbed = True
        self.through_faults("content", self.subjects(), proceed)

    # BDAT

    def bdat(self, text: str) -> None:
        """The command BDAT (RFC 3030). The chunk is read before it is judged."""
        size, last = bdat_arguments(text)
        chunks = self._chunks or ChunkContent(self._limit())
        chunks.begin(size)

        def read() -> bool:
            if size and not self.buffer:
                return False
            rest = chunks.feed(self._take_buffer())

            def proceed() -> None:
                if rest is not None:
                    self._back_to_commands(rest)
                    self._end_chunk(chunks, size, last)

            self._disturb(chunks.arrived, proceed)
            return rest is not None

        self.reader = read

    def _end_chunk(self, chunks: ChunkContent, size: int, last: bool) -> None:
        if self.transaction is None:
            self.refuse(ANSWERS["bad-sequence"])
        elif not self.transaction.recipients:
            self.end_transaction()
            self.refuse(ANSWERS["no-recipients"])
        elif last:
            self._finish(chunks, "BDAT")
        else:
            self._chunks = chunks
            self.reply(f"250 2.6.0 {size} octets received")

    # The end of a message

    def _finish(self, content: DotContent | ChunkContent, by: str) -> None:
        faults = self.exchange.faults
        fault = faults.due("dot", self.subjects()) if faults.pending else None
        whole = Whole(content.octets(), content.too_large, by)
        if fault is None:
            self._judge(whole)
        else:
            self._spoil(fault, whole)

    def _spoil(self, fault: Fault, whole: Whole) -> None:
        """A fault at the end of a message; on wish the message counts as taken all the same."""
        if fault.action == "stall" and fault.seconds:
            self.after(fault.seconds, lambda: self._judge(whole))
            return
        if fault.record:
            answered = f"answered {fault.answer}" if fault.action == "reply" else "no answer"
            self._take(whole, answered)
        if fault.action != "stall":
            self.end_transaction()
        self.suffer(fault, lambda: None)

    def _judge(self, whole: Whole) -> None:
        """The answer to the end of a message."""
        exchange, login, transaction = self.exchange, self.login, self.transaction
        assert login is not None and transaction is not None
        if not exchange.meters.take_place(login.mailbox, self):
            exchange.meters.note_excess(login.mailbox, "connections")
            refusal = ANSWERS["concurrent"]
        elif whole.too_large:
            refusal = ANSWERS["too-large"]
        else:
            refusal = exchange.refuse_content(login, transaction, whole.octets)
        refusal = refusal or exchange.refuse_amount(login, transaction)
        if refusal:
            log.info("rehearsal: refused from {who}: {why}", who=login.mailbox, why=refusal)
            self.end_transaction()
            self.refuse(refusal)
            return
        wait = exchange.meters.count_message(login.mailbox)
        self.after(exchange.limits.submission_seconds + wait, lambda: self._accept(whole))

    def _accept(self, whole: Whole) -> None:
        assert self.login is not None and self.transaction is not None
        number = self._take(whole, self.exchange.fate(self.login, self.transaction))
        self.end_transaction()
        self.reply(f"250 2.0.0 OK <{number}@rehearsal.invalid> [Hostname={HOST}]")

    def _take(self, whole: Whole, fate: str) -> int:
        """Counts and records the message; its number."""
        login, transaction, exchange = self.login, self.transaction, self.exchange
        assert login is not None and transaction is not None
        self.taken += 1
        exchange.meters.count_recipients(login.mailbox, len(transaction.recipients))
        message = exchange.record.add(
            whole.octets,
            at=exchange.clock.seconds(),
            connection=self.number,
            mailbox=login.mailbox,
            client_id=login.client_id,
            sender=transaction.mail.sender,
            recipients=tuple(each.recipient for each in transaction.recipients),
            mail_parameters=transaction.mail.parameters,
            rcpt_parameters=tuple(each.parameters for each in transaction.recipients),
            helo=self.helo,
            by=whole.by,
            fate=fate,
            complaints=(*self.complaints, *complaints_about(transaction, whole.octets)),
        )
        log.debug(
            "rehearsal: message {number} from {sender}: {fate}",
            number=message.number,
            sender=message.sender,
            fate=fate,
        )
        return message.number


@define
class Whole:
    """A message that has arrived to its end."""

    octets: bytes = field(repr=False)
    too_large: bool
    by: str  # DATA or BDAT
