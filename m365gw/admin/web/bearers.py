"""Programs that ask with a token: which it is, and what it may do.

A token that was looked up is taken as it is for some seconds; then the directory is asked again, so
that one that was removed is good for nothing soon. Who sends many wrong ones waits: not because one
could be guessed, but because each costs a look into the directory and a line in the log.

Failures: `Refusal` 401 for a token that is none, or has ended; 429 for too many; 503 without the
directory.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Final

from attrs import define
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.request import WebRequest
from m365gw.directory.api_tokens import ApiToken, ApiTokens, digest_of, is_token
from m365gw.directory.database import DirectoryError
from m365gw.edge.admission.admission import IpAddress
from m365gw.edge.login.failures import neighbourhood
from m365gw.events import EventLog
from m365gw.relay.threads import Calls

LOOKED_UP: Final = 15.0  # seconds until the directory is asked again
NOTED: Final = 60.0  # seconds until it is noted again that a token is in use
MOST_REMEMBERED: Final = 1000
MOST_WRONG: Final = 20  # tokens from one neighbourhood in a minute


@define
class _Known:
    """A token, when the directory was asked of it, and when it was told of its use."""

    token: ApiToken
    asked_at: float
    told_at: float = 0.0


class Bearers:
    """Knows tokens."""

    def __init__(self, store: ApiTokens, calls: Calls, clock: IReactorTime, log: EventLog) -> None:
        self._store = store
        self._calls = calls
        self._clock = clock
        self._log = log
        self._known: dict[str, _Known] = {}
        self._wrong: Counter[str] = Counter()
        self._minute_ends = 0.0

    async def caller(self, request: WebRequest, address: IpAddress | None) -> Caller:
        """Whose token a request bears. Raises `Refusal`."""
        kind, _, said = request.header(b"authorization").partition(" ")
        said = said.strip()
        if kind.lower() != "bearer" or not is_token(said):
            raise self._refused(request, address, "What was sent is no token.")
        try:
            known = await self._find(digest_of(said), address)
        except DirectoryError as error:
            raise Refusal(503, "Tokens cannot be looked up now.", str(error)) from None
        now = self._clock.seconds()
        if known is None:
            raise self._refused(request, address, "There is no such token; was it removed?")
        token = known.token
        if token.ends_at is not None and token.ends_at <= now:
            raise self._refused(request, address, f"The token {token.name} has ended.")
        if now - known.told_at >= NOTED:
            known.told_at = now
            await self._note(token.name, address, now)
        return Caller(f"token {token.name}", token.role)

    async def _find(self, digest: str, address: IpAddress | None) -> _Known | None:
        now, known = self._clock.seconds(), self._known.get(digest)
        if known is not None and now - known.asked_at < LOOKED_UP:
            return known
        if known is None and self._count(address, 0) >= MOST_WRONG:
            raise Refusal(
                429, "Too many wrong tokens came from your address.", "", "Wait a minute."
            )
        token = await self._calls.call(self._store.find, digest)
        self._known.pop(digest, None)
        if token is None:
            return None
        found = _Known(token, now, known.told_at if known else 0.0)
        self._known[digest] = found
        if len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        return found

    async def _note(self, name: str, address: IpAddress | None, now: float) -> None:
        with suppress(DirectoryError):  # an incident tells it; it is not worth a refusal
            await self._calls.call(self._store.used, name, str(address or ""), now)

    def _refused(self, request: WebRequest, address: IpAddress | None, why: str) -> Refusal:
        if self._count(address, 1) <= MOST_WRONG:
            client = str(address or "this machine")
            self._log.emit("web.token_refused", "web", level="warn", client=client, note=why)
        request.responseHeaders.setRawHeaders(b"www-authenticate", [b"Bearer"])
        return Refusal(401, "This takes a token.", why, "m365gw token list shows all there are.")

    def _count(self, address: IpAddress | None, more: int) -> int:
        """How many wrong ones came from there in this minute."""
        now, who = self._clock.seconds(), neighbourhood(address)
        if now >= self._minute_ends:
            self._wrong.clear()
            self._minute_ends = now + 60
        self._wrong[who] += more
        return self._wrong[who]
