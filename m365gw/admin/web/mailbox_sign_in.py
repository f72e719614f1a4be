"""People sign mailboxes in on pages of ours: by a code, or at Microsoft in this browser.

A sign-in by code is asked after by itself until it ends, whether a page looks or not; a page shows
how it stands. One in the browser comes back through `returns`, so only to the session it left from.
For each mailbox the last one counts.

Failures: `Refusal` where one cannot begin; what fails later is shown with its diagnosis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from m365gw.admin.refusal import Refusal
from m365gw.admin.sign_in_api import SigningIn
from m365gw.admin.web.returns import CALLBACK, Returns
from m365gw.admin.web.view import Answer, Away, Redirect, View
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.failures import TokenUnavailable

SIGNED_IN: Final = "mailbox.signed-in"  # in the audit
MOST: Final = 100  # mailboxes whose last sign-in is remembered

Audit = Callable[[str, str, str], object]  # who, what, to what

_diagnostics = Logger()


@define
class Shown:
    """The last sign-in of a mailbox. `state`: waiting, done or failed."""

    state: str
    by: str
    user_code: str = field(default="", repr=False)
    uri: str = ""  # where the code is entered
    ends_at: float = 0.0  # of the code
    told: Diagnosis | None = None


class MailboxSignIns:
    """Sign-ins that were begun on pages. `changes` grows whenever there is something to show."""

    def __init__(
        self, sign_ins: SigningIn, returns: Returns, clock: IReactorTime, audit: Audit
    ) -> None:
        self._sign_ins = sign_ins
        self._returns = returns
        self._clock = clock
        self._audit = audit
        self._shown: dict[str, Shown] = {}
        self.changes = 0

    def of(self, address: str) -> Shown | None:
        """How the last one of this mailbox stands."""
        return self._shown.get(address.casefold())

    def redirect_uri(self, view: View) -> str:
        """Where Microsoft sends the browser back to; the app must know it letter by letter."""
        return f"{view.arrival.origin}{CALLBACK}"

    async def by_code(self, view: View, address: str) -> None:
        """Begin one by code. Raises `Refusal`."""
        try:
            begun = await self._sign_ins.begin(address, "")
        except TokenUnavailable as problem:
            self._show(address, Shown("failed", view.by, told=problem.diagnosis))
            return
        now = self._clock.seconds()
        shown = Shown(
            "waiting",
            view.by,
            begun["user_code"],
            begun["verification_uri"],
            now + begun["expires_in"],
        )
        self._show(address, shown)
        self._ask_later(address, begun["id"], begun["interval"], shown)

    async def by_browser(self, view: View, address: str, back_to: str) -> Answer:
        """Send the browser to Microsoft; it comes back to `back_to`. Raises `Refusal`."""
        self._returns.check(view, to_here=True)
        try:
            begun = await self._sign_ins.begin(address, self.redirect_uri(view))
        except TokenUnavailable as problem:
            self._show(address, Shown("failed", view.by, told=problem.diagnosis))
            return Redirect(back_to)
        if "auth_uri" not in begun:
            raise Refusal(409, f"{address} signs in by a code.", "", "Ask for a code.")

        async def back(returned: View) -> Answer:
            return await self._finish(address, begun["id"], returned, view.by, back_to)

        self._returns.leave(view, begun["state"], back)
        return Away(begun["auth_uri"])

    async def _finish(
        self, address: str, name: str, returned: View, by: str, back_to: str
    ) -> Answer:
        arguments: Mapping[str, str] = dict(returned.query.pairs)
        try:
            await self._sign_ins.finish(name, dict(arguments))
        except TokenUnavailable as problem:
            self._show(address, Shown("failed", by, told=problem.diagnosis))
            return Redirect(back_to)
        self._show(address, Shown("done", by))
        self._audit(by, SIGNED_IN, address)
        return Redirect(back_to)

    def _ask_later(self, address: str, name: str, interval: float, shown: Shown) -> None:
        def ask() -> None:
            asking = Deferred.fromCoroutine(self._ask(address, name, interval, shown))
            asking.addErrback(lambda fault: _diagnostics.failure("sign-in", failure=fault))

        self._clock.callLater(interval, ask)

    async def _ask(self, address: str, name: str, interval: float, shown: Shown) -> None:
        if self.of(address) is not shown:
            self._sign_ins.cancel(name)  # another one was begun
            return
        try:
            said = await self._sign_ins.poll(name)
        except TokenUnavailable as problem:
            shown.state, shown.told = "failed", problem.diagnosis
        except Refusal as refusal:  # it was given up elsewhere
            shown.state = "failed"
            shown.told = Diagnosis("signin-over", refusal.what, "", "Begin again.", "operator")
        else:
            if not said["done"]:
                self._ask_later(address, name, interval, shown)
                return
            shown.state = "done"
            self._audit(shown.by, SIGNED_IN, address)
        self.changes += 1

    def _show(self, address: str, shown: Shown) -> None:
        self._shown.pop(address.casefold(), None)
        self._shown[address.casefold()] = shown
        if len(self._shown) > MOST:
            del self._shown[next(iter(self._shown))]
        self.changes += 1
