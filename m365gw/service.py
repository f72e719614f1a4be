"""The service that twistd runs. The one place that knows every room.

Starting it opens the spool, builds mail out (`relay`) and mail in (`edge`), and only then listens,
so that nothing is accepted that could not be kept. Stopping goes the other way: listeners and the
messages in hand first, then the deliveries in flight, then the disk.

Failures: a folder, a certificate or a port that cannot be had ends the program with 1 and the
reason, in the log and where twistd was called.
"""

from __future__ import annotations

import random
import resource
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TextIO

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from m365gw.config.clouds import clouds_of
from m365gw.config.settings import Listener, Settings
from m365gw.directory.state_dir import NotOurs, claim
from m365gw.directory.vault import Vault
from m365gw.edge import descriptors
from m365gw.edge.admission import Admission
from m365gw.edge.authentication import CHECKING_THREADS, Authenticator
from m365gw.edge.census import Census
from m365gw.edge.certificates import CertificateUnusable, ServerCertificate, self_signed
from m365gw.edge.commit import GroupCommit
from m365gw.edge.doorway import Doorway
from m365gw.edge.intake import Intake
from m365gw.edge.listeners import ListenerService, ListenFailed, SessionFactory
from m365gw.events import EventLog
from m365gw.relay.attempt import Attempts
from m365gw.relay.bounces import Bounces
from m365gw.relay.connector import Connector
from m365gw.relay.delivery import Delivery
from m365gw.relay.dispatch import Dispatch
from m365gw.relay.governor import Governor
from m365gw.relay.mailboxes import Mailboxes
from m365gw.relay.pool import Pool
from m365gw.relay.stops import Account
from m365gw.relay.threads import Threads
from m365gw.relay.tokens import Tokens
from m365gw.spool.health import Unusable
from m365gw.spool.names import Entry
from m365gw.spool.schedule import Schedule
from m365gw.spool.spool import Spool

FAREWELL = 2.0  # seconds idle sessions get for their QUIT when the service stops

_diagnostics = Logger()


class StartFailed(Exception):
    """The gateway cannot start. The text says why, and what to do."""


class Gateway(Service):
    """The whole gateway, from the listeners to Microsoft 365."""

    def __init__(self, settings: Settings, reactor: Any, stream: TextIO) -> None:
        hostname = settings.hostname or socket.getfqdn()
        self._settings = attrs.evolve(settings, hostname=hostname)
        self._reactor = reactor
        self._stream = stream
        self._pools: list[ThreadPool] = []
        self.log = EventLog(
            stream,
            hostname=hostname.partition(".")[0],
            format=settings.log.format,
            level=settings.log.level,
            clock=reactor.seconds,
            flush_soon=partial(reactor.callLater, 0),
        )

    # Twisted's Service carries no annotations.

    def setServiceParent(self, parent: Any) -> None:
        """Twisted's own log lines go where ours go: the application is told before it starts."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.log.observe)  # type: ignore[no-untyped-call]
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Open the spool, then build mail out, then mail in."""
        super().startService()  # type: ignore[no-untyped-call]
        # No core file: it would hold tokens and mail.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        settings = self._settings
        shortage = descriptors.allow(settings.limits.connection_limit)
        if shortage:
            self.log.emit("service.descriptors", "master", level="warn", note=shortage)
        try:
            self._open()
        except (NotOurs, Unusable, CertificateUnusable, ListenFailed) as error:
            raise self._failed(str(error)) from None
        except Exception as error:
            # Nobody foresaw it, so those who mend m365gw will want to see where.
            here = Failure()  # type: ignore[no-untyped-call]  # Twisted has no types here
            self.log.observe({"log_failure": here, "log_level": LogLevel.critical})
            raise self._failed(f"{type(error).__name__}: {error}") from error
        self.dispatch.start()
        self._say_ready()

    def _open(self) -> None:
        settings = self._settings
        claim(settings.state_dir)
        self.spool = Spool.open(
            settings.spool_dir, hostname=settings.hostname, clock=self._reactor.seconds
        )
        self._build_mail_out()
        self._build_mail_in()
        for listener in self.listeners:
            listener.startService()

    def _failed(self, words: str) -> StartFailed:
        """Says why, and lets go of the threads, which would keep the program alive.

        twistd has turned sys.stderr into log lines by now; a daemon's reason goes through the
        error raised to the one that waits for it.
        """
        self.log.emit("service.failed", "master", level="error", note=f"cannot start: {words}")
        self.log.flush()
        if self._stream is not sys.__stdout__ and sys.__stderr__ is not None:
            print(words, file=sys.__stderr__)
        for pool in self._pools:
            pool.stop()
        return StartFailed(words)

    def _say_ready(self) -> None:
        for said, listener in zip(self._settings.listener, self.listeners, strict=True):
            where: Any = listener.port and listener.port.getHost()
            place = f"{where.host}:{where.port}" if hasattr(where, "host") else said.endpoint
            self.log.emit(
                "listener.ready", "master", note="listening", listener=said.name, address=place
            )

    def stopService(self) -> Deferred[None]:
        """All within `shutdown_timeout` and a few seconds, whatever Microsoft does."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopped = Deferred.fromCoroutine(self._stop())
        return stopped.addErrback(
            lambda failure: _diagnostics.failure("not stopped in good order", failure=failure)
        )

    async def _stop(self) -> None:
        self.log.emit("service.stopping", "master", note="no more mail is taken")
        end = self._reactor.seconds() + self._settings.limits.shutdown_timeout
        await gatherResults([listener.stopService() for listener in self.listeners])
        await self.commit.settled()
        await self.dispatch.stop(max(0.0, end - self._reactor.seconds()))
        with suppress(TimeoutError):
            farewell = Deferred.fromCoroutine(self.connections.close())
            await farewell.addTimeout(FAREWELL, self._reactor)
        for threads in (self._disk, self._sign_in):
            await threads.stop()
        for pool in self._pools:
            pool.stop()
        self.spool.close()
        self.log.emit("service.stopped", "master", note="all that was accepted is in the spool")
        self.log.flush()

    def _build_mail_out(self) -> None:
        settings, clock = self._settings, self._reactor
        clouds = clouds_of(settings)
        accounts = {mailbox.address: mailbox for mailbox in settings.mailbox}
        self._disk = Threads(clock, 2, "disk")
        self._sign_in = Threads(clock, 4, "sign-in", may_be_left=True)
        tokens = Tokens(clouds, Vault(settings.state_dir), self.log, self._sign_in)
        connector = Connector(clock, settings.hostname, settings.governor, self.log)
        self.connections = Pool(tokens, connector, clouds, settings.governor)
        governor = Governor(settings.governor)
        mailboxes = Mailboxes(
            [
                Account(
                    mailbox.address,
                    mailbox.tenant,
                    f"{clouds[mailbox.cloud].smtp_host}:{clouds[mailbox.cloud].smtp_port}",
                    mailbox.client_id,
                )
                for mailbox in settings.mailbox
            ],
            self.log,
        )
        delivery = Delivery(
            spool=self.spool,
            attempts=Attempts(
                spool=self.spool,
                sessions=self.connections,
                accounts=accounts,
                mailboxes=mailboxes,
                clock=clock,
                disk=self._disk,
            ),
            governor=governor,
            mailboxes=mailboxes,
            bounces=Bounces(
                spool=self.spool,
                mailboxes=mailboxes,
                disk=self._disk,
                clock=clock,
                log=self.log,
                hostname=settings.hostname,
                postmaster=settings.queue.postmaster,
                accepted=self._accepted,
            ),
            queue=settings.queue,
            clock=clock,
            log=self.log,
            chance=random.random,
        )
        self.dispatch = Dispatch(
            spool=self.spool,
            schedule=Schedule(),
            governor=governor,
            mailboxes=mailboxes,
            delivery=delivery,
            queue=settings.queue,
            addresses=[mailbox.address for mailbox in settings.mailbox],
            clock=clock,
            disk=self._disk,
            log=self.log,
            has_new_sign_in=lambda address: tokens.has_new_sign_in(accounts[address]),
        )

    def _build_mail_in(self) -> None:
        settings, clock = self._settings, self._reactor
        self.commit = GroupCommit(self.spool, self._accepted, self._in_threads(1, "sync"))
        intake = Intake(self.spool, self.commit, settings.limits, settings.hostname, clock)
        admission = Admission(settings.client, settings.network)
        checks = self._in_threads(CHECKING_THREADS, "passwords")
        authenticator = Authenticator(settings.client, clock, checks)
        census = Census(settings.limits)
        certificate = self._certificate()

        def service(listener: Listener) -> ListenerService:
            doorway = Doorway(
                listener=listener,
                hostname=settings.hostname,
                limits=settings.limits,
                admission=admission,
                authenticator=authenticator,
                intake=intake,
                log=self.log,
            )
            factory = SessionFactory(doorway, census, clock, certificate)
            return ListenerService(clock, doorway, factory)

        self.listeners = [service(listener) for listener in settings.listener]

    def _accepted(self, entry: Entry) -> None:
        """A message has become durable: mail out is told."""
        self.dispatch.accepted(entry)

    def _certificate(self) -> ServerCertificate:
        """The configured certificate, or one of our own."""
        tls, now = self._settings.tls, datetime.now(UTC)
        files = (tls.certificate, tls.key)
        if not tls.certificate:
            files = self_signed(self._settings.state_dir, self._settings.hostname, now)
        return ServerCertificate(*files, self._reactor)

    def _in_threads(self, size: int, name: str) -> Any:
        """Run a function in one of a few threads of its own: `call(function, *arguments)`."""
        pool = ThreadPool(size, size, name)
        pool.start()
        self._pools.append(pool)
        return partial(deferToThreadPool, self._reactor, pool)
