"""Who may log in: whether a password belongs to a client, and how often one may try.

Hashes of generated passwords are checked at once; those of chosen passwords cost tens of
milliseconds each and are checked in a few threads (`slow_checks`). A good slow login is remembered
for some minutes as a keyed digest, so that a device that connects for every message pays once. An
unknown login costs what a known one costs: it is checked against the hashes of another client,
always the same one, and fails whatever comes of it.

Failures: `WrongLogin` (535 5.7.8, the same words whatever is wrong) after a wait that grows (see
`failures`); `TurnedAway` (454 4.7.0) when too many checks or answers wait already. The latter never
keeps out who knows a generated password: nobody finds one by guessing, so it is checked all the
same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from m365gw.config.logins import Logins as Limits
from m365gw.config.settings import Client
from m365gw.directory.last_use import Use
from m365gw.directory.passwords import matching
from m365gw.edge.admission.admission import IpAddress, ip_address
from m365gw.edge.login.failures import Failures, neighbourhood
from m365gw.edge.login.logins import Known, Logins, Secret
from m365gw.edge.login.slow_checks import BUSY, InThread, SlowChecks
from m365gw.smtp.replies import Refused, Reply

REMEMBERED_SECONDS: Final = 300.0
MOST_REMEMBERED: Final = 10_000

WRONG: Final = Reply(535, "5.7.8", "Authentication failed: login or password is wrong")

Used = Callable[[str, str, str], object]  # told of login, stored hash and address


class WrongLogin(Refused):
    """No login. `reason` is for the log only; a repetition is of the same wrong password."""

    def __init__(self, reason: str, *, is_repeated: bool) -> None:
        super().__init__(WRONG)
        self.reason = reason
        self.is_repeated = is_repeated


class TurnedAway(Refused):
    """Too many try. `is_news` says whether the log should be told: once a minute for an address."""

    def __init__(self, *, is_news: bool) -> None:
        super().__init__(BUSY)
        self.is_news = is_news


@frozen
class _Attempt:
    """One login somebody tries. The digests tell nothing without this process's key."""

    known: Known | None  # the client that is meant
    said: str
    address: IpAddress | None
    login: bytes  # digest of the login
    digest: bytes  # of login, password and the hashes it is checked against


class Authenticator:
    """Checks logins. Made once for all listeners."""

    def __init__(
        self,
        clients: Iterable[Client],
        limits: Limits,
        clock: IReactorTime,
        in_thread: InThread,
        used: Used,
        uses: Iterable[Use] = (),
    ) -> None:
        """`used` is told of each good login; `uses` are those of earlier runs."""
        self._clock = clock
        self._used = used
        self._slow = SlowChecks(in_thread, limits.check_threads, limits.check_limit)
        self._failures = Failures(limits)
        self.wrong_limit = limits.wrong_limit  # wrong logins of a session
        self._remembered: dict[bytes, tuple[int, float]] = {}  # good slow login: which, until when
        self._key = secrets.token_bytes(32)
        for use in uses:
            self._failures.forgive(ip_address(use.address), self._digest(use.login))
        self.replace(clients)

    def configure(self, limits: Limits) -> None:
        """From now on these are the limits, but for the number of threads."""
        self._slow.most_waiting = limits.check_limit
        self._failures.limits = limits
        self.wrong_limit = limits.wrong_limit

    def replace(self, clients: Iterable[Client]) -> None:
        """Take the clients of a new configuration. Who is logged in stays so."""
        self._logins = Logins(clients)

    def check(self, said: str, password: str, address: IpAddress | None) -> str | Deferred[str]:
        """The login of the client when the password is right; raises or fails with Refused."""
        known = self._logins.find(said)
        against = known or self._logins.stand_in(said)
        fast, slow = (against.fast, against.slow) if against else ((), ())
        login = known.login if known else said
        stored = [secret.stored for secret in (*fast, *slow)]
        digest = self._digest(login, password, *stored)
        attempt = _Attempt(known, said, address, self._digest(login), digest)
        place = matching(stored[: len(fast)], password)
        if place is not None:
            return self._conclude(attempt, fast[place])
        if slow:
            return self._check_slowly(attempt, slow, password)
        if self._failures.is_full(address, attempt.login):
            raise self._turned_away(address)
        return self._refuse(attempt)

    def _check_slowly(
        self, attempt: _Attempt, slow: tuple[Secret, ...], password: str
    ) -> str | Deferred[str]:
        address, who = attempt.address, neighbourhood(attempt.address)
        if self._failures.is_full(address, attempt.login, self._slow.of(who)):
            raise self._turned_away(address)
        now = self._clock.seconds()
        place, until = self._remembered.get(attempt.digest, (0, 0.0))
        if until > now:
            return self._conclude(attempt, slow[place])
        if self._failures.is_known(address, attempt.digest):
            return self._refuse(attempt)
        hashes = tuple(secret.stored for secret in slow)
        failed = self._failures.count(address, now)
        checked = self._slow.check(who, failed, hashes, password)

        def conclude(place: int | None) -> str | Deferred[str]:
            if place is None:
                return self._refuse(attempt)
            self._remember(attempt, place)
            return self._conclude(attempt, slow[place])

        def turn_away(failure: Failure) -> Failure:
            if isinstance(failure.value, Refused):
                raise self._turned_away(address)
            return failure

        return checked.addCallbacks(conclude, turn_away)

    def _conclude(self, attempt: _Attempt, secret: Secret) -> str | Deferred[str]:
        """The password belongs to this hash: that of the client, or of the one in its place."""
        known, address = attempt.known, attempt.address
        if known is None:
            return self._refuse(attempt)
        obstacle = known.obstacle(secret, address, self._clock.seconds())
        if obstacle:
            return self._refuse(attempt, obstacle)
        self._failures.forgive(address, attempt.login)
        self._used(known.login, secret.stored, str(address or ""))
        return known.login

    def _refuse(self, attempt: _Attempt, obstacle: str = "") -> Deferred[str]:
        """The refusal of a wrong login, after the wait its address has earned."""
        address, login = attempt.address, attempt.login
        # An obstacle may end, so its password is not taken to be wrong for ever.
        digest = attempt.digest + obstacle.encode()
        wait, is_new = self._failures.add(address, login, digest, self._clock.seconds())
        reason = obstacle or ("the password is wrong" if attempt.known else "")
        reason = reason or self._logins.hint(attempt.said)
        refusal: Deferred[str] = Deferred()

        def refuse() -> None:
            self._failures.said(address, login)
            refusal.errback(WrongLogin(reason, is_repeated=not is_new))

        self._clock.callLater(wait, refuse)
        return refusal

    def _turned_away(self, address: IpAddress | None) -> TurnedAway:
        return TurnedAway(is_news=self._failures.is_news(address, self._clock.seconds()))

    def _remember(self, attempt: _Attempt, place: int) -> None:
        """A slow check has succeeded; for an unknown login too, which gains nothing by it."""
        self._remembered.pop(attempt.digest, None)
        self._remembered[attempt.digest] = (place, self._clock.seconds() + REMEMBERED_SECONDS)
        if len(self._remembered) > MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def _digest(self, *words: str) -> bytes:
        """A digest that tells nothing without this process's key."""
        said = "".join(f"{len(word)} {word}" for word in words)
        return hmac.digest(self._key, said.encode("utf-8", "surrogatepass"), hashlib.sha256)
