"""The page /me, wired: what it acts on, and the end of mailboxes whose people have left."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from m365gw.admin.me.people import People
from m365gw.admin.me.self_service import SelfService
from m365gw.admin.web.console import Console
from m365gw.admin.web.pages import login_microsoft, me
from m365gw.admin.web.returns import Returns
from m365gw.admin.web.sign_in import SignIn
from m365gw.config.web import Web
from m365gw.service.accounts import Accounts
from m365gw.service.parts import Parts
from m365gw.service.status import Status

SWEEPS: Final = 60.0  # seconds between looks for mailboxes of people who left

_diagnostics = Logger()


class OwnMailboxes:
    """Puts the pages into the console, and the sign-in of operators at Microsoft.

    From the first `apply` to `stop` it also sweeps.
    """

    def __init__(
        self,
        console: Console,
        returns: Returns,
        sign_in: SignIn,
        parts: Parts,
        status: Status,
        accounts: Accounts,
    ) -> None:
        out, clock = parts.mail_out, parts.reactor
        self._people = People(clock, parts.settings.web)
        self._service = SelfService(
            settings=lambda: parts.settings,
            sign_ins=out.way.sign_ins,
            registry=accounts.registry,
            sending=accounts.test_mails,
            overview=status.mailboxes,
            places=parts.mail_in.listening.places,
            probe=out.dispatch.probe,
            clock=clock,
        )
        me.add(console, self._service, self._people, returns)
        login_microsoft.add(console, sign_in, self._service.enrolment, returns)
        self._sweeping = LoopingCall(self._sweep)
        self._sweeping.clock = clock

    def apply(self, web: Web) -> None:
        """Go on with these settings. It cannot fail."""
        self._people.configure(web)
        if not self._sweeping.running:
            self._sweeping.start(SWEEPS, now=False)

    def stop(self) -> None:
        """No more sweeps."""
        if self._sweeping.running:
            self._sweeping.stop()

    def _sweep(self) -> Deferred[None]:
        """A failure is told, and tried again a minute later."""
        sweeping = Deferred.fromCoroutine(self._service.sweep())
        return sweeping.addErrback(lambda fault: _diagnostics.failure("/me", failure=fault))
