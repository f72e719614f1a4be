"""AUTH of one session: the exchange of PLAIN or LOGIN, and what came of it.

An empty initial response ("=") is as good as none: neither mechanism has a use for it, and the
client that sends it waits to be asked.

Failures: 504 5.5.4 for a mechanism that is not offered, 501 for an exchange that is cancelled or
malformed, 535 5.7.8 for a wrong login, 454 4.7.0 when too many are being checked, and 421 4.7.0
for one wrong login too many. Passwords are handed on, and never kept or logged.
"""

from __future__ import annotations

import base64
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from m365gw.edge.admission.admission import IpAddress
from m365gw.edge.login.authentication import WRONG, Authenticator, TurnedAway, WrongLogin
from m365gw.edge.session.identity import Identity
from m365gw.edge.session.journal import Journal
from m365gw.edge.session.speaker import Answer
from m365gw.smtp.commands import Auth
from m365gw.smtp.replies import Refused, Reply
from m365gw.smtp.sasl import Challenge, LoginServer, PlainServer

MECHANISMS: Final[dict[str, type[PlainServer] | type[LoginServer]]] = {
    "PLAIN": PlainServer,
    "LOGIN": LoginServer,
}

LOGGED_IN: Final = Reply(235, "2.7.0", "Authentication successful")
TOO_MANY_FAILED: Final = Reply(421, "4.7.0", "Too many failed logins")


class Login:
    """The exchanges of one session, one at a time, until one of them succeeds."""

    def __init__(
        self,
        authenticator: Authenticator,
        address: IpAddress | None,
        identity: Identity,
        journal: Journal,
    ) -> None:
        """`identity` is told of the login that was proved."""
        self._authenticator = authenticator
        self._address = address
        self._identity = identity
        self._journal = journal
        self._count = 0  # of wrong logins
        self._mechanism = ""
        self._exchange: PlainServer | LoginServer | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether the next line is a response to a challenge, not a command."""
        return self._exchange is not None

    def begin(self, auth: Auth) -> Answer:
        """Answer an AUTH command."""
        self._mechanism = auth.mechanism
        mechanism = MECHANISMS.get(auth.mechanism)
        if mechanism is None:
            words = f"Mechanism not offered; use {' or '.join(MECHANISMS)}"
            return self._refuse(Refused(Reply(504, "5.5.4", words)))
        self._exchange = mechanism()
        return self.respond(auth.initial or None)

    def give_up(self) -> None:
        """End the exchange: the client sent a line that is no response, and was told so."""
        self._exchange = None

    def respond(self, response: bytes | None) -> Answer:
        """Answer one line of the client within the exchange (None: it sent no first response)."""
        assert self._exchange is not None
        exchange, self._exchange = self._exchange, None
        try:
            step = exchange.step(response)
            if isinstance(step, Challenge):
                self._exchange = exchange
                return Reply(334, "", base64.b64encode(step.octets).decode("ascii"))
            checked = self._authenticator.check(step.login, step.password, self._address)
        except Refused as refused:
            return self._refuse(refused)
        if isinstance(checked, Deferred):
            return checked.addCallbacks(self._succeed, self._fail, errbackArgs=(step.login,))
        return self._succeed(checked)

    def _succeed(self, name: str) -> Reply:
        self._identity.log_in(name, self._mechanism)
        self._journal.logged_in(self._mechanism)
        return LOGGED_IN

    def _fail(self, failure: Failure, name: str) -> Reply | Failure:
        error = failure.value
        if isinstance(error, WrongLogin):
            self._journal.login_failed(self._mechanism, name, error)
            self._count += 1
            is_one_more = self._count < self._authenticator.wrong_limit
            return WRONG if is_one_more else TOO_MANY_FAILED
        return self._refuse(error) if isinstance(error, Refused) else failure

    def _refuse(self, refused: Refused) -> Reply:
        if not isinstance(refused, TurnedAway) or refused.is_news:
            self._journal.login_refused(self._mechanism, refused.reply)
        return refused.reply
