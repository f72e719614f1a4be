"""Marks: before the final dot it is noted on disk who may be about to get a message.

Only then the dot may be sent: a crash, or a cut, between it and the answer is known as uncertain
afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from m365gw.spool.message import Message
from m365gw.spool.spool import Spool
from m365gw.syncing import Syncing


@frozen
class Marks:
    """Marks messages of a spool."""

    spool: Spool
    syncing: Syncing

    async def mark(self, message: Message, recipients: Sequence[int]) -> None:
        """Note it of these recipients; durable when this returns. Raises SpoolError."""
        message.write_uncertain(recipients)
        [error] = await self.syncing.sync([message.fd])
        with self.spool.health:
            if error is not None:
                raise error
