"""The certificates clients see: loaded at start, and anew when their files are renewed.

New files are taken whole or not at all: while one of them cannot be used, clients go on seeing the
certificates loaded before. Connections that stand are not touched.

Failures: CertificateUnusable, in words for the operator.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from m365gw.edge.listening.tls_terms import Loaded, Pair, Terms, load

Stamp = tuple[int, int, int] | None


@implementer(IOpenSSLServerConnectionCreator)
class LegacyTerms:
    """The same certificates as `ServerCertificate`, under terms of TLS that old devices know."""

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return self._certificate.legacy_terms.connection()


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificate:
    """All certificates of the gateway, for `startTLS`; on legacy terms: `legacy`."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """The first pair is for whoever asks for no name, or for one nobody has."""
        self.legacy = LegacyTerms(self)
        self._pairs: tuple[Pair, ...] = ()
        self.take(pairs)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """One server side of TLS, with the certificates of this moment."""
        return self._modern_terms.connection()

    @property
    def has_changed(self) -> bool:
        """Whether a file is another than when it was last taken, or tried."""
        return self._stamps != _stamps(self._pairs)

    def take(self, pairs: Sequence[Pair] | None = None) -> None:
        """Load these files, or the same ones again. On an error all stays as it was.

        Also what was tried in vain is not tried again by itself before it has changed.
        """
        wanted = self._pairs if pairs is None else tuple(pairs)
        stamps = _stamps(wanted)
        if pairs is None:
            self._stamps = stamps
        loaded = [load(pair) for pair in wanted]
        modern, legacy = Terms(loaded, is_legacy=False), Terms(loaded, is_legacy=True)
        self._pairs, self._stamps = wanted, stamps
        self._modern_terms, self.legacy_terms = modern, legacy
        self.loaded: Sequence[Loaded] = loaded


def _stamps(pairs: Sequence[Pair]) -> list[Stamp]:
    return [_stamp(name) for pair in pairs for name in (pair.certificate, pair.key)]


def _stamp(name: str) -> Stamp:
    """What changes when a file is replaced or rewritten; None when it is not there."""
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
