"""Looks after the certificates while the service runs: renewed files, unusable ones, ends ahead.

Once a minute the files are looked at. Renewed ones are taken without a restart. Files that cannot
be used (at two looks, as a renewal may be under way), and a certificate that ends within 30 days,
open an incident, which is told once and closed when it is mended; the end is told again 14, 7 and 1
days ahead, and when it has come.

Failures: none from the look once a minute; CertificateUnusable from `reload`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.tls_terms import CertificateUnusable, Loaded, Pair
from m365gw.events import EventLog
from m365gw.incidents import tell_closed, tell_opened
from m365gw.microsoft.diagnosis import Diagnosis

LOOK_SECONDS: Final = 60.0  # between two looks
DAYS_AHEAD: Final = (30, 14, 7, 1, 0)  # when an end is told
_DAY: Final = 86400.0


@define
class _Incident:
    told: Diagnosis
    opened_at: float
    days: int = 0  # the entry of DAYS_AHEAD that was told last


class CertificateWatch:
    """Takes what is new, and tells what somebody has to know."""

    def __init__(self, certificate: ServerCertificate, clock: IReactorTime, log: EventLog) -> None:
        """`clock` must tell the time of day, as the reactor does."""
        self._certificate = certificate
        self._clock = clock
        self._log = log
        self._open: dict[str, _Incident] = {}  # by certificate file
        self._failed: CertificateUnusable | None = None
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look now and every minute."""
        self._next = self._clock.callLater(LOOK_SECONDS, self.start)  # whatever becomes of this
        self.look()

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def look(self) -> None:
        """Take renewed files; tell what cannot be used, and what ends."""
        if self._certificate.has_changed:
            try:
                self._take(None)
            except CertificateUnusable as error:
                self._failed = error  # perhaps a renewal is under way, one file after the other
        elif self._failed is not None:
            self._tell(_unusable(self._failed), "files")
        for loaded in self._certificate.loaded:
            self._watch_end(loaded)

    def reload(self, pairs: Sequence[Pair]) -> None:
        """Take these pairs at once, changed or not. Raises CertificateUnusable."""
        self._take(pairs)
        for file in set(self._open) - {each.pair.certificate for each in self._certificate.loaded}:
            self._close(file)
        self.look()

    def _take(self, pairs: Sequence[Pair] | None) -> None:
        before = [(each.pair, *each.chain) for each in self._certificate.loaded]
        self._certificate.take(pairs)
        self._failed = None
        self._close("files")
        for loaded in self._certificate.loaded:
            if (loaded.pair, *loaded.chain) in before:
                continue  # a reload takes them all, and nobody sees another one
            self._log.emit(
                "certificate.loaded",
                "master",
                note="clients see this certificate from now on",
                file=loaded.pair.certificate,
                names=" ".join(loaded.names),
                until=f"{loaded.ends_at:%Y-%m-%d}",
            )

    def _watch_end(self, loaded: Loaded) -> None:
        file = loaded.pair.certificate
        left = (loaded.ends_at - datetime.fromtimestamp(self._clock.seconds(), UTC)).total_seconds()
        near = [days for days in DAYS_AHEAD if left <= days * _DAY]
        if not near:
            self._close(file)
            return
        before = self._open.get(file)
        if before is None or near[-1] < before.days:
            self._tell(_ending(loaded, near[-1]), file, near[-1])

    def _tell(self, told: Diagnosis, subject: str, days: int = 0) -> None:
        """Open an incident, or tell again of an open one what has become of it."""
        before = self._open.get(subject)
        if before is not None and before.told == told:
            return
        opened_at = self._clock.seconds() if before is None else before.opened_at
        self._open[subject] = _Incident(told, opened_at, days)
        level = "error" if days == 0 else "warn"
        if before is None:
            tell_opened(self._log, told, level=level)
        else:
            self._log.emit("certificate.reminder", "master", level=level, note=told.what)

    def _close(self, subject: str) -> None:
        incident = self._open.pop(subject, None)
        if incident is not None:
            tell_closed(self._log, incident.told, self._clock.seconds() - incident.opened_at)


def _unusable(error: CertificateUnusable) -> Diagnosis:
    return Diagnosis(
        key="tls-certificate-unusable",
        what=f"New TLS certificate files cannot be used: {error}",
        why="They were changed, and what is there now does not hold a certificate with its key",
        fix="Put both files right; they are taken within a minute. Until then clients see the "
        "certificate loaded before, and a restart would fail",
        who="operator",
    )


def _ending(loaded: Loaded, days: int) -> Diagnosis:
    ends = f"ends in less than {days} days, at" if days else "ended at"
    return Diagnosis(
        key="tls-certificate-ends",
        what=f"The TLS certificate {loaded.pair.certificate} {ends} "
        f"{loaded.ends_at:%Y-%m-%d %H:%M} UTC",
        why="It was not renewed, or the renewed one is in another file",
        fix="Renew it and put it in the same files; it is taken within a minute, without a "
        "restart. Clients that check certificates stop sending when it has ended",
        who="operator",
    )
