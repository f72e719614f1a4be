"""What the files of another program hold, in our words, and what is not taken from them.

Tables say what the configuration would say (`config.settings`). A remark is either about something
broken, which could not be read, or about something that was understood and has no place here. No
password and no token is in a remark, or in the text form of any of these.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, define, field, frozen

from m365gw.smtp.addresses import canonical

Table = dict[str, Any]


@frozen
class Remark:
    """What was not taken: where it stands, why, and what to do."""

    place: str  # "sasl/users, line 3"
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@frozen
class Login:
    """An SMTP login. `clear` or `hash` is its password; with neither it needs a new one."""

    values: Table  # as [[client]], without passwords
    clear: str = field(default="", repr=False)
    hash: str = field(default="", repr=False)
    why_new: str = ""  # why it needs a new password

    @property
    def name(self) -> str:
        return str(self.values["login"])


@define
class Found:
    """Gathered while the files are read; mailboxes are known by their address."""

    mailboxes: dict[str, Table] = field(factory=dict, repr=False)  # with secrets of apps
    sign_ins: dict[str, str] = field(factory=dict, repr=False)  # refresh tokens by address
    logins: dict[str, Login] = Factory(dict)
    networks: dict[str, Table] = Factory(dict)
    broken: list[Remark] = Factory(list)
    left_out: list[Remark] = Factory(list)
    advice: list[str] = Factory(list)  # commands that remain to be given

    def add_mailbox(self, values: Table, refresh_token: str = "") -> None:
        """A mailbox, and what it signs in with; the first one of an address counts."""
        address = str(values["address"])
        self.mailboxes.setdefault(canonical(address), values)
        if refresh_token and self.mailboxes[canonical(address)] is values:
            self.sign_ins[address] = refresh_token

    def breaks(self, place: str, why: str) -> None:
        """Something could not be read."""
        self.broken.append(Remark(place, why))

    def leaves_out(self, place: str, why: str) -> None:
        """Something was understood and is not taken."""
        self.left_out.append(Remark(place, why))
