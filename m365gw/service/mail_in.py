"""Mail in, wired: from the listeners to the spool."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from m365gw.config.settings import Listener, Settings
from m365gw.directory.last_use import LastUse
from m365gw.edge.admission import Admission
from m365gw.edge.authentication import Authenticator
from m365gw.edge.census import Census
from m365gw.edge.certificate_watch import CertificateWatch
from m365gw.edge.certificates import ServerCertificate
from m365gw.edge.commit import GroupCommit
from m365gw.edge.disk import Disk
from m365gw.edge.doorway import Doorway
from m365gw.edge.entrance import SessionFactory
from m365gw.edge.intake import Intake
from m365gw.edge.listeners import ListenerService
from m365gw.edge.maildrop import Maildrop
from m365gw.edge.pickup import Pickup
from m365gw.edge.self_signed import self_signed
from m365gw.edge.tls_terms import Pair
from m365gw.edge.usage import Usage
from m365gw.events import EventLog
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool


class MailIn:
    """All of mail in. Built from the settings; listens from `start` to `close`.

    Failures: `CertificateUnusable`, `ListenFailed` and `MaildropUnusable`, in words.
    """

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        accepted: Callable[[Entry], object],
        reactor: Any,
        log: EventLog,
    ) -> None:
        self._reactor = reactor
        self._log = log
        # What may fail comes before there are threads to end.
        certificate = ServerCertificate(pairs(settings))
        maildrop = _maildrop(settings)
        self.certificates = CertificateWatch(certificate, reactor, log)
        self._pools: list[ThreadPool] = []
        self._disk = Disk(spool, reactor, self._in_threads(1, "sync"))
        self._commit = GroupCommit(self._disk.commit, accepted)
        intake = Intake(
            spool,
            self._commit,
            settings.limits,
            settings.hostname,
            reactor,
            self._in_threads(1, "repairs"),
        )
        admission = Admission(settings.client, settings.network)
        passwords = self._in_threads(settings.logins.check_threads, "passwords")
        uses = LastUse(settings.state_dir)
        self._usage = Usage(uses, reactor, passwords, log)
        authenticator = Authenticator(
            settings.client, settings.logins, reactor, passwords, self._usage.note, uses
        )
        self._pickup: Pickup | None = None
        if maildrop is not None:
            threads = self._in_threads(1, "maildrop")
            self._pickup = Pickup(maildrop, settings, spool, intake, reactor, threads, log)
        self.census = Census(settings.limits)

        def service(listener: Listener) -> ListenerService:
            doorway = Doorway(
                listener=listener,
                hostname=settings.hostname,
                limits=settings.limits,
                admission=admission,
                authenticator=authenticator,
                intake=intake,
                log=log,
            )
            factory = SessionFactory(doorway, self.census, reactor, certificate)
            return ListenerService(reactor, doorway, factory)

        self._listeners = {listener: service(listener) for listener in settings.listener}

    def start(self) -> None:
        """Listen, on all or none. Raises `ListenFailed`."""
        for listener in self._listeners.values():
            listener.startService()
        self.certificates.start()
        for place in self.places():
            self._log.emit("listener.ready", "master", note="listening", **place)
        if self._pickup is not None:
            self._pickup.start()

    def places(self) -> list[dict[str, str]]:
        """Where it listens: the name of each listener and its address."""
        return [
            {"listener": said.name, "address": _address(said, listener)}
            for said, listener in self._listeners.items()
        ]

    async def close(self) -> None:
        """Take no more mail; returns when what was in hand is on disk."""
        if self._pickup is not None:
            await self._pickup.stop()
        self.certificates.stop()
        await gatherResults([each.stopService() for each in self._listeners.values()])
        await self._commit.settled()
        self._disk.close()
        await self._usage.settle()

    def let_go(self) -> None:
        """End the threads, which would keep the program alive."""
        for pool in self._pools:
            pool.stop()

    def _in_threads(self, size: int, name: str) -> Any:
        """Run a function in one of a few threads of its own: `call(function, *arguments)`."""
        pool = ThreadPool(size, size, name)
        pool.start()
        self._pools.append(pool)
        return partial(deferToThreadPool, self._reactor, pool)


def pairs(settings: Settings) -> list[Pair]:
    """The configured certificates, the first of which may be one of our own making."""
    tls = settings.tls
    first = (tls.certificate, tls.key)
    if not tls.certificate:
        first = self_signed(settings.state_dir, settings.hostname, datetime.now(UTC))
    return [Pair(*first), *(Pair(each.certificate, each.key) for each in tls.extra)]


def _maildrop(settings: Settings) -> Maildrop | None:
    """Where local programs leave mail; None without a rule, as it may be another service's."""
    if not settings.local:
        return None
    return Maildrop(settings.maildrop_dir, settings.limits.message_size_limit)


def _address(said: Listener, listener: ListenerService) -> str:
    where: Any = listener.port and listener.port.getHost()
    return f"{where.host}:{where.port}" if hasattr(where, "host") else said.endpoint
