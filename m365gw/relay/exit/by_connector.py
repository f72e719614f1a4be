"""A session by an inbound connector of the tenant, and whom its refusal concerns.

Microsoft says the same (5.7.64) when no connector knows the gateway and when the sender is of no
domain of the tenant. The domain of the mailbox's own address is one of them: if its senders are
refused, the connector is at fault and the mailbox waits. Another sender may be refused for its own
sake, and then stops nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve

from m365gw.microsoft.replies import react
from m365gw.microsoft.rows_connector import FOREIGN_SENDER, UNKNOWN
from m365gw.relay.exit.connection import Connection
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.smtp.verdict import Outcome


@define(eq=False)
class ByConnector:
    """One session. `address` is that of the mailbox."""

    connection: Connection
    address: str

    @property
    def relay(self) -> str:
        return self.connection.relay

    @property
    def offers_dsn(self) -> bool:
        return self.connection.offers_dsn

    async def deliver(self, transaction: Transaction) -> Sequence[Answer]:
        """Carry the transaction; one answer for each recipient, in their order."""
        answers = await self.connection.deliver(transaction)
        if _domain(transaction.sender) == _domain(self.address):
            return answers
        return [_of_the_sender(answer) for answer in answers]


def _of_the_sender(answer: Answer) -> Answer:
    if answer.outcome is Outcome.DELIVERED or react(answer.phase, answer.reply) is not UNKNOWN:
        return answer
    return evolve(answer, reaction=FOREIGN_SENDER)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
