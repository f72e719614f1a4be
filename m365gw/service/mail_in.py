"""Mail in, wired: from the listeners to the spool."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs
from attrs import frozen
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from m365gw.config.settings import Listener, Settings
from m365gw.edge.admission.admission import Admission, ip_address
from m365gw.edge.listening.census import Census
from m365gw.edge.listening.certificate_watch import CertificateWatch
from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.entrance import SessionFactory
from m365gw.edge.listening.self_signed import forget, self_signed
from m365gw.edge.listening.tls_terms import Pair
from m365gw.edge.local.maildrop import Maildrop, withdraw
from m365gw.edge.local.pickup import Pickup
from m365gw.edge.login.authentication import Authenticator
from m365gw.edge.login.usage import Usage
from m365gw.edge.receiving.commit import GroupCommit
from m365gw.edge.receiving.disk import Disk
from m365gw.edge.receiving.intake import Intake
from m365gw.edge.session.doorway import Doorway
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.service import listening
from m365gw.service.listening import Listening
from m365gw.spool.group_sync import GroupSync
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool
from m365gw.syncing import Syncing


@frozen
class Prepared:
    """New settings that can be taken without fail."""

    settings: Settings
    listening: listening.Prepared
    maildrop: Maildrop | None  # where none was before


class MailIn:
    """All of mail in. Built from the settings, takes mail from `start` to `close`.

    `prepare` and `take` give it new settings while it runs. Who is connected then is not cut off,
    but for the listeners that change (`listening`):

    * which clients and networks may send what, and their passwords, hold at once: the next MAIL or
      AUTH of every session is decided by the new rules;
    * certificates hold for the next handshake, limits for new connections: a session keeps those
      it began with.

    Failures: `CertificateUnusable`, `ListenFailed` and `MaildropUnusable`, in words.
    """

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        accepted: Callable[[Entry], object],
        reactor: Any,
        log: EventLog,
        incidents: Incidents,
        usage: Usage,
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._reactor = reactor
        self._log = log
        # What may fail comes before there are threads to end.
        self.certificate = certificate = ServerCertificate(pairs(settings))
        maildrop = _maildrop(settings)
        self._pools: list[ThreadPool] = []
        self.certificates = CertificateWatch(certificate, reactor, log, incidents)

        def synced(seconds: float) -> None:
            log.count("spool.synced", seconds=seconds)

        sync, sync_log = self._in_threads(1, "sync"), self._in_threads(1, "log sync")
        self._syncing = Syncing(reactor, GroupSync(), sync, synced)
        self._log_syncing = Syncing(reactor, GroupSync(data_only=True), sync_log, synced)
        self._disk = Disk(spool, self._syncing, self._log_syncing, reactor, accepted)
        self._commit = GroupCommit(self._disk.commit)
        self._repairs = self._in_threads(1, "repairs")
        self._admission = Admission(settings.client, settings.network, reactor.seconds)
        passwords = self._in_threads(settings.logins.check_threads, "passwords")
        self._usage = usage
        self._authenticator = Authenticator(
            settings.client, settings.logins, reactor, passwords, self._logged_in, usage.uses
        )
        self.census = Census(settings.limits, reactor)
        for use in usage.uses:
            self.census.know(ip_address(use.address))
        self._pickup: Pickup | None = None
        self._maildrop = maildrop
        self.listening = Listening(
            reactor,
            lambda doorway: SessionFactory(doorway, self.census, reactor, certificate),
            log,
        )

    def start(self) -> None:
        """Listen, on all or none. Raises `ListenFailed`."""
        self.listening.take(self.listening.prepare(self._doorways(self._settings)))
        self.certificates.start()
        self._pick_up_from(self._maildrop)
        if self._maildrop is None:
            self._withdraw()

    def prepare(self, settings: Settings) -> Prepared:
        """All of a reload that can fail. When it raises, nothing has changed.

        What is prepared must be taken in the same turn of the reactor, before anybody connects.
        """
        with ExitStack() as undo:
            prepared = self.listening.prepare(self._doorways(settings))
            undo.callback(self.listening.abandon, prepared)
            maildrop = _maildrop(settings) if self._pickup is None else None
            if maildrop is not None:
                undo.callback(maildrop.close)
            if settings.hostname != self._settings.hostname and not self._settings.listener:
                forget(settings.state_dir)  # no client has seen the one for the old name
            self.certificates.reload(pairs(settings))  # takes them, so it comes last
            undo.pop_all()
        return Prepared(settings, prepared, maildrop)

    def check(self, listener: Listener) -> None:
        """Whether it could listen beside those there are. Raises `ListenFailed`."""
        wanted = attrs.evolve(self._settings, listener=(listener,))
        self.listening.abandon(self.listening.prepare(self._doorways(wanted)))

    def take(self, prepared: Prepared) -> None:
        """Go on with new settings. It cannot fail."""
        settings = self._settings = prepared.settings
        self._admission.replace(settings.client, settings.network)
        self._authenticator.replace(settings.client)
        self._authenticator.configure(settings.logins)
        self.census.configure(settings.limits)
        self.listening.take(prepared.listening)
        if self._pickup is not None:
            self._pickup.configure(settings, self._intake(settings))
        else:
            self._pick_up_from(prepared.maildrop)

    async def close(self) -> None:
        """Take no more mail; returns when what was in hand is on disk."""
        if self._pickup is not None:
            pickup, self._pickup = self._pickup, None
            await pickup.stop()
        self.certificates.stop()
        await self.listening.close()
        await self._commit.settled()
        await self._disk.settled()
        self._syncing.close()
        self._log_syncing.close()
        await self._usage.settle()

    def let_go(self) -> None:
        """End the threads, which would keep the program alive."""
        for pool in self._pools:
            pool.stop()

    def _logged_in(self, login: str, stored: str, address: str) -> None:
        self._usage.note(login, stored, address)
        self.census.know(ip_address(address))

    def _doorways(self, settings: Settings) -> list[Doorway]:
        intake = self._intake(settings)
        return [
            Doorway(
                listener=listener,
                hostname=settings.hostname,
                limits=settings.limits,
                admission=self._admission,
                authenticator=self._authenticator,
                intake=intake,
                log=self._log,
            )
            for listener in settings.listener
        ]

    def intake(self) -> Intake:
        """The way into the spool for mail that is made here."""
        return self._intake(self._settings)

    def _intake(self, settings: Settings) -> Intake:
        return Intake(
            spool=self._spool,
            commit=self._commit,
            limits=settings.limits,
            hostname=settings.hostname,
            clock=self._reactor,
            in_thread=self._repairs,
            log=self._log,
        )

    def _pick_up_from(self, maildrop: Maildrop | None) -> None:
        if maildrop is not None:
            settings, clock = self._settings, self._reactor
            intake, threads = self._intake(settings), self._in_threads(1, "maildrop")
            self._pickup = Pickup(
                maildrop=maildrop,
                settings=settings,
                spool=self._spool,
                intake=intake,
                allowances=self._admission.allowances,
                clock=clock,
                in_thread=threads,
                log=self._log,
            )
            self._pickup.start()

    def _withdraw(self) -> None:
        place, limits = self._settings.maildrop_dir, self._settings.limits
        count = withdraw(place, limits.message_size_limit)
        if count:
            note = (
                f"{count} messages of local programs lie in {place}, and stay there: no [[local]]"
                " rule says any more what they may send"
            )
            self._log.emit("maildrop.unused", "pickup", level="warn", note=note)

    def _in_threads(self, size: int, name: str) -> Any:
        """Run a function in one of a few threads of its own: `call(function, *arguments)`."""
        pool = ThreadPool(size, size, name)
        pool.start()
        self._pools.append(pool)
        return partial(deferToThreadPool, self._reactor, pool)


def pairs(settings: Settings) -> list[Pair]:
    """The configured certificates, the first of which may be one of our own making."""
    tls = settings.tls
    if tls.certificate:
        first = Pair(tls.certificate, tls.key)
    else:
        first = self_signed(settings.state_dir, settings.hostname, datetime.now(UTC))
    return [first, *(Pair(each.certificate, each.key) for each in tls.extra)]


def _maildrop(settings: Settings) -> Maildrop | None:
    """Where local programs leave mail; None without a rule, as it may be another service's."""
    if not settings.local:
        return None
    return Maildrop(settings.maildrop_dir, settings.limits.message_size_limit)
