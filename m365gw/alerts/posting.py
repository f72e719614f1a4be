"""One POST to a webhook: bounded in time and size, certificates verified, no redirect followed.

Failures: none leave; each is an `Outcome` in words. The address of a webhook often is its secret,
so no text names more of it than the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from attrs import frozen
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as Receiver
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, ResponseFailed
from twisted.web.http_headers import Headers

CONNECT: Final = 10.0  # seconds
ANSWER: Final = 30.0  # seconds until the answer begins, and until it is over
MOST_ANSWER: Final = 65536  # octets read of an answer, which nobody looks at
LONGEST_RETRY_AFTER: Final = 3600.0

# Answers that say something of this body and not of the receiver: it will not do better later.
_OF_THE_BODY: Final = frozenset({400, 413, 415, 422})


@frozen
class Outcome:
    """What came of one attempt. `wait`: seconds the receiver asked for, 0 when it did not."""

    is_taken: bool
    words: str
    wait: float = 0.0
    is_refused: bool = False  # this body, for what it is


class Post(Protocol):
    """Whatever can post."""

    async def __call__(self, url: str, content: bytes, headers: Mapping[str, str]) -> Outcome: ...


def place_of(url: str) -> str:
    """As much of a webhook's address as may be shown: "https://hooks.example.com/..."."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}/..."


class HttpsPost:
    """Posts by treq, trusting the usual authorities or only the one in `ca_file`."""

    def __init__(self, reactor: Any, ca_file: str = "") -> None:
        self._reactor = reactor
        self._ca_file = ca_file

    async def __call__(self, url: str, content: bytes, headers: Mapping[str, str]) -> Outcome:
        try:
            answer = await self._client().post(
                url,
                data=content,
                headers=Headers({name: [value] for name, value in headers.items()}),
                allow_redirects=False,
                timeout=ANSWER,
                unbuffered=True,
            )
            await self._read_away(answer)
        except Exception as error:  # whatever it is, it is tried again
            return Outcome(False, _words(error))
        return outcome_of(answer.code, answer.headers.getRawHeaders("retry-after", [""])[0])

    def _client(self) -> HTTPClient:
        trusted: list[Any] = []  # without an authority named, those of the system count
        if self._ca_file:
            authority = Certificate.loadPEM(Path(self._ca_file).read_bytes())
            trusted = [trustRootFromCertificates([authority])]  # type: ignore[no-untyped-call]
        # Twisted has no types here.
        policy = BrowserLikePolicyForHTTPS(*trusted)  # type: ignore[no-untyped-call]
        agent = Agent(self._reactor, policy, CONNECT)  # type: ignore[no-untyped-call]
        return HTTPClient(agent)

    async def _read_away(self, answer: Any) -> None:
        done: Deferred[None] = Deferred()
        reading = _Discard(done)
        answer.deliverBody(reading)
        done.addTimeout(ANSWER, self._reactor, onTimeoutCancel=lambda *_: reading.let_go())
        await done


def outcome_of(code: int, retry_after: str) -> Outcome:
    """What the status of an answer means."""
    wait = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return Outcome(
        200 <= code < 300,
        f"HTTP status {code}",
        min(wait, LONGEST_RETRY_AFTER),
        code in _OF_THE_BODY,
    )


class _Discard(Receiver):
    """Reads an answer and forgets it; one that does not end is cut off."""

    def __init__(self, done: Deferred[None]) -> None:
        self._done = done
        self._left = MOST_ANSWER

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.let_go()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self._done.called:
            self._done.callback(None)

    def let_go(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()
        self.connectionLost()


def _words(error: Exception) -> str:
    """An error without the address, which its own text may hold."""
    reasons = error.reasons if isinstance(error, ResponseFailed) else []
    inner = [reason.value for reason in reasons if isinstance(reason, Failure)]
    kinds = [type(each).__name__ for each in (inner or [error])]
    if "certificate verify failed" in str(inner or error):
        kinds.append("its certificate is not trusted")
    return f"it could not be reached ({', '.join(kinds)})"
