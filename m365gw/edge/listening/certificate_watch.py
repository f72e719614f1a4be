"""Takes renewed certificates while the service runs, and tells of files that cannot be used.

Once a minute the files are looked at. Renewed ones are taken without a restart. Files that cannot
be used (at two looks, as a renewal may be under way) open an incident, which is closed when they
are mended; so does the key of our own pair, where it does not open. When a certificate ends is told
ahead by the forecast (`alerts/forecast`).

Failures: none from the look once a minute; CertificateUnusable from `reload`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.tls_terms import CertificateUnusable, Loaded, Pair
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis

LOOK_SECONDS: Final = 60.0  # between two looks
UNUSABLE: Final = "tls-certificate-unusable"  # the key of its incident
UNOPENED: Final = "tls-key-unopened"  # and of that of our own pair


class CertificateWatch:
    """Takes what is new, and tells what somebody has to know."""

    def __init__(
        self,
        certificate: ServerCertificate,
        clock: IReactorTime,
        log: EventLog,
        incidents: Incidents,
    ) -> None:
        self._certificate = certificate
        self._clock = clock
        self._log = log
        self._incidents = incidents
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
        """Take renewed files; tell what cannot be used."""
        if self._certificate.has_changed:
            try:
                self._take(None)
            except CertificateUnusable as error:
                self._failed = error  # perhaps a renewal is under way, one file after the other
        elif self._failed is not None:
            self._incidents.open(_unusable(self._failed), level="error")
        else:
            self._incidents.close(UNUSABLE)
        instead = [each for each in self._certificate.loaded if each.instead]
        for each in instead:
            self._incidents.open(_unopened(each))
        if not instead:
            self._incidents.close(UNOPENED)

    @property
    def loaded(self) -> Sequence[Loaded]:
        """The certificates clients see now."""
        return self._certificate.loaded

    def reload(self, pairs: Sequence[Pair]) -> None:
        """Take these pairs at once, changed or not. Raises CertificateUnusable."""
        self._take(pairs)

    def _take(self, pairs: Sequence[Pair] | None) -> None:
        before = [(each.pair, *each.chain) for each in self._certificate.loaded]
        self._certificate.take(pairs)
        self._failed = None
        self._incidents.close(UNUSABLE)
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


def _unopened(loaded: Loaded) -> Diagnosis:
    folder = os.path.dirname(loaded.pair.key)
    return Diagnosis(
        key=UNOPENED,
        what="The key of the certificate made here does not open: clients see another certificate.",
        why=f"{loaded.instead} Mail is taken with a certificate made for now; clients that have"
        " pinned the one before do not trust it.",
        fix="Put back the file keys/seal it was sealed by, then: m365gw reload. If that is lost for"
        f" good, remove {folder} and have the clients trust the certificate that is made then.",
        who="operator",
    )


def _unusable(error: CertificateUnusable) -> Diagnosis:
    return Diagnosis(
        key=UNUSABLE,
        what=f"New TLS certificate files cannot be used: {error}",
        why="They were changed, and what is there now does not hold a certificate with its key",
        fix="Put both files right; they are taken within a minute. Until then clients see the "
        "certificate loaded before, and a restart would fail",
        who="operator",
    )
