"""Accounts of the console's stage: a real registry, and pretences of what only a service has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from attrs import define, field

from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import Following, TestMail
from m365gw.admin.states_api import Addressed, Pausing
from m365gw.alerts.alerts import Trial
from m365gw.config.settings import Settings
from m365gw.directory.audit import Audit, Change
from m365gw.directory.database import Database
from m365gw.directory.entries import Entries
from m365gw.directory.facts import Facts
from m365gw.directory.last_use import LastUse
from m365gw.directory.merge import merged
from m365gw.directory.orders import Answer, Order
from m365gw.directory.registry import Registry
from m365gw.directory.vault import Vault
from m365gw.doctor.casebook import Casebook
from m365gw.incidents import Incident

Row = dict[str, Any]


class StageRegistry:
    """Changes real entries in a real directory; `plain` is what a service knows beside them."""

    def __init__(self, database: Database, folder: str, plain: Callable[[], list[Row]]) -> None:
        self.configured = Settings()
        vault = Vault(database, folder)
        self.registry = Registry(database, vault, lambda: self.configured)
        self._entries = Entries(database, vault)
        self._audit = Audit(database)
        self._plain = plain

    @property
    def settings(self) -> Settings:
        return merged(self.configured, self._entries.read())[0]

    def facts(self) -> Facts:
        return Facts(self.configured, self._entries.read(), self.settings)

    async def mailboxes(self) -> list[Row]:
        """Those of the directory, and those the stage pretends."""
        known = {row["address"]: row for row in self._plain()}
        made = [row | known.pop(row["address"], {}) for row in self.facts().mailboxes()]
        return [*(_set_in_the_file(row) for row in known.values()), *made]

    def clients(self) -> list[Row]:
        return self.facts().clients(LastUse(), date(2027, 1, 15))

    def networks(self) -> list[Row]:
        return self.facts().networks()

    def listeners(self) -> list[Row]:
        return self.facts().listeners()

    def single_settings(self) -> list[Row]:
        return self.facts().single_settings()

    async def carry_out(self, order: Order, by: str) -> Answer:
        return order.carry_out(self.registry, by)

    async def changes(self, limit: int, before: int | None = None, text: str = "") -> list[Change]:
        return self._audit.changes(limit, before, text)


def _set_in_the_file(row: Row) -> Row:
    settings = {
        "flow": "secret",
        "tenant": "contoso.com",
        "client_id": "00000000-0000-4000-8000-0000000000a1",
        "cloud": "worldwide",
        "exit": "smtp",
        "fallback": "",
        "sign_in_as": "",
        "client_secret_expires": None,
        "federated_token_file": "",
        "origin": "file",
        "place": "m365gw.toml:12",
        "credentials": [],
        "renews_at": None,
    }
    return settings | row


@define
class StageStates:
    """Notes what was asked of which mailbox."""

    asked: list[tuple[str, str, str]] = field(factory=list)

    async def pause(self, order: Pausing, caller: Caller) -> Row:
        if not order.reason:
            raise Refusal(400, "A pause needs a reason.")
        self.asked.append(("pause", order.address, order.reason))
        return {}

    async def resume(self, order: Addressed, caller: Caller) -> Row:
        self.asked.append(("resume", order.address, caller.name))
        return {}

    async def retry(self, order: Addressed, caller: Caller) -> Row:
        self.asked.append(("retry", order.address, caller.name))
        return {}


@define
class StageSignIns:
    """One sign-in by a code, or by a browser. `answer` is what polling or finishing gives."""

    answer: Any = False
    begun: list[tuple[str, str]] = field(factory=list)
    finished: list[dict[str, str]] = field(factory=list)

    async def begin(self, address: str, redirect_uri: str) -> Row:
        self.begun.append((address, redirect_uri))
        said = {"id": "sign-in-1", "address": address, "sign_in_as": address}
        if redirect_uri:
            return said | {"auth_uri": "https://login.example/authorize?state=s", "state": "s"}
        uri = "https://microsoft.com/devicelogin"
        code = {"user_code": "ABCD1234", "verification_uri": uri}
        return said | code | {"interval": 5.0, "expires_in": 900.0}

    async def poll(self, name: str) -> Row:
        return self._answered()

    async def finish(self, name: str, arguments: dict[str, str]) -> Row:
        self.finished.append(arguments)
        return self._answered()

    def cancel(self, name: str) -> Row:
        return {}

    def _answered(self) -> Row:
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"address": "relay@contoso.com", "done": self.answer}


@define
class StageTestMails:
    """Keeps what was sent; `told` is what follows of it."""

    sent: list[TestMail] = field(factory=list)
    told: Row = field(factory=lambda: {"steps": [], "outcome": "", "mailbox": {}})

    async def send(self, order: TestMail, caller: Caller) -> Row:
        if "@" not in order.mailbox:
            raise Refusal(400, "Which mailbox?", "There are several.", "Name one.")
        self.sent.append(order)
        return {
            "queue_id": "4Q7BX2K9M3PDW",
            "message_id": "<4Q7BX2K9M3PDW.test@gw>",
            "mailbox": order.mailbox,
            "sender": order.sender or order.mailbox,
            "recipients": list(order.recipients or (order.mailbox,)),
        }

    async def follow(self, following: Following, caller: Caller) -> Row:
        return self.told


@define
class StageIncidents:
    """The incidents there are, open and over."""

    of_stage: Callable[[], list[Incident]]
    past: list[Incident] = field(factory=list)
    ends: list[Row] = field(factory=list)
    trials: list[Trial] = field(factory=list)

    def open_ones(self) -> list[Incident]:
        return self.of_stage()

    async def history(self, limit: int) -> list[Incident]:
        return [*self.of_stage(), *self.past][:limit]

    async def find(self, incident_id: str) -> Incident | None:
        return next((one for one in await self.history(1000) if one.id == incident_id), None)

    async def test(self) -> Sequence[Trial]:
        return self.trials

    async def credentials(self) -> list[Row]:
        return self.ends


class StageRounds:
    """Notes who was to be examined; a test puts the findings into the book."""

    is_busy = False

    def __init__(self, folder: str) -> None:
        self.book = Casebook(folder)
        self.mailboxes: list[str] = []
        self.asked: list[tuple[list[str], str, bool]] = []
        self.report: Row = {"gateway": [], "mailboxes": []}

    async def __call__(self, addresses: Sequence[str], *, send: bool) -> Row:
        return self.report

    def begin(self, addresses: Sequence[str], by: str, *, send: bool = False) -> None:
        self.asked.append((list(addresses), by, send))
