"""What the pretend Microsoft received: every message it took, with envelope and circumstances.

Kept in memory within bounds (the oldest contents go first, then the oldest entries), and on wish
also in a folder as NUMBER.eml and NUMBER.json. Contents are the octets as the client meant them:
dot-stuffing undone, nothing else changed.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen


@frozen(kw_only=True)
class ReceivedMessage:
    """One message that was taken."""

    number: int
    at: float  # seconds since the epoch
    connection: int  # number of the connection, from 1
    mailbox: str  # who signed in
    client_id: str  # by which app
    sender: str  # MAIL FROM
    recipients: tuple[str, ...]  # RCPT TO, in order
    mail_parameters: tuple[str, ...] = ()  # as given: "SIZE=123"
    rcpt_parameters: tuple[tuple[str, ...], ...] = ()  # for each recipient
    helo: str = ""
    by: str = "DATA"  # or BDAT
    size: int = 0
    sha256: str = ""
    fate: str = "delivered"  # or what became of it: "returned: 550 5.5.3 ...", "no answer"
    complaints: tuple[str, ...] = ()  # faults of the client that Microsoft lets pass
    content: bytes | None = field(default=None, repr=False)  # None: not kept

    def as_json(self) -> dict[str, Any]:
        """Everything but the content, for JSON."""
        return asdict(self, filter=lambda attribute, _: attribute.name != "content")


class Record:
    """The messages received. Bounds are counts and octets; `contents` off keeps only digests."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        contents: bool = True,
        most_messages: int = 100_000,
        most_octets: int = 256 * 2**20,
    ) -> None:
        self._folder = folder
        self._contents = contents
        self._most_messages = most_messages
        self._most_octets = most_octets
        self._messages: OrderedDict[int, ReceivedMessage] = OrderedDict()
        self._with_content: OrderedDict[int, int] = OrderedDict()  # number to size
        self._octets = 0
        self.count = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def add(self, content: bytes, **circumstances: Any) -> ReceivedMessage:
        """Keeps a message; `circumstances` are the other fields of ReceivedMessage."""
        self.count += 1
        message = ReceivedMessage(
            number=self.count,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            content=content if self._contents else None,
            **circumstances,
        )
        if self._folder is not None:
            self._write(self._folder, message, content)
        self._messages[message.number] = message
        if self._contents:
            self._with_content[message.number] = message.size
            self._octets += message.size
        self._forget_oldest()
        return message

    def _write(self, folder: Path, message: ReceivedMessage, content: bytes) -> None:
        name = f"{message.number:08d}"
        if self._contents:
            (folder / f"{name}.eml").write_bytes(content)
        (folder / f"{name}.json").write_text(json.dumps(message.as_json(), indent=1))

    def _forget_oldest(self) -> None:
        while self._octets > self._most_octets:
            number, size = self._with_content.popitem(last=False)
            self._octets -= size
            self._messages[number] = evolve(self._messages[number], content=None)
        while len(self._messages) > self._most_messages:
            number, _ = self._messages.popitem(last=False)
            self._octets -= self._with_content.pop(number, 0)

    def messages(self, since: int = 0, limit: int = 0) -> list[ReceivedMessage]:
        """Messages with a number above `since`, in order, at most `limit` (0: all)."""
        chosen = []
        for message in self._messages.values():
            if message.number > since:
                chosen.append(message)
                if limit and len(chosen) >= limit:
                    break
        return chosen

    def message(self, number: int) -> ReceivedMessage | None:
        """The message of a number, if it is still known."""
        return self._messages.get(number)

    def clear(self) -> None:
        """Forgets all messages in memory; numbers go on."""
        self._messages.clear()
        self._with_content.clear()
        self._octets = 0
