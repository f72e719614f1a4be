"""People who are away at Microsoft's sign-in page, and what is done when they come back.

Whoever comes to /auth/callback must bring the state of a sign-in that was begun in the same browser
(known by one of its cookies, of /me or of the console), lately, and not finished yet. An answer
that is replayed, brought by another browser, or late, does nothing: so nobody can be signed in as
somebody else by a link (RFC 9700 4.7), and a code that was stolen is of no use.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.view import Answer, View

CALLBACK: Final = "/auth/callback"
LIFE: Final = 900.0  # seconds somebody may be away
MOST: Final = 2000  # people who are away; the oldest give way
MOST_OF_ONE: Final = 20  # of them from one address

Back = Callable[[View], Awaitable[Answer]]


@frozen
class _Away:
    browser: str
    place: str
    back: Back
    since: float


class Returns:
    """Who is away."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._away: dict[str, _Away] = {}

    def check(self, view: View, *, to_here: bool = False) -> None:
        """Returns if somebody may leave from here. Raises `Refusal`.

        `to_here`: Microsoft sends him back to the host he leaves from, whatever that is.
        """
        if not (to_here or view.arrival.is_public):
            raise Refusal(
                400,
                "Open this page by its public address.",
                f"Microsoft sends people back there, and not to {view.arrival.host}.",
                "The address is public_url in the settings of the gateway.",
            )
        self._forget()
        place = view.arrival.place
        if sum(each.place == place for each in self._away.values()) >= MOST_OF_ONE:
            raise Refusal(
                429,
                "Too many sign-ins were begun.",
                f"{MOST_OF_ONE} from your address are not finished.",
                "Finish one of them, or wait a quarter of an hour.",
            )

    def leave(self, view: View, state: str, back: Back, browser: str = "") -> None:
        """Somebody goes to Microsoft; `back` is asked when the browser brings this state.

        `browser` is the digest of the cookie it will have then, where it gets a new one now.
        """
        now = self._clock.seconds()
        self._away[state] = _Away(browser or view.browser, view.arrival.place, back, now)
        for oldest in list(self._away)[:-MOST]:
            del self._away[oldest]

    async def back(self, view: View) -> Answer:
        """GET /auth/callback. Raises `Refusal`."""
        self._forget()
        state = view.query.get("state")
        away = self._away.get(state)
        if away is None or away.browser not in view.browsers:
            raise Refusal(
                403,
                "This sign-in is over, or was not begun in this browser.",
                "The page was loaded twice, is an old one, or came by a link from somewhere else.",
                "Begin again.",
            )
        del self._away[state]  # it is good for one answer
        return await away.back(view)

    def _forget(self) -> None:
        """Who stayed away for too long."""
        past = self._clock.seconds() - LIFE
        self._away = {state: away for state, away in self._away.items() if away.since > past}
