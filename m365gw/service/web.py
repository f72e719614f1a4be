"""The console, wired: what its pages look at and act on, and when it listens.

Failures: none leave here. A port that cannot be had is said in the log, and mail flows without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from m365gw.admin.api import Api
from m365gw.admin.queue_roll import Rolls
from m365gw.admin.web.acceptance import Acceptance
from m365gw.admin.web.console import LOGIN, Console
from m365gw.admin.web.desk import Desk, Disk
from m365gw.admin.web.first_start import SETUP, FirstStart
from m365gw.admin.web.live import Live
from m365gw.admin.web.mailbox_sign_in import MailboxSignIns
from m365gw.admin.web.pages import (
    audit,
    backup,
    bulk,
    client_form,
    clients,
    doctor,
    incidents,
    listeners,
    log,
    login,
    mailbox_actions,
    mailbox_form,
    mailbox_set_up,
    mailbox_sign_in,
    mailboxes,
    message,
    networks,
    operators,
    overview,
    own_account,
    passwords,
    queue,
    rules,
    settings,
    setup,
    setup_entrance,
    setup_mailbox,
    setup_senders,
    setup_tenant,
    setup_test,
    shown_once,
    test_mail,
    tls,
    tokens,
    trace,
)
from m365gw.admin.web.returns import Returns
from m365gw.admin.web.server import WebServer
from m365gw.admin.web.sign_in import SignIn
from m365gw.admin.web.visits import Visits
from m365gw.config.settings import Settings
from m365gw.directory import audit as audit_lines
from m365gw.directory.api_tokens import ApiTokens
from m365gw.directory.backup import make, named_files
from m365gw.directory.database import DirectoryError
from m365gw.directory.operators import Operators
from m365gw.directory.web_sessions import WebSessions
from m365gw.log_tail import LogTail
from m365gw.metrics import Metrics
from m365gw.recent import Recent
from m365gw.relay.threads import Threads
from m365gw.service.accounts import Accounts
from m365gw.service.endpoints import told
from m365gw.service.own_mailboxes import OwnMailboxes
from m365gw.service.parts import Parts
from m365gw.service.programs import Programs
from m365gw.service.rounds import Rounds
from m365gw.service.status import Status
from m365gw.spool.health import SpoolError
from m365gw.spool.spool import Spool

THREADS: Final = 4  # for passwords, the directory and looks into the spool

# In the order in which the navigation shows those that stand in it.
PAGES: Final = (
    *(overview, queue, bulk, message),
    *(mailboxes, mailbox_form, mailbox_set_up, mailbox_sign_in, mailbox_actions),
    *(clients, client_form, passwords, networks, rules),
    *(incidents, doctor, test_mail),
    *(log, trace, shown_once),
    *(listeners, tls, settings),
    *(operators, tokens, own_account, audit, backup),
    *(setup_entrance, setup_mailbox, setup_tenant, setup_senders, setup_test),
)

_diagnostics = Logger()


class Web:
    """The console of one gateway, from the first `apply` to `stop`."""

    def __init__(
        self,
        parts: Parts,
        status: Status,
        accounts: Accounts,
        rounds: Rounds,
        api: Api,
    ) -> None:
        self._parts = parts
        settings, reactor, directory = parts.settings, parts.reactor, parts.directory
        self._threads = Threads(reactor, THREADS, "web")
        returns, operators = Returns(reactor), Operators(directory.database)
        self._sign_in = SignIn(operators, self._threads, reactor, settings.logins, parts.log)
        self._desk = desk = self._made_desk(status, accounts, rounds, returns, operators)
        visits = Visits(desk.sessions, directory.calls, reactor, settings.web)
        self._console = console = Console(settings.web, visits, reactor, settings.hostname)
        self._live = Live(visits=visits, clock=reactor, signs=self._signs)
        self._first = FirstStart(operators, self._threads, reactor, parts.log)
        self._first.begin(settings)
        console.entrance = lambda: SETUP if self._first.is_open else LOGIN
        login.add(console, self._sign_in, lambda: parts.settings.web.sign_in)
        setup.add(console, desk, self._first)
        for pages in PAGES:
            pages.add(console, desk)
        self._own = OwnMailboxes(console, returns, self._sign_in, parts, status, accounts)
        console.stream("/live", self._live.begin)
        self._programs = Programs(parts, status, api, console, desk)
        self._server = WebServer(reactor, console, parts.mail_in.certificate, parts.log)

    def _made_desk(
        self,
        status: Status,
        accounts: Accounts,
        rounds: Rounds,
        returns: Returns,
        operators: Operators,
    ) -> Desk:
        parts, reactor, database = self._parts, self._parts.reactor, self._parts.directory.database
        metrics, recent, tail = Metrics(reactor.seconds), Recent(reactor.seconds), LogTail()
        parts.log.listeners += [metrics.heard, recent.heard]
        parts.log.readers.append(tail.heard)
        spool_dir, hostname = parts.settings.spool_dir, parts.settings.hostname
        look = partial(Spool.open, spool_dir, hostname=hostname, read_only=True)
        return Desk(
            status=status.status,
            mailboxes=status.mailboxes,
            incidents=lambda: list(parts.incidents),
            disk=self._disk,
            metrics=metrics,
            recent=recent,
            queue=parts.mail_out.operations,
            rolls=Rolls(open_spool=look, calls=self._threads, clock=reactor),
            waiting=parts.mail_out.schedule.entry,
            open_spool=look,
            calls=self._threads,
            clock=reactor,
            audit=self._note,
            settings=lambda: parts.settings,
            registry=accounts.registry,
            states=accounts.states,
            sign_ins=accounts.sign_ins,
            test_mails=accounts.test_mails,
            changes=accounts.changes,
            by_hours=self._by_hours,
            mailbox_sign_ins=MailboxSignIns(accounts.sign_ins, returns, reactor, self._note),
            acceptance=Acceptance(rounds, reactor),
            certificates=lambda: parts.mail_in.certificates.loaded,
            reload=partial(told, parts.reload.reload),
            incident_desk=parts.desk,
            tail=tail,
            tracing=parts.log.tracing,
            operators=operators,
            sessions=WebSessions(database),
            api_tokens=ApiTokens(database),
            check_password=self._sign_in.check,
            backup=self._backup,
            rounds=rounds,
        )

    def apply(self, settings: Settings) -> None:
        """Listen where these settings say, or nowhere. It cannot fail."""
        self._first.apply(settings)
        self._console.configure(settings.web)
        self._console.call(settings.hostname)
        self._own.apply(settings.web)
        self._programs.configure(settings.web)
        self._sign_in.configure(settings.logins)
        _in_background(self._server.configure(settings.web))

    async def stop(self) -> None:
        """Listen no more, and let go of the threads. The directory goes after it."""
        self._own.stop()
        self._live.stop()
        self._console.lines.stop()
        self._programs.stop()
        await self._server.close()
        await self._threads.stop()

    def _signs(self) -> Mapping[str, Any]:
        """What tells that pages have something new to show."""
        out = self._parts.mail_out
        return {
            "queue": (
                len(out.schedule),
                out.dispatch.in_flight,
                sum(self._desk.metrics.totals.values()),
            ),
            "mailboxes": [(each["state"], each["waits"]) for each in self._desk.mailboxes()],
            "log": self._desk.tail.count,
            "clients": self._parts.directory.made.revision,
            "doctor": self._desk.rounds.book.changes,
            "incidents": [each.id for each in self._parts.incidents],
            "setup": (self._desk.mailbox_sign_ins.changes, self._desk.acceptance.changes),
        }

    def _backup(self) -> bytes:
        """BLOCKING."""
        settings = self._parts.settings
        named = [path for path in named_files(settings) if path.is_file()]
        database = self._parts.directory.database
        return make(database, settings.state_dir, self._parts.config, named).octets()

    def _disk(self) -> Disk:
        minimum = self._parts.settings.limits.minimal_free_space
        try:
            return Disk(self._parts.spool.free_space(), minimum)
        except SpoolError:
            return Disk(None, minimum)

    def _by_hours(self, address: str) -> Sequence[int]:
        try:
            return self._parts.mail_out.governor.by_hours(address)
        except SpoolError:
            return []

    def _note(self, by: str, what: str, subject: str) -> None:
        """A change, in the log at once and in the directory soon."""
        self._parts.log.emit("web.change", "web", by=by, action=what, subject=subject)
        action = what if "." in what else f"queue.{what}"
        _in_background(self._keep(f"console: {by}", action, subject))

    async def _keep(self, by: str, what: str, subject: str) -> None:
        def write() -> None:
            with self._parts.directory.database.writing() as connection:
                audit_lines.note(connection, by, what, subject, {})

        try:
            await self._parts.directory.calls.call(write)
        except DirectoryError as error:
            note = f"what {by} did is in this log only: {error}"
            self._parts.log.emit("web.unaudited", "web", level="warn", note=note)


def _in_background(steps: Any) -> None:
    Deferred.fromCoroutine(steps).addErrback(
        lambda fault: _diagnostics.failure("the console", failure=fault)
    )
