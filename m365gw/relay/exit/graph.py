"""Exit graph: sessions with Microsoft Graph, one for each message.

The token is there, the connection made and its certificate verified before there is a session; so
what fails here has certainly sent nothing. Graph takes four requests at a time for an app and a
mailbox; who wants one more waits.

Failures: `AttemptFailed` (no connection) and `TokenUnavailable` (no token) from `checkout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from attrs import evolve
from twisted.internet.defer import CancelledError, DeferredSemaphore
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from m365gw.config.mailboxes import USER_FLOWS, Mailbox
from m365gw.events import EventLog
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.graph import not_reached
from m365gw.microsoft.reactions import Scope
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.dialer import tls_options
from m365gw.relay.exit.graph_fit import Carriage
from m365gw.relay.exit.graph_line import opened
from m365gw.relay.exit.graph_session import GraphSession
from m365gw.relay.exit.lost import cause
from m365gw.relay.exit.wire_trace import WireTrace
from m365gw.relay.tokens.tokens import Tokens

PLACES: Final = 4  # requests at a time, for a mailbox
HTTPS: Final = 443


class GraphExit:
    """Opens sessions. `clouds` maps the names mailboxes use."""

    def __init__(
        self, reactor: Any, tokens: Tokens, clouds: Mapping[str, Cloud], log: EventLog
    ) -> None:
        self._reactor = reactor
        self._tokens = tokens
        self._clouds = clouds
        self._log = log
        self._places: dict[str, DeferredSemaphore] = {}
        self._sessions: dict[GraphSession, DeferredSemaphore] = {}
        # Reading the authorities takes milliseconds; the options can serve any number of sessions.
        self._options: dict[Cloud, IOpenSSLClientConnectionCreator] = {}

    def configure(self, clouds: Mapping[str, Cloud]) -> None:
        """From now on these are the clouds; the authorities are read anew."""
        self._clouds = clouds
        self._options.clear()

    async def checkout(
        self, mailbox: Mailbox, carriage: Carriage, *, fresh_token: bool = False
    ) -> GraphSession:
        """A session for one message of this mailbox; `end` it.

        `fresh_token`: the old token was refused; a new one is fetched.
        """
        places = self._places.setdefault(mailbox.address, DeferredSemaphore(PLACES))
        await places.acquire()
        try:
            session = await self._open(mailbox, carriage, fresh_token)
        except BaseException:
            places.release()
            raise
        self._sessions[session] = places
        return session

    def end(self, session: GraphSession) -> None:
        """The message is through, whatever came of it."""
        session.line.abort()
        self._sessions.pop(session).release()

    async def _open(self, mailbox: Mailbox, carriage: Carriage, fresh_token: bool) -> GraphSession:
        cloud = self._clouds[mailbox.cloud]
        token = await self._tokens.token(evolve(mailbox, exit="graph"), force=fresh_token)
        base = urlsplit(cloud.graph)
        host, port = base.hostname or "", base.port or HTTPS
        try:
            options = self._tls_options(cloud, host)
            line = await opened(self._reactor, host, port, options)
        except CancelledError:
            raise  # nothing failed: nobody wants it any more
        except Exception as problem:
            raise _not_reached(mailbox, problem) from None
        trace = WireTrace(self._log, "graph", f"{host}:{port}", mailbox.address)
        return GraphSession(
            line=line,
            relay=f"{host}{line.peer}",
            url=f"{cloud.graph.rstrip('/')}/{_owner(mailbox)}/sendMail",
            token=token,
            carriage=carriage,
            reactor=self._reactor,
            trace=trace if trace.is_on else None,
        )

    def _tls_options(self, cloud: Cloud, host: str) -> IOpenSSLClientConnectionCreator:
        options = self._options.get(cloud)
        if options is None:
            try:
                options = tls_options(host, cloud.ca_file)
            except Exception as problem:
                raise OSError(
                    f"the certificate authorities cannot be read: {cause(problem)}"
                ) from None
            self._options[cloud] = options
        return options


def _owner(mailbox: Mailbox) -> str:
    """Whose sendMail it is: that of who signed in, or of the mailbox they or an app may use."""
    if mailbox.flow in USER_FLOWS and not mailbox.sign_in_as:
        return "me"
    return f"users/{quote(mailbox.address, safe='@')}"


def _not_reached(mailbox: Mailbox, problem: Exception) -> AttemptFailed:
    """Graph cannot be reached; as the fallback of a mailbox that stops nobody else."""
    words = cause(problem)
    is_trusted = "certificate" not in words
    reply, reaction = not_reached(words, is_trusted=is_trusted)
    if mailbox.exit != "graph":
        reaction = evolve(reaction, scope=Scope.MAILBOX)
    return AttemptFailed(Phase.CONNECT if is_trusted else Phase.TLS, reply, reaction)
