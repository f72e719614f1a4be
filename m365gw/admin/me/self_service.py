"""What people do at /me, put together: who they are, their passwords, test mails, and leaving.

All changes go through the registry, and are audited as "self-service ADDRESS". Failures: `Refusal`
in words for the person; what the directory raises, otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from m365gw.admin.http import Caller
from m365gw.admin.me.changes import Changes, Registry
from m365gw.admin.me.enrolment import Enrolment, gone
from m365gw.admin.me.own_passwords import OwnPasswords
from m365gw.admin.me.people import BY, Member
from m365gw.admin.me.servers import Server, servers
from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import Following, Sending, TestMail
from m365gw.config.settings import Settings
from m365gw.directory.orders import ChangeMailbox, Order, RemoveClient, RemoveMailbox
from m365gw.relay.tokens.interactive import InteractiveSignIns

MOST_TESTS: Final = 10  # test mails of one person in an hour
HOUR: Final = 3600.0

Plain = Mapping[str, Any]


class SelfService:
    """Acts for people who have signed in.

    `settings` are those in force; `overview` gives each mailbox with its state, `places` the
    listeners with their addresses, both as plain values; `probe` has a mailbox tried at once.
    """

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        sign_ins: InteractiveSignIns,
        registry: Registry,
        sending: Sending,
        overview: Callable[[], Sequence[Plain]],
        places: Callable[[], Sequence[dict[str, str]]],
        probe: Callable[[str], object],
        clock: IReactorTime,
    ) -> None:
        self._settings = settings
        self._sending = sending
        self._overview = overview
        self._places = places
        self._clock = clock
        self._changes = changes = Changes(registry)
        self._tests: list[tuple[str, str, float]] = []  # account, queue id, when
        self.enrolment = Enrolment(settings, sign_ins, changes, probe)
        self.passwords = OwnPasswords(
            lambda: settings().self_service, self.enrolment.address, changes, clock
        )

    def mailbox(self, member: Member) -> Plain:
        """The state of the own mailbox, as the API tells it. Raises `Refusal`."""
        address = self.enrolment.address(member)
        for each in self._overview():
            if each["address"].casefold() == address.casefold():
                return each
        raise gone()

    def servers(self) -> list[Server]:
        """What people enter in their mail programs."""
        return servers(self._settings(), self._places())

    async def send_test(self, member: Member) -> str:
        """A mail to oneself; gives its queue id. Raises `Refusal`."""
        now = self._clock.seconds()
        self._tests = [each for each in self._tests if now - each[2] < HOUR]
        if sum(account == member.account for account, _, _ in self._tests) >= MOST_TESTS:
            raise Refusal(429, f"{MOST_TESTS} test mails an hour are enough.", "", "Wait a little.")
        address = self.enrolment.address(member)
        order = TestMail(address, address, (address,), "Test of your mailbox")
        sent = await self._sending.send(order, Caller(member.by))
        self._tests.append((member.account, sent["queue_id"], now))
        return str(sent["queue_id"])

    async def follow(self, member: Member, queue_id: str, seen: int) -> Plain:
        """What became of an own test mail, all steps of it, once there are more than were seen.

        Raises `Refusal`.
        """
        if (member.account, queue_id) not in [each[:2] for each in self._tests]:
            raise Refusal(404, "There is no such test mail.", "", "Send another one.")
        caller = Caller(member.by)
        await self._sending.follow(Following(queue_id, seen), caller)
        return await self._sending.follow(Following(queue_id), caller)

    async def leave(self, member: Member) -> bool:
        """Passwords, sign-in and mailbox are removed; whether all of it is, or mail still waits."""
        return await self._changes.in_turn(self._leave, member)

    async def sweep(self) -> None:
        """Remove the mailboxes of those who left, once no mail waits for them."""
        waits = {each["address"]: each["waits"] for each in self._overview()}
        for mailbox in self._settings().mailbox:
            if mailbox.until_empty and not waits.get(mailbox.address, 1):
                order = RemoveMailbox(mailbox.address)
                await self._changes.in_turn(self._changes.carry_out, order, BY)

    async def _leave(self, member: Member) -> bool:
        mailbox, address = self.mailbox(member), self.enrolment.address(member)
        if self.passwords.client(member) is not None:
            await self._changes.carry_out(RemoveClient(address), member.by)
        order: Order = RemoveMailbox(address)
        if mailbox["waits"]:
            order = ChangeMailbox(address, {"until_empty": True})
        await self._changes.carry_out(order, member.by)
        return not mailbox["waits"]
