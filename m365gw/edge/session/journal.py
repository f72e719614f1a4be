"""What the log learns of a session: one line for a message, and one for what was refused.

No command is logged as such, and no password ever gets here.
"""

from __future__ import annotations

from typing import Any, Final

from m365gw.edge.login.authentication import WrongLogin
from m365gw.edge.receiving.content import Content
from m365gw.edge.receiving.transaction import Transaction
from m365gw.edge.session.identity import Identity
from m365gw.events import EventLog
from m365gw.smtp.replies import Reply

CUT_OFF: Final = "the connection ended before the message was complete; it was not accepted"
LEFT_EARLY: Final = "the client left before it was answered; it may send the message again"
NO_QUEUE: Final = "NOQUEUE"  # Postfix's queue id of a message that has none


class Journal:
    """The log, as one session writes to it."""

    def __init__(self, log: EventLog, identity: Identity, listener: str) -> None:
        self._log = log
        self._listener = listener
        self._identity = identity
        self._facts = identity.peer.facts

    def queued(self, transaction: Transaction, content: Content, *, has_left: bool) -> None:
        """A message is on stable storage."""
        identity, mail = self._identity, transaction.mail
        sasl: dict[str, Any] = {}
        if identity.login:
            sasl = {"sasl_method": identity.mechanism, "sasl_username": identity.login}
        changes: dict[str, str] = {}
        if transaction.sender != mail.sender:
            changes["sender_was"] = f"<{mail.sender}>"
        if content.mending is not None:
            done, left = content.mending.done, content.mending.left
            changes |= {"repaired": ",".join(done), "not_repaired_as_signed": ",".join(left)}
        self._log.emit(
            "message.queued",
            "smtpd",
            content.queue_id,
            note=LEFT_EARLY if has_left else "",
            **self._facts,
            **sasl,
            from_=transaction.sender,
            size=content.size,
            nrcpt=len(transaction.recipients),
            mailbox=transaction.mailbox,
            proto=identity.protocol(smtputf8=mail.smtputf8),
            helo=identity.helo,
            listener=self._listener,
            **{name: value for name, value in changes.items() if value},
        )

    def message_refused(self, reply: Reply, sender: str, queue_id: str) -> None:
        """A message, or the MAIL that would have begun it, was refused."""
        identity = self._identity
        sasl = {"sasl_username": identity.login} if identity.login else {}
        told = {"from_": sender, "helo": identity.helo, **sasl}
        self._warn("message.refused", queue_id, str(reply), **told)

    def message_cut_off(self, transaction: Transaction) -> None:
        """A message was begun and never ended."""
        queue_id = transaction.content.queue_id if transaction.content else NO_QUEUE
        sender, helo = transaction.mail.sender, self._identity.helo
        self._warn("message.cut-off", queue_id, CUT_OFF, from_=sender, helo=helo)

    def command_refused(self, reply: Reply) -> None:
        """A line could not be understood. It is not shown: it may be a password, out of step."""
        self._warn("command.refused", "", str(reply), helo=self._identity.helo)

    def client_refused(self, reply: Reply) -> None:
        """The session ends because of what the client did."""
        self._warn("client.refused", "", str(reply))

    def stranger(self, words: str) -> None:
        """The client does not speak SMTP."""
        self._warn("client.stranger", "", words)

    def logged_in(self, mechanism: str) -> None:
        """A login, which is counted; the line of each message says by which it came."""
        self._log.count("login.succeeded", sasl_method=mechanism)

    def login_failed(self, mechanism: str, login: str, wrong: WrongLogin) -> None:
        """No login. Worded as Postfix does it, so that fail2ban's filter for Postfix counts it.

        That filter looks for "failed:", so it does not count a device that repeats an old password.
        """
        failed = "failed again with the same password" if wrong.is_repeated else "failed"
        words = f"SASL {mechanism} authentication {failed}: {wrong.reason}"
        self._log.emit(
            "login.failed",
            "smtpd",
            level="warn",
            note=wrong.reason,
            plain=f"{self._facts['client']}: {words}, sasl_username={login}",
            **self._facts,
            sasl_method=mechanism,
            sasl_username=login,
            is_repeated=wrong.is_repeated,
        )

    def login_refused(self, mechanism: str, reply: Reply) -> None:
        """An exchange came to no login: the mechanism, its form, or too many at a time."""
        self._warn("login.refused", "", str(reply), sasl_method=mechanism)

    def _warn(self, event: str, queue_id: str, note: str, **fields: str) -> None:
        facts = {**self._facts, **fields}
        self._log.emit(event, "smtpd", queue_id, level="warn", note=note, **facts)
