"""Test mails in the API: one is sent, and then followed by asking again and again.

`POST /send-test` answers when the message is durable, with its queue id. `POST /send-test/follow`
waits until something has happened to it that was not `seen` yet, `seconds` at most, and gives the
new steps, and the outcome of the last attempt once all its recipients have one.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from attrs import frozen

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.states_api import Addressed

LONGEST_WAIT: Final = 20.0  # seconds; a client that left is not waited for much longer


@frozen
class TestMail:
    """A test mail. What is "" or empty: the only mailbox, from and to its own address."""

    mailbox: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""


@frozen
class Following:
    """Which test mail, how many of its steps are known, and how long to wait for more."""

    queue_id: str
    seen: int = 0
    seconds: float = LONGEST_WAIT

    @property
    def bounded(self) -> float:
        """How long to wait, at most."""
        return min(max(0.0, self.seconds), LONGEST_WAIT)


class Sending(Protocol):
    """Test mails of the running service: `service.send_test.SendTest`."""

    async def send(self, order: TestMail, caller: Caller) -> dict[str, Any]: ...

    async def follow(self, following: Following, caller: Caller) -> dict[str, Any]: ...


def add_send_test(api: Api, sending: Sending) -> None:
    """Register the endpoints."""

    async def to_itself(one: Addressed, caller: Caller) -> dict[str, Any]:
        return await sending.send(TestMail(mailbox=one.address), caller)

    api.post("/send-test", TestMail, sending.send, answers.TestMail)
    api.post("/mailboxes/test", Addressed, to_itself, answers.TestMail)
    api.ask("/send-test/follow", Following, sending.follow, answers.Followed)
