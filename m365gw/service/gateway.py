"""The gateway as twistd starts and stops it.

Starting it opens the spool, builds mail out (`relay`) and mail in (`edge`), and only then listens,
so that nothing is accepted that could not be kept. Control socket and console (`faces`) come last.
Stopping goes the other way: listeners and the messages in hand first, then the deliveries in
flight, then the disk. In between it takes a new configuration (SIGHUP, `reload`) or drains.

Failures: a folder, a certificate or a port that cannot be had ends the program with 1 and the
reason, in the log and where twistd was called. A control socket that cannot be had is an
incident, and mail flows without it.
"""

from __future__ import annotations

import resource
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from m365gw.config.settings import Settings
from m365gw.directory import restore
from m365gw.directory.database import DirectoryError
from m365gw.directory.state_dir import NotOurs, claim
from m365gw.edge.listening import descriptors
from m365gw.edge.listening.listeners import ListenFailed
from m365gw.edge.listening.tls_terms import CertificateUnusable
from m365gw.edge.local.maildrop_folders import MaildropUnusable
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.service import signals, spool_place
from m365gw.service.directory import Directory
from m365gw.service.drain import Drain
from m365gw.service.faces import Faces
from m365gw.service.incident_desk import IncidentDesk
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut
from m365gw.service.parts import Parts
from m365gw.service.reload import Ending, Rejected, Reload
from m365gw.service.supervisor import Supervisor
from m365gw.spool import commit_log
from m365gw.spool.health import Unusable
from m365gw.spool.spool import Spool

_diagnostics = Logger()
_UNUSABLE = (DirectoryError, NotOurs, Unusable, CertificateUnusable, ListenFailed, MaildropUnusable)


class StartFailed(Exception):
    """The gateway cannot start. The text says why, and what to do."""


class Gateway(Service):
    """The whole gateway, from the listeners to Microsoft 365."""

    _mail_in: MailIn | None = None

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        reactor: Any,
        stream: TextIO,
        config: str,
    ) -> None:
        """`read` reads the settings anew, at a reload; `config` is the file they stand in."""
        self._config = Path(config)
        self._settings = _with_hostname(settings)
        hostname = self._settings.hostname
        self._read = read
        self._is_stopping = False
        self._reactor = reactor
        self._stream = stream
        self._supervisor = Supervisor(reactor)
        self.log = EventLog(
            stream,
            hostname=hostname.partition(".")[0],
            format=settings.log.format,
            level=settings.log.level,
            clock=reactor.seconds,
            flush_soon=partial(reactor.callLater, 0),
        )
        self.incidents = Incidents(self.log, reactor.seconds)

    # Twisted's Service carries no annotations.

    def setServiceParent(self, parent: Any) -> None:
        """Twisted's own log lines go where ours go: the application is told before it starts."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.log.observe)  # type: ignore[no-untyped-call]
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Open the spool, then build mail out, then mail in, and listen."""
        super().startService()  # type: ignore[no-untyped-call]
        # No core file: it would hold tokens and mail.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        shortage = descriptors.allow(self._settings.limits.connection_limit)
        if shortage:
            self.log.emit("service.descriptors", "master", level="warn", note=shortage)
        try:
            self._open()
        except _UNUSABLE as error:
            raise self._failed(str(error)) from None
        except Exception as error:
            # Nobody foresaw it, so those who mend m365gw will want to see where.
            here = Failure()  # type: ignore[no-untyped-call]  # Twisted has no types here
            self.log.observe({"log_failure": here, "log_level": LogLevel.critical})
            raise self._failed(f"{type(error).__name__}: {error}") from error

    def _open(self) -> None:
        settings, clock, log = self._settings, self._reactor, self.log
        incidents = self.incidents
        self._spool = self._opened_spool(settings)
        self.directory = directory = Directory(settings, incidents, clock, log)
        configured, settings = settings, directory.made.merged(settings)
        self._mail_out = mail_out = MailOut(
            settings, self._spool, directory.vault, clock, log, incidents
        )
        self._mail_in = mail_in = MailIn(
            settings, self._spool, mail_out.accepted, clock, log, incidents, directory.usage
        )
        self._desk = IncidentDesk(
            settings=settings,
            incidents=incidents,
            spool=self._spool,
            directory=directory,
            mail_in=mail_in,
            mail_out=mail_out,
            reactor=clock,
            log=log,
        )
        self._desk.start()
        mail_in.start()
        mail_out.start()
        self._drain = Drain(mail_in, mail_out, clock, log, self._end)
        self._reload = Reload(
            settings=settings,
            configured=configured,
            read=self._wanted,
            merge=directory.made.merged,
            is_ending=self._is_ending,
            mail_in=mail_in,
            mail_out=mail_out,
            log=log,
            incidents=incidents,
            apply_also=self._apply_also,
        )
        directory.start(self._reload.refresh)
        self._faces = Faces(self._parts(mail_in, mail_out))
        self._faces.open()
        signals.listen(clock, self._hang_up, self._end)
        clock.callWhenRunning(self._supervisor.ready)

    def _opened_spool(self, settings: Settings) -> Spool:
        """The spool, once the state folder is ours and knows no other spool."""
        claim(settings.state_dir)
        restore.finish(settings.state_dir)
        spool_place.check(settings.state_dir, settings.spool_dir)
        spool = Spool.open(
            settings.spool_dir,
            hostname=settings.hostname,
            clock=self._reactor.seconds,
            log_size=commit_log.SIZE,
        )
        spool_place.remember(settings.state_dir, settings.spool_dir)
        return spool

    def _parts(self, mail_in: MailIn, mail_out: MailOut) -> Parts:
        return Parts(
            spool=self._spool,
            directory=self.directory,
            mail_in=mail_in,
            mail_out=mail_out,
            desk=self._desk,
            drain=self._drain,
            reload=self._reload,
            incidents=self.incidents,
            reactor=self._reactor,
            log=self.log,
            config=self._config,
        )

    def _apply_also(self, settings: Settings) -> None:
        self._desk.apply(settings)
        self._faces.apply(settings)

    def _wanted(self) -> Settings:
        return _with_hostname(self._read())

    def _is_ending(self) -> bool:
        return self._is_stopping or self._drain.until is not None

    def _hang_up(self) -> None:
        """SIGHUP: nobody waits for the answer, and the log has it."""

        async def reload() -> None:
            self._supervisor.reloading()
            try:
                await self._reload.reload()
            except Rejected:
                pass  # said where it was rejected
            except Ending as ending:
                note = str(ending)
                self.log.emit("service.not_reloaded", "master", level="warn", note=note)
            finally:
                self._supervisor.ready()

        reloading = Deferred.fromCoroutine(reload())
        reloading.addErrback(lambda fault: _diagnostics.failure("not reloaded", failure=fault))

    def _end(self) -> None:
        """SIGTERM, or the end of a drain: twistd stops this service, and then the program."""
        if self._is_stopping:
            self.log.emit("service.stopping", "master", note="it is stopping already")
            return
        self._is_stopping = True
        self._reactor.stop()

    def _failed(self, words: str) -> StartFailed:
        """Says why, and lets go of the threads, which would keep the program alive.

        twistd has turned sys.stderr into log lines by now; a daemon's reason goes through the
        error raised to the one that waits for it.
        """
        self.log.emit("service.failed", "master", level="error", note=f"cannot start: {words}")
        self.log.flush()
        if self._stream is not sys.__stdout__ and sys.__stderr__ is not None:
            print(words, file=sys.__stderr__)
        if self._mail_in is not None:
            self._mail_in.let_go()
        return StartFailed(words)

    def stopService(self) -> Deferred[None]:
        """All within `shutdown_timeout` and a few seconds, whatever Microsoft does."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopped = Deferred.fromCoroutine(self._stop())
        return stopped.addErrback(
            lambda failure: _diagnostics.failure("not stopped in good order", failure=failure)
        )

    async def _stop(self) -> None:
        assert self._mail_in is not None
        self._is_stopping = True
        self._drain.cancel()
        self.directory.watch.stop()
        self._supervisor.stopping("no more mail is taken; ends what is in hand")
        self.log.emit("service.stopping", "master", note="no more mail is taken")
        end = self._reactor.seconds() + self._reload.settings.limits.shutdown_timeout
        await self._mail_in.close()
        await self._desk.stop()
        await self._mail_out.stop(max(0.0, end - self._reactor.seconds()))
        self._mail_in.let_go()
        await self._faces.close()
        await self.directory.stop()
        self._spool.close()
        self._supervisor.gone()
        self.log.emit("service.stopped", "master", note="all that was accepted is in the spool")
        self.log.flush()


def _with_hostname(settings: Settings) -> Settings:
    """The settings with a name for this host, which is its own unless another one is given."""
    return attrs.evolve(settings, hostname=settings.hostname or socket.getfqdn())
