"""What the log learns of a session: one line for a message, and one for what was refused.

No command is logged as such, and no password ever gets here.
"""

from __future__ import annotations

from typing import Any, Final

from m365gw.edge.content import Content
from m365gw.edge.doorway import Peer
from m365gw.edge.login import Login
from m365gw.edge.transaction import Transaction
from m365gw.events import EventLog
from m365gw.smtp.replies import Reply

LEFT_EARLY: Final = "the client left before it was answered; it may send the message again"
LOGIN_FAILED: Final = "login failed: the login is unknown or its password is wrong"
NO_QUEUE: Final = "NOQUEUE"  # Postfix's queue id of a message that has none


class Journal:
    """The log, as one session writes to it."""

    def __init__(self, log: EventLog, peer: Peer) -> None:
        self._log = log
        self._client = peer.client

    def queued(
        self,
        transaction: Transaction,
        content: Content,
        login: Login,
        *,
        protocol: str,
        helo: str,
        has_left: bool,
    ) -> None:
        """A message is on stable storage."""
        sasl: dict[str, Any] = {}
        if login.name:
            sasl = {"sasl_method": login.mechanism, "sasl_username": login.name}
        self._log.emit(
            "message.queued",
            "smtpd",
            content.queue_id,
            note=LEFT_EARLY if has_left else "",
            client=self._client,
            **sasl,
            from_=transaction.mail.sender,
            size=content.size,
            nrcpt=len(transaction.recipients),
            mailbox=transaction.mailbox,
            proto=protocol,
            helo=helo,
        )

    def message_refused(self, reply: Reply, sender: str, queue_id: str, helo: str) -> None:
        """A message, or the MAIL that would have begun it, was refused."""
        self._warn("message.refused", queue_id, str(reply), from_=sender, helo=helo)

    def client_refused(self, reply: Reply) -> None:
        """The session ends because of what the client did."""
        self._warn("client.refused", "", str(reply))

    def stranger(self, words: str) -> None:
        """The client does not speak SMTP."""
        self._warn("client.stranger", "", words)

    def login_failed(self, mechanism: str, login: str) -> None:
        """A login was unknown, or its password wrong."""
        self._warn("login.failed", "", LOGIN_FAILED, sasl_method=mechanism, sasl_username=login)

    def _warn(self, event: str, queue_id: str, note: str, **fields: object) -> None:
        self._log.emit(
            event, "smtpd", queue_id, level="warn", note=note, client=self._client, **fields
        )
