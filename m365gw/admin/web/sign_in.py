"""Whether somebody is the operator he says: his password, and how often it may be tried.

It is checked as an SMTP login is (`edge.login.authentication`): argon2id in a few threads behind a
queue with a bound; wrong answers wait, longer each time, by address and by login; the right one is
answered at once and forgives the wrong ones before it. Nobody is ever locked out by others: where
an operator signed in before, even after a restart, what strangers do to his login counts nothing.

Failures: `Refusal` 401 for a wrong login or password, in the same words; 429 when too many try.
`DirectoryError` when nobody can be looked up.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.arrival import Arrival
from m365gw.config.logins import Logins
from m365gw.config.settings import Client
from m365gw.directory.last_use import Use
from m365gw.directory.operators import Operator, Operators
from m365gw.directory.passwords import LONGEST_PASSWORD
from m365gw.edge.login.authentication import Authenticator, TurnedAway, WrongLogin
from m365gw.events import EventLog
from m365gw.relay.threads import Threads

LONGEST_LOGIN = 256  # characters


class SignIn:
    """Checks operators. Made once; it knows who failed how often."""

    def __init__(
        self,
        operators: Operators,
        calls: Threads,
        clock: IReactorTime,
        limits: Logins,
        log: EventLog,
    ) -> None:
        self._operators = operators
        self._calls = calls
        self._clock = clock
        self._limits = limits
        self._log = log
        self._known: list[Operator] = []
        self._checks: Authenticator | None = None

    def configure(self, limits: Logins) -> None:
        """From now on these are the limits."""
        self._limits = limits
        if self._checks is not None:
            self._checks.configure(limits)

    async def check(self, login: str, password: str, arrival: Arrival) -> Operator:
        """The operator whose login and password these are. Raises `Refusal`, perhaps late."""
        if len(login) > LONGEST_LOGIN or len(password) > LONGEST_PASSWORD:
            raise _wrong()
        await self._learn()
        assert self._checks is not None
        try:
            checking: Deferred[Any] = maybeDeferred(
                self._checks.check, login, password, arrival.address
            )
            name: str = await checking
        except WrongLogin as wrong:
            self._note("web.login.failed", login, arrival, wrong.reason, level="warn")
            raise _wrong() from None
        except TurnedAway:
            raise Refusal(
                429,
                "Too many sign-ins at this moment.",
                "Wrong passwords were tried from your address, or for this login, again and again.",
                "Wait a minute. Where you signed in before you are not kept out by others.",
            ) from None
        operator = next(each for each in self._known if each.login == name)
        await self._welcome(operator, arrival, "")
        return operator

    async def known(self, address: str, arrival: Arrival) -> Operator:
        """The operator whose login is the address of somebody Microsoft knows. Raises `Refusal`."""
        for operator in await self._calls.call(self._operators.all):
            if operator.login.casefold() == address.casefold():
                await self._welcome(operator, arrival, " at Microsoft")
                return operator
        self._note("web.login.failed", address, arrival, "no operator", level="warn")
        raise Refusal(
            403,
            f"{address} is no operator of this gateway.",
            "Microsoft knows you, but nobody has let you in here.",
            f"Somebody with the role operator can: m365gw operator add {address}",
        )

    async def _welcome(self, operator: Operator, arrival: Arrival, how: str) -> None:
        """Note a sign-in."""
        place, now = str(arrival.address or ""), self._clock.seconds()
        await self._calls.call(self._operators.signed_in, operator.login, place, now)
        self._note("web.login", operator.login, arrival, f"signed in{how} as {operator.role}")

    async def _learn(self) -> None:
        """Who there is now. The checks go on with what they know of failures."""
        found = await self._calls.call(self._operators.all)
        if self._checks is not None and found == self._known:
            return
        clients = [
            Client(login=each.login, password_hash=each.password_hash, senders=(), mailbox="none")
            for each in found
        ]
        self._known = found
        if self._checks is not None:
            self._checks.replace(clients)
            return
        uses = [Use(each.login, "", 0.0, each.last_address) for each in found]
        self._checks = Authenticator(
            clients, self._limits, self._clock, self._in_thread, lambda *_: None, uses
        )

    def _in_thread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._calls.call(function, *arguments))

    def _note(
        self, event: str, login: str, arrival: Arrival, note: str, level: str = "info"
    ) -> None:
        self._log.emit(event, "web", level=level, login=login, client=arrival.place, note=note)


def _wrong() -> Refusal:
    return Refusal(
        401,
        "Login or password is wrong.",
        "",
        "m365gw operator list shows who may sign in; m365gw operator passwd sets a new password.",
    )
