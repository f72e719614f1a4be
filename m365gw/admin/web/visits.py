"""Sessions: who is signed in in which browser, from sign-in to sign-out.

The id of a session is a random cookie that only the browser has; the directory knows a digest of
it. It is a new one at each sign-in, so none that somebody planted is ever good. A session ends when
nothing was done in it for `idle_time`, at `session_time` whatever is done, and at sign-out; what
pages fetch by themselves is not something done.

Looked up once, a session is taken as it is for some seconds; then the directory is asked again, so
that one that was ended elsewhere ends here too. Failures: `DirectoryError`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

from attrs import define, evolve
from twisted.internet.interfaces import IReactorTime

from m365gw.config.web import Web
from m365gw.directory.operators import Operator
from m365gw.directory.web_sessions import WebSession, WebSessions
from m365gw.relay.threads import Calls

LOOKED_UP: Final = 15.0  # seconds until the directory is asked again
NOTED: Final = 60.0  # seconds until it is noted again that a session is in use
MOST_REMEMBERED: Final = 1000

_KEY = re.compile(r"[0-9A-Za-z_-]{43}")


@define
class _Known:
    """A session, and when the directory was last asked, and told, of it."""

    session: WebSession
    asked_at: float
    told_at: float


class Visits:
    """The sessions of the console."""

    def __init__(self, store: WebSessions, calls: Calls, clock: IReactorTime, web: Web) -> None:
        self._store = store
        self._calls = calls
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self.configure(web)

    def configure(self, web: Web) -> None:
        """From now on sessions last so long, those that stand too."""
        self._idle, self._longest = web.idle_time, web.session_time

    async def of(self, key: str, *, is_used: bool = True) -> WebSession | None:
        """The session of a cookie, if it stands. `is_used`: a person does something in it."""
        if not _KEY.fullmatch(key):
            return None
        now, digest = self._clock.seconds(), digest_of(key)
        known = self._known.get(digest)
        if known is None or now - known.asked_at >= LOOKED_UP:
            known = await self._ask(digest, known, now)
        if known is None:
            return None
        session = known.session
        if now - session.seen_at >= self._idle or now - session.began_at >= self._longest:
            await self._drop(digest)
            return None
        if is_used:
            known.session = evolve(session, seen_at=now)
            if now - known.told_at >= NOTED:
                known.told_at = now
                await self._calls.call(self._store.seen, digest, now)
        return known.session

    async def begin(self, operator: Operator, address: str) -> str:
        """Somebody has signed in: the value of his cookie."""
        now = self._clock.seconds()
        await self._calls.call(self._store.drop_older, now - self._longest, now - self._idle)
        key = new_key()
        session = WebSession(digest_of(key), operator.login, operator.role, now, now, address)
        await self._calls.call(self._store.keep, session)
        self._remember(_Known(session, now, now))
        return key

    async def end(self, digest: str) -> None:
        """Signed out: its cookie is worth nothing any more. "" is no session."""
        if digest:
            await self._drop(digest)

    async def _ask(self, digest: str, known: _Known | None, now: float) -> _Known | None:
        session = await self._calls.call(self._store.find, digest)
        if session is None:
            self._known.pop(digest, None)
            return None
        told_at = session.seen_at
        if known is not None:  # what the directory was not told yet
            session = evolve(session, seen_at=max(session.seen_at, known.session.seen_at))
        found = _Known(session, now, told_at)
        self._remember(found)
        return found

    async def _drop(self, digest: str) -> None:
        self._known.pop(digest, None)
        await self._calls.call(self._store.drop, digest)

    def _remember(self, known: _Known) -> None:
        self._known[known.session.digest] = known
        if len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]


def new_key() -> str:
    """A value for the cookie of a browser: 256 random bits."""
    return secrets.token_urlsafe(32)


def is_key(text: str) -> bool:
    """Whether a cookie may be one of ours."""
    return _KEY.fullmatch(text) is not None


def digest_of(key: str) -> str:
    """What the directory knows a session by."""
    return hashlib.sha256(key.encode()).hexdigest()


def token_of(key: str) -> str:
    """What each form sent by the browser with this cookie must hold; no other site can know it."""
    return hmac.new(key.encode(), b"form", hashlib.sha256).hexdigest()


def is_token(key: str, said: str) -> bool:
    """Whether a form holds the right one."""
    return hmac.compare_digest(token_of(key).encode(), said.encode("utf-8", "replace"))
