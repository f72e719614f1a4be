"""Who is signed in at /me, in which browser: sessions of their own, apart from those of operators.

A session is known by a digest of the browser's cookie, which is a new one at each sign-in, and is
kept in memory: after a restart people sign in again, which is one click at Microsoft. It ends as a
session of the console does (`idle_time`, `session_time`). No session here is worth anything there.
"""

from __future__ import annotations

from typing import Final

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.web.visits import digest_of, new_key
from m365gw.config.web import Web

BY: Final = "self-service"  # in log and audit, before the address of who acts
MOST: Final = 5000  # sessions; the oldest give way


@frozen
class Member:
    """Somebody who is signed in."""

    address: str  # the user name at Microsoft
    name: str
    account: str  # the account's id: who it is
    app: str  # the [[sign_in]] it was done by

    @property
    def by(self) -> str:
        """Who acts, as log and audit name it."""
        return f"{BY} {self.address}"


@define
class _Session:
    member: Member
    began_at: float
    seen_at: float


class People:
    """The sessions at /me."""

    def __init__(self, clock: IReactorTime, web: Web) -> None:
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self.configure(web)

    def configure(self, web: Web) -> None:
        """From now on sessions last so long, those that stand too."""
        self._idle, self._longest = web.idle_time, web.session_time

    def of(self, browser: str, *, is_used: bool = True) -> Member | None:
        """Who is signed in there. `is_used`: a person does something in it."""
        session, now = self._sessions.get(browser), self._clock.seconds()
        if session is None:
            return None
        if now - session.seen_at >= self._idle or now - session.began_at >= self._longest:
            self.end(browser)
            return None
        if is_used:
            session.seen_at = now
        return session.member

    def begin(self, member: Member) -> str:
        """Somebody has signed in: the new value of the browser's cookie."""
        now, key = self._clock.seconds(), new_key()
        self._sessions[digest_of(key)] = _Session(member, now, now)
        for browser in list(self._sessions)[:-MOST]:
            self.end(browser)
        return key

    def end(self, browser: str) -> None:
        """Signed out; a browser without a session may be, too."""
        self._sessions.pop(browser, None)

    def end_all(self, account: str) -> None:
        """All sessions of somebody, wherever they are."""
        for browser, session in list(self._sessions.items()):
            if session.member.account == account:
                self.end(browser)
