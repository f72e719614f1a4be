"""Dials: name to address, TCP, and how the certificate of a cloud is verified.

The certificate must name the host of the cloud and come from the system's authorities, or, when
the cloud has a `ca_file`, from that one alone. TLS 1.2 is the least. There is no way to switch
verification off. A certificate of our own is shown when that is the proof.

Failures: `AttemptFailed`, with the cause in words.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from OpenSSL.crypto import FILETYPE_PEM, load_privatekey
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory
from twisted.internet.ssl import (
    Certificate,
    TLSVersion,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from m365gw.config.key_pairs import KeyPair
from m365gw.config.settings import Governor as Limits
from m365gw.events import EventLog
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.connection import AttemptFailed, Connection
from m365gw.relay.exit.lost import cause
from m365gw.relay.exit.proof import Proof, Shown
from m365gw.relay.exit.wire import Wire
from m365gw.relay.exit.wire_trace import WireTrace
from m365gw.smtp.replies import Reply

CONNECT_TIMEOUT: Final = 30.0  # seconds


class Dialer:
    """Opens sessions. `hostname` is the name we give in EHLO; `reactor` connects and has time."""

    def __init__(self, reactor: Any, hostname: str, limits: Limits, log: EventLog) -> None:
        self._reactor = reactor
        self._hostname = hostname
        self._limits = limits
        self._log = log
        # Reading the authorities takes milliseconds; the options can serve any number of sessions.
        self._options: dict[tuple[Cloud, KeyPair | None], IOpenSSLClientConnectionCreator] = {}

    def configure(self, hostname: str, limits: Limits) -> None:
        """From now on connections are opened so; the authorities are read anew."""
        self._hostname = hostname
        self._limits = limits
        self._options.clear()

    async def open(self, cloud: Cloud, proof: Proof) -> Connection:
        """A session that has shown its proof, ready for its first transaction."""
        options = self._tls_options(cloud, proof.pair if isinstance(proof, Shown) else None)
        trace = WireTrace(self._log, "smtp", f"{cloud.smtp_host}:{cloud.smtp_port}", proof.mailbox)
        factory = Factory.forProtocol(partial(Wire, self._reactor, trace))
        factory.noisy = False
        endpoint = HostnameEndpoint(
            self._reactor, cloud.smtp_host, cloud.smtp_port, timeout=CONNECT_TIMEOUT
        )
        try:
            wire = cast(Wire, await cancellable(endpoint.connect(factory)))
        except CancelledError:
            raise  # nothing failed: nobody wants it any more
        except Exception as problem:
            raise AttemptFailed(Phase.CONNECT, Reply(0, "", cause(problem))) from None
        connection = Connection(wire, cloud.smtp_host, self._hostname, self._limits)
        await connection.open(options, proof)
        return connection

    def _tls_options(self, cloud: Cloud, pair: KeyPair | None) -> IOpenSSLClientConnectionCreator:
        options = self._options.get((cloud, pair))
        if options is None:
            try:
                options = tls_options(cloud.smtp_host, cloud.ca_file, pair)
            except Exception as problem:
                words = f"the certificate authorities cannot be read: {cause(problem)}"
                raise AttemptFailed(Phase.TLS, Reply(0, "", words)) from None
            self._options[cloud, pair] = options
        return options


def cancellable(connecting: Deferred[Any]) -> Deferred[Any]:
    """What comes of connecting; cancelled, it ends in CancelledError and no error of Twisted's."""

    def cancel(answer: Deferred[Any]) -> None:
        answer.errback(CancelledError())
        connecting.cancel()

    answer: Deferred[Any] = Deferred(cancel)
    connecting.addBoth(lambda result: None if answer.called else answer.callback(result))
    return answer


def tls_options(
    host: str, ca_file: str, pair: KeyPair | None = None
) -> IOpenSSLClientConnectionCreator:
    """Options for a client of this host, which shows `pair` when it is asked for a certificate.

    Raises OSError, ValueError or OpenSSL's errors.
    """
    trust = None  # the system's
    if ca_file:
        authorities = _certificates(Path(ca_file).read_bytes())
        if not authorities:
            raise ValueError(f"{ca_file} holds no certificate")
        trust = trustRootFromCertificates(authorities)  # type: ignore[no-untyped-call]  # Twisted's
    more: dict[str, Any] = {"raiseMinimumTo": TLSVersion.TLSv1_2}
    if pair is not None:
        own, *others = (each.original for each in _certificates(pair.chain.encode()))
        key = load_privatekey(FILETYPE_PEM, pair.private_key.encode())
        # The whole chain goes out: Microsoft completes none.
        more |= {"privateKey": key, "certificate": own, "extraCertChain": others}
    return optionsForClientTLS(host, trust, extraCertificateOptions=more)


def _certificates(pem: bytes) -> list[Certificate]:
    end = b"-----END CERTIFICATE-----"
    return [Certificate.loadPEM(piece + end) for piece in pem.split(end)[:-1]]
