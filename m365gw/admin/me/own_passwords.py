"""SMTP passwords of people for their own mailbox: made, exchanged and taken away by themselves.

The login is the address of the mailbox, and may send as that address alone; what an operator gave
it beyond that stays. A login that was not made here is nobody's to change here.

Failures: `Refusal` in words for the person; what the directory raises, otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from twisted.internet.interfaces import IReactorTime

from m365gw.admin.me.changes import Changes, Row
from m365gw.admin.me.people import BY, Member
from m365gw.admin.refusal import Refusal
from m365gw.config.self_service import SelfService
from m365gw.directory import passwords
from m365gw.directory.orders import (
    AddClient,
    AddPassword,
    Order,
    RemoveClient,
    RemovePassword,
)

LONGEST_LABEL: Final = 40


class OwnPasswords:
    """The passwords. `address` gives the mailbox of somebody, or raises `Refusal`."""

    def __init__(
        self,
        settings: Callable[[], SelfService],
        address: Callable[[Member], str],
        changes: Changes,
        clock: IReactorTime,
    ) -> None:
        self._settings = settings
        self._address = address
        self._changes = changes
        self._clock = clock

    @property
    def most(self) -> int:
        """How many one person may have."""
        return self._settings().passwords

    def client(self, member: Member) -> Row | None:
        """The SMTP login of somebody, with its passwords; None as long as there is none.

        Raises `Refusal` when a login of that name is somebody else's.
        """
        address = self._address(member)
        for row in self._changes.clients():
            if row["login"].casefold() == address.casefold():
                is_own = row["mailbox"].casefold() == address.casefold()
                if is_own and str(row.get("made_by", "")).startswith(BY):
                    return row
                raise Refusal(
                    409,
                    f"There is an SMTP login {address} that was not made here.",
                    "Whoever runs the mail gateway has made it, and looks after it.",
                    "Ask them for its password, or to remove it.",
                )
        return None

    async def add(self, member: Member, label: str) -> tuple[str, str]:
        """Make a password: its label, and itself, to be shown once. Raises `Refusal`."""
        label = " ".join(label.split()) or "Password"
        if len(label) > LONGEST_LABEL or not label.isprintable():
            raise Refusal(400, f"A name has {LONGEST_LABEL} letters at most.")
        return label, await self._changes.in_turn(self._add, member, label)

    async def reset(self, member: Member, password: str) -> tuple[str, str]:
        """A new one in the place of one: its label, and itself. Raises `Refusal`."""
        return await self._changes.in_turn(self._reset, member, password)

    async def remove(self, member: Member, password: str) -> str:
        """Take one away; gives its label. Raises `Refusal`."""
        return await self._changes.in_turn(self._remove, member, password)

    async def _add(self, member: Member, label: str) -> str:
        client, address = self.client(member), self._address(member)
        count = len(client["passwords"]) if client else 0
        if count >= self.most:
            what = f"You have {count} passwords, and more are not allowed."
            raise Refusal(409, what, "", "Remove one that is not used any more.")
        made, values = self._made(label)
        order: Order = AddPassword(address, values)
        if client is None:
            table = {"login": address, "senders": [address], "mailbox": address}
            order = AddClient({**table, "password": [values]})
        await self._changes.carry_out(order, member.by)
        return made

    async def _reset(self, member: Member, password: str) -> tuple[str, str]:
        row, address = self._found(member, password), self._address(member)
        made, values = self._made(row["label"])
        await self._changes.carry_out(AddPassword(address, values), member.by)
        await self._changes.carry_out(RemovePassword(address, row["id"]), member.by)
        return row["label"], made

    async def _remove(self, member: Member, password: str) -> str:
        row, client, address = (
            self._found(member, password),
            self.client(member),
            self._address(member),
        )
        order: Order = RemovePassword(address, row["id"])
        if client is not None and len(client["passwords"]) == 1:
            order = RemoveClient(address)  # a login without a password makes no sense
        await self._changes.carry_out(order, member.by)
        return str(row["label"])

    def _found(self, member: Member, password: str) -> Row:
        """One of the own passwords, by its id."""
        client = self.client(member)
        for row in client["passwords"] if client else ():
            if row["id"] == password:
                return dict(row)
        raise Refusal(404, "You have no such password.", "It may be gone already.")

    def _made(self, label: str) -> tuple[str, Row]:
        """A new password, and what is kept of it."""
        made, stored = passwords.generate()
        today = datetime.fromtimestamp(self._clock.seconds(), UTC).date()
        values = {"hash": stored, "label": label, "created": today}
        lifetime = self._settings().password_lifetime
        if lifetime:
            values["expires"] = today + timedelta(seconds=lifetime)
        return made, values
