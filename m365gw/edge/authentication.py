"""Logins: whether a password belongs to a client of the configuration.

Hashes of generated passwords are checked at once; those of chosen passwords cost tens of
milliseconds each and are checked in a few threads, behind a queue with a bound. A good slow login
is remembered for some minutes as a keyed digest, so that a device that connects for every message
pays once. An unknown login costs what a known one costs: it is checked against the hash of
another client, always the same one, and fails whatever comes of it.

Failures: 535 5.7.8 for a wrong login or password, said only after a wait that grows (see
`failures`); 454 4.7.0 when too many checks wait already, or too many such answers to the address.
The latter never keeps out who knows a generated password: nobody finds one by guessing, so it is
checked all the same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from m365gw.config.settings import Client
from m365gw.directory.passwords import is_slow, verify
from m365gw.edge.admission import IpAddress
from m365gw.edge.failures import Failures
from m365gw.smtp.replies import Refused, Reply

CHECKING_THREADS: Final = 2  # of slow hashes, each 19 MiB while it runs
MOST_CHECKS: Final = 32  # of slow hashes, running and waiting
REMEMBERED_SECONDS: Final = 300.0
MOST_REMEMBERED: Final = 10_000

WRONG: Final = Reply(535, "5.7.8", "Authentication failed: login or password is wrong")
BUSY: Final = Reply(454, "4.7.0", "Too many logins at this moment; try again later")

Checked = TypeVar("Checked")  # whether it matched, or the failure to find out
InThread = Callable[[Callable[[str, str], bool], str, str], "Deferred[bool]"]


class Authenticator:
    """Checks logins of the configured clients.

    `in_thread` calls a function with two arguments in one of `CHECKING_THREADS` threads.
    """

    def __init__(self, clients: Iterable[Client], clock: IReactorTime, in_thread: InThread) -> None:
        self.replace(clients)
        self._clock = clock
        self._in_thread = in_thread
        self._checks = 0
        self._failures = Failures()
        self._remembered: dict[bytes, float] = {}  # digest of a good slow login: until when
        self._key = secrets.token_bytes(32)

    def replace(self, clients: Iterable[Client]) -> None:
        """Take the clients of a new configuration. Who is logged in stays so."""
        self._hashes = {client.login: client.password_hash for client in clients}
        self._known = tuple(self._hashes.values())

    def check(self, login: str, password: str, address: IpAddress | None) -> str | Deferred[str]:
        """The login itself when the password is right; raises or fails with Refused otherwise."""
        stored = self._hashes.get(login)
        against = stored or self._stand_in(login)
        if not is_slow(against):
            if verify(against, password) and stored:
                return login
            return self._refuse_later(login, password, address)
        if self._failures.is_full(address):
            raise Refused(BUSY)
        digest = self._digest(login, password, against)
        if self._is_remembered(digest):
            return login
        if self._checks >= MOST_CHECKS:
            raise Refused(BUSY)
        self._checks += 1
        checked = self._in_thread(verify, against, password)
        checked.addBoth(self._one_less)

        def conclude(is_right: bool) -> str | Deferred[str]:
            if not (is_right and stored):
                return self._refuse_later(login, password, address)
            self._remember(digest)
            return login

        return checked.addCallback(conclude)

    def _refuse_later(self, login: str, password: str, address: IpAddress | None) -> Deferred[str]:
        """The refusal of a wrong login, after the wait its address has earned.

        Raises Refused when too many wait.
        """
        if self._failures.is_full(address):
            raise Refused(BUSY)
        wait = self._failures.add(address, login, password, self._clock.seconds())
        refusal: Deferred[str] = Deferred()

        def refuse() -> None:
            self._failures.said(address)
            refusal.errback(Refused(WRONG))

        self._clock.callLater(wait, refuse)
        return refusal

    def _one_less(self, result: Checked) -> Checked:
        self._checks -= 1
        return result

    def _stand_in(self, login: str) -> str:
        """The hash an unknown login is checked against: the same for each try of it."""
        if not self._known:
            return ""
        number = int.from_bytes(self._digest(login, "", "")[:8], "big")
        return self._known[number % len(self._known)]

    def _is_remembered(self, digest: bytes) -> bool:
        until = self._remembered.get(digest)
        return until is not None and until > self._clock.seconds()

    def _remember(self, digest: bytes) -> None:
        self._remembered.pop(digest, None)
        self._remembered[digest] = self._clock.seconds() + REMEMBERED_SECONDS
        if len(self._remembered) > MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def _digest(self, login: str, password: str, stored: str) -> bytes:
        """A digest that tells nothing without this process's key."""
        said = f"{len(login)} {len(password)} {login}{password}{stored}"
        return hmac.digest(self._key, said.encode("utf-8", "surrogatepass"), hashlib.sha256)
