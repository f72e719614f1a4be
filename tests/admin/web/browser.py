"""The console without sockets: a browser in memory, a gateway with a real spool, a clock.

Threads are left out: what would be called in one is called at once. Who may sign in, and who is
signed in, is kept in a real directory (SQLite).
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.http import site
from m365gw.admin.queue_roll import Rolls
from m365gw.admin.web.acceptance import Acceptance
from m365gw.admin.web.console import LOGIN, Console
from m365gw.admin.web.desk import Desk, Disk
from m365gw.admin.web.first_start import SETUP, FirstStart
from m365gw.admin.web.live import Live
from m365gw.admin.web.mailbox_sign_in import MailboxSignIns
from m365gw.admin.web.pages import login, setup
from m365gw.admin.web.request import WebRequest
from m365gw.admin.web.returns import CALLBACK, Returns
from m365gw.admin.web.sign_in import SignIn
from m365gw.admin.web.visits import Visits
from m365gw.config.logins import Logins
from m365gw.config.web import Web
from m365gw.directory import passwords
from m365gw.directory.api_tokens import ApiTokens
from m365gw.directory.database import Database
from m365gw.directory.operators import Operators
from m365gw.directory.sqlite import FILE
from m365gw.directory.web_sessions import WebSessions
from m365gw.events import EventLog
from m365gw.log_tail import LogTail
from m365gw.metrics import Metrics
from m365gw.recent import Recent
from m365gw.service.web import PAGES
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool import operations
from m365gw.spool.names import Entry
from m365gw.spool.operations import Action, Result
from m365gw.spool.spool import Spool
from tests.admin.web.accounts import (
    StageIncidents,
    StageRegistry,
    StageRounds,
    StageSignIns,
    StageStates,
    StageTestMails,
)

NOW = 1_800_000_000.0
PASSWORD = "correct-horse-battery"
# As `hash_chosen` makes them, with the least work argon2id takes: there are many tests.
HASH = passwords.argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
STRANGER = IPv4Address("TCP", "192.0.2.66", 40000)
LOCAL = IPv4Address("TCP", "127.0.0.1", 40000)
PUBLIC = "relay.example.com"


class AtOnce:
    """Calls that are made at once instead of in a thread."""

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


@define
class Queue:
    """What operators do to a spool no service works on."""

    spool: Spool
    flushed: list[str] = field(factory=list)
    flying: list[str] = field(factory=list)

    def active(self) -> list[str]:
        return self.flying

    async def act(self, action: Action, queue_ids: list[str], reason: str = "") -> list[Result]:
        return operations.act_on(self.spool, action, queue_ids, reason)

    async def flush(self, mailbox: str = "") -> int:
        self.flushed.append(mailbox)
        return operations.flush(self.spool, mailbox)


@frozen
class Answer:
    """What a browser got."""

    status: int
    headers: dict[str, str]
    body: str

    def token(self) -> str:
        """The token of the forms on the page."""
        found = re.search(r'name="token" value="([0-9a-f]{64})"', self.body)
        assert found is not None, self.body
        return found[1]


@define
class Browser:
    """A browser with its cookies. What it sends in every request can be changed."""

    stage: Stage
    host: str = "127.0.0.1:8025"
    peer: Any = LOCAL
    headers: dict[str, str] = field(factory=dict)
    cookies: dict[str, str] = field(factory=dict)
    set_cookie: str = ""
    protocol: Any = None  # of the last connection

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, form: dict[str, Any], **headers: str) -> Answer:
        body = urlencode(form, doseq=True).encode()
        kind = {"content_type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, body, {**kind, **headers})

    def send(self, path: str, **form: Any) -> Answer:
        """Fill in a form as a page of ours gave it."""
        page = self.get("/nothing")
        if 'name="token"' not in page.body:  # nobody is signed in
            page = self.get("/login")
        return self.post(path, {"token": page.token(), **form})

    def sign_in(self, login: str = "anna", password: str = PASSWORD) -> Answer:
        page = self.get("/login")
        form = {"token": page.token(), "login": login, "password": password}
        return self.post("/login", form)

    def begin(self, octets: bytes) -> StringTransport:
        """What goes over a new connection, and what comes back so far."""
        transport = StringTransport(peerAddress=self.peer)
        protocol = self.stage.site.buildProtocol(self.peer)
        protocol.makeConnection(transport)
        protocol.dataReceived(octets)
        self.protocol = protocol
        return transport

    def head(self, method: str, path: str, length: int, headers: dict[str, str]) -> bytes:
        lines = {"host": self.host, "content-length": str(length), "connection": "close"}
        lines |= {"cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        lines |= {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode()

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        transport = self.begin(self.head(method, path, len(body), headers) + body)
        for _ in range(100):
            if transport.disconnecting:
                break
            self.stage.clock.advance(1)  # answers to wrong passwords wait
        return self._read(transport.value())

    def _read(self, octets: bytes) -> Answer:
        head, _, rest = octets.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        if headers.get("transfer-encoding") == "chunked":
            rest = _joined(rest)
        self.set_cookie = headers.get("set-cookie", "")
        found = re.match(r"([\w-]+)=([^;]*)", self.set_cookie)
        if found:
            self.cookies[found[1]] = found[2]
        is_file = headers.get("content-type") == "application/octet-stream"
        text = rest.decode(errors="replace" if is_file else "strict")
        return Answer(int(first.split()[1]), headers, text)


def _joined(chunks: bytes) -> bytes:
    body = b""
    while chunks:
        length, _, chunks = chunks.partition(b"\r\n")
        size = int(length, 16)
        body += chunks[:size]
        chunks = chunks[size + 2 :]
        if not size:
            break
    return body


@cache
def _new_database() -> bytes:
    """A database with all its tables, made once: making them takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        Database.open("", folder).close()
        return Path(folder, FILE).read_bytes()


class Stage:
    """The console of a gateway that only keeps mail."""

    def __init__(self, folder: str, web: Web, now: float = NOW) -> None:
        os.makedirs(folder)
        self.clock = Clock()
        self.clock.advance(now)
        self.lines = io.StringIO()
        self.log = EventLog(
            self.lines, hostname="gw", format="json", level="debug", clock=self.clock.seconds
        )
        self.metrics, self.recent = Metrics(self.clock.seconds), Recent(self.clock.seconds)
        self.log.listeners += [self.metrics.heard, self.recent.heard]
        self.tail = LogTail()
        self.log.readers.append(self.tail.heard)
        Path(folder, FILE).write_bytes(_new_database())
        database = Database("", folder)
        self.operators, self.sessions = Operators(database), WebSessions(database)
        self.spool = Spool.open(f"{folder}/spool", hostname="gw", clock=self.clock.seconds)
        self.listening = [("submission", "127.0.0.1:587")]
        self.queue = Queue(self.spool)
        self.audited: list[tuple[str, str, str]] = []
        self.mailboxes: list[dict[str, Any]] = [mailbox("relay@contoso.com")]
        self.incidents: list[Any] = []
        self.registry = StageRegistry(database, folder, lambda: self.mailboxes)
        self.states, self.sign_ins = StageStates(), StageSignIns()
        self.test_mails, self.rounds = StageTestMails(), StageRounds(folder)
        self.incident_desk = StageIncidents(lambda: self.incidents)
        self.returns = Returns(self.clock)
        self.mailbox_sign_ins = MailboxSignIns(
            self.sign_ins, self.returns, self.clock, lambda *words: self.audited.append(words)
        )
        self.acceptance = Acceptance(self.rounds, self.clock)
        self.certificates: list[Any] = []
        self.reloaded: Any = {"changed": ["client door added"], "needs_restart": []}
        calls: Any = AtOnce()
        look = partial(Spool.open, f"{folder}/spool", hostname="gw", read_only=True)
        sign_in = SignIn(self.operators, calls, self.clock, Logins(), self.log)
        self.desk = Desk(
            status=self.status,
            mailboxes=lambda: self.mailboxes,
            incidents=lambda: self.incidents,
            disk=lambda: Disk(10**9, 10**8),
            metrics=self.metrics,
            recent=self.recent,
            queue=self.queue,
            rolls=Rolls(open_spool=look, calls=calls, clock=self.clock),
            waiting=lambda number: None,
            open_spool=look,
            calls=calls,
            clock=self.clock,
            audit=lambda *words: self.audited.append(words),
            settings=lambda: self.registry.settings,
            registry=self.registry,
            states=self.states,
            sign_ins=self.sign_ins,
            test_mails=self.test_mails,
            changes=self.registry.changes,
            by_hours=lambda address: [0] * 20 + [4, 7, 3, 0, 1],
            mailbox_sign_ins=self.mailbox_sign_ins,
            acceptance=self.acceptance,
            certificates=lambda: self.certificates,
            reload=self.reload,
            incident_desk=self.incident_desk,
            tail=self.tail,
            tracing=self.log.tracing,
            operators=self.operators,
            sessions=self.sessions,
            api_tokens=ApiTokens(database),
            check_password=sign_in.check,
            backup=lambda: b"all but the mail",
            rounds=self.rounds,
        )
        self.visits = Visits(self.sessions, calls, self.clock, web)
        self.console = Console(web, self.visits, self.clock, "gw.example.com")
        self.signs: dict[str, Any] = {"queue": 0}
        self.live = Live(visits=self.visits, clock=self.clock, signs=lambda: dict(self.signs))
        self.first = FirstStart(self.operators, calls, self.clock, self.log)
        self.console.entrance = lambda: SETUP if self.first.is_open else LOGIN
        login.add(self.console, sign_in)
        setup.add(self.console, self.desk, self.first)
        self.console.get(CALLBACK, self.returns.back, role=None)
        for pages in PAGES:
            pages.add(self.console, self.desk)
        self.console.stream("/live", self.live.begin)
        self.site = site(self.console.resource(is_tls=False), self.clock, WebRequest)

    def close(self) -> None:
        self.live.stop()
        self.console.lines.stop()
        self.spool.close()

    async def reload(self) -> dict[str, Any]:
        if isinstance(self.reloaded, Exception):
            raise self.reloaded
        told: dict[str, Any] = self.reloaded
        return told

    def status(self) -> dict[str, Any]:
        return {
            "version": "1",
            "started_at": self.clock.seconds() - 60,
            "is_draining": False,
            "health": {"good": True, "troubles": []},
            "queue": {"in_flight": 0},
            "connections": 0,
            "listeners": [{"listener": name, "address": at} for name, at in self.listening],
        }

    def message(
        self,
        *recipients: str,
        sender: str = "scan@contoso.com",
        header: bytes = b"Subject: hello\r\n",
        **origin: Any,
    ) -> Entry:
        """A message in the spool."""
        told = {"client": "10.1.0.7", "mailbox": "relay@contoso.com", **origin}
        addresses = recipients or ("you@example.com",)
        envelope = Envelope(sender, tuple(map(Recipient, addresses)))
        draft = self.spool.draft(envelope, Origin(**told))
        draft.write(header + b"\r\nHello\r\n")
        draft.finish()
        (entry,) = self.spool.commit([draft])
        assert isinstance(entry, Entry)
        self.clock.advance(1)
        return entry

    def events(self) -> list[dict[str, Any]]:
        """What was logged."""
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]


def mailbox(address: str, **more: Any) -> dict[str, Any]:
    """A mailbox as the API tells of it."""
    use = {"used": 3, "limit": 30.0, "until": None}
    budget = {"connections": use, "minute": use, "day": use, "tenant_day": None}
    plain = {"address": address, "state": "ready", "budget": budget, "waits": 0, "why": ""}
    return {**plain, **more}


class ConsoleTestCase(SynchronousTestCase):
    """A test with a console, and anna, who may change things."""

    web = Web(endpoint="tcp:8025:interface=127.0.0.1")

    def setUp(self) -> None:
        self.stage = Stage(self.mktemp(), self.web)
        self.addCleanup(self.stage.close)
        self.stage.operators.add("anna", HASH, "operator", "test")
        self.browser = Browser(self.stage)

    def signed_in(self, login: str = "anna") -> Browser:
        """A browser of somebody who is signed in."""
        browser = Browser(self.stage)
        self.assertEqual(browser.sign_in(login).status, 303)
        return browser
