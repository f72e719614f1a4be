"""The first start: nobody may sign in yet, so a one-time password is printed to the log.

As long as there is no listener, no mailbox and no operator, in the configuration or beside it, the
console shows the set-up alone, and whoever can read the log may make the first operator. That is
the only secret a log of ours ever shows. It is good once, until there is an operator, however he
was made, and each start makes a new one.

Failures: `Refusal` 401 for a wrong one, 410 when it is over, 429 for who tries too often.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from typing import Final

from twisted.internet.interfaces import IReactorTime

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.arrival import Arrival
from m365gw.config.settings import Settings
from m365gw.directory import passwords
from m365gw.directory.database import DirectoryError
from m365gw.directory.operators import Operator, OperatorExists, Operators
from m365gw.events import EventLog
from m365gw.relay.threads import Calls

SETUP: Final = "/setup"
SHORTEST: Final = 10  # characters of a password somebody chooses
TRIES: Final = 5  # wrong passwords a minute from one address
TRIES_OF_ALL: Final = 60  # and from all
MINUTE: Final = 60.0

_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # none easily mistaken for another
_GROUPS: Final = 4  # of four letters of five bits: 80 bits


class FirstStart:
    """Whether the gateway waits for its first operator, and the password that makes him."""

    def __init__(
        self, operators: Operators, calls: Calls, clock: IReactorTime, log: EventLog
    ) -> None:
        self._operators = operators
        self._calls = calls
        self._clock = clock
        self._log = log
        self._password = ""  # "": it is over, or never began
        self._wrong: deque[tuple[float, str]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether there is still nobody who may sign in."""
        return bool(self._password)

    def begin(self, settings: Settings) -> None:
        """Print a password if there is nothing and nobody yet. BLOCKING."""
        try:
            is_first = not (settings.listener or settings.mailbox or self._operators.all())
        except DirectoryError:
            return  # who there is cannot be known now; an incident says so
        if is_first:
            self._password = _made()
            self._print(settings)

    def apply(self, settings: Settings) -> None:
        """New settings: a gateway somebody has configured is not set up by whoever comes."""
        if settings.listener or settings.mailbox:
            self._password = ""

    async def make_operator(
        self, said: str, login: str, password: str, arrival: Arrival
    ) -> Operator:
        """The first operator. Two who come at once do not both become one. Raises `Refusal`."""
        self._check(said, arrival)
        known, self._password = self._password, ""  # nobody else gets in meanwhile
        try:
            if await self._calls.call(self._operators.all):
                raise _over()
            stored = await self._calls.call(passwords.hash_chosen, password)
            by = f"set-up from {arrival.place}"
            await self._calls.call(self._operators.add, login, stored, "operator", by)
        except OperatorExists:
            raise _over() from None
        except DirectoryError:
            self._password = known
            raise
        note = f"{login} is the first operator; the one-time password is over"
        self._log.emit("web.setup", "web", login=login, client=arrival.place, note=note)
        return Operator(login, stored)

    def _check(self, said: str, arrival: Arrival) -> None:
        if not self._password:
            raise _over()
        now, place = self._clock.seconds(), arrival.place
        while self._wrong and self._wrong[0][0] <= now - MINUTE:
            self._wrong.popleft()
        mine = sum(each == place for _, each in self._wrong)
        if mine >= TRIES or len(self._wrong) >= TRIES_OF_ALL:
            raise Refusal(429, "Too many wrong passwords.", "", "Wait a minute.")
        if not hmac.compare_digest(_plain(said).encode(), _plain(self._password).encode()):
            self._wrong.append((now, place))
            note = "wrong one-time password"
            self._log.emit("web.login.failed", "web", level="warn", client=place, note=note)
            raise Refusal(
                401,
                "This is not the one-time password.",
                "",
                "It is in the log of the service, in a box. Each start prints a new one.",
            )

    def _print(self, settings: Settings) -> None:
        scheme = "https" if settings.web.tls else "http"
        port = (settings.web.endpoint.split(":") + ["", ""])[1]
        url = settings.web.public_url or f"{scheme}://localhost:{port}"
        lines = (
            "Nothing is configured yet, and no mail is taken.",
            f"Set the gateway up:  {url}{SETUP}",
            f"One-time password:   {self._password}",
            "It is good until there is an operator. Whoever has it becomes one.",
        )
        width = max(map(len, lines))
        border = f"+{'-' * (width + 4)}+"
        for line in (border, *(f"|  {line:<{width}}  |" for line in lines), border):
            self._log.emit("web.setup", "web", note=line)
        self._log.flush()


def _made() -> str:
    letters = ("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(_GROUPS))
    return "-".join(letters)


def _plain(said: str) -> str:
    """As it is compared: how it is grouped and written does not count."""
    return "".join(each for each in said.lower() if each.isalnum())


def _over() -> Refusal:
    return Refusal(
        410,
        "The one-time password is over.",
        "There is an operator now, or the gateway was configured otherwise.",
        "Sign in. m365gw operator add makes one more, m365gw operator passwd a new password.",
    )
