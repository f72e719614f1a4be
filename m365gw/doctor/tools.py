"""What an examination works with: the network, threads, tokens, and what the service knows.

Everything that reaches outside is a value here, so that a test can put another one in its place,
and so that the service and the command line can each bring their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from m365gw.config.settings import Mailbox
from m365gw.doctor.lookups import Answer, Lookup
from m365gw.microsoft.clouds import Cloud
from m365gw.relay.exit.connection import Connection
from m365gw.relay.exit.graph_fit import Carriage
from m365gw.relay.exit.graph_session import GraphSession
from m365gw.relay.exit.proof import Proof
from m365gw.relay.threads import Calls
from m365gw.relay.tokens.credential_ends import CredentialEnd
from m365gw.relay.tokens.https import Session


class TokenSource(Protocol):
    """Where tokens come from: `relay.tokens.tokens.Tokens`."""

    async def token(self, mailbox: Mailbox, *, min_life: float = ..., force: bool = ...) -> str:
        """A token. Raises `TokenUnavailable`."""
        ...

    async def credential_ends(self) -> list[CredentialEnd]:
        """When the credentials of all mailboxes end."""
        ...


class Sessions(Protocol):
    """Who opens sessions that have shown who we are: `relay.exit.dialer.Dialer`."""

    async def open(self, cloud: Cloud, proof: Proof) -> Connection:
        """A session. Raises `AttemptFailed`."""
        ...


class GraphSessions(Protocol):
    """Who opens sessions with Graph: `relay.exit.graph.GraphExit`."""

    async def checkout(self, mailbox: Mailbox, carriage: Carriage) -> GraphSession:
        """A session for one message. Raises `AttemptFailed` and `TokenUnavailable`."""
        ...

    def end(self, session: GraphSession) -> None: ...


@frozen
class Facts:
    """What only the running service knows. All empty when none runs.

    places      where it listens: {"listener": name, "address": "127.0.0.1:587"}
    mailboxes   `relay.limits.overview.Overview.plain` of each
    revision    of the directory's entries it works with; None: it could not read them all
    """

    is_running: bool = False
    places: tuple[dict[str, str], ...] = ()
    mailboxes: tuple[dict[str, Any], ...] = ()
    revision: int | None = None


@frozen(kw_only=True)
class Tools:
    """All of it. `reactor` connects and has the time; `calls` runs what blocks."""

    reactor: Any
    calls: Calls
    tokens: TokenSource
    sessions: Sessions
    open_session: Callable[[Cloud], Session]  # https to the login host
    resolve: Callable[[str], Awaitable[Lookup]]  # as the system does it
    ask_dns: Callable[[str, str], Awaitable[Answer]]  # (name, "TXT" or "CNAME")
    graph: GraphSessions
    facts: Callable[[], Facts] = Facts
    hosts_file: Path = field(default=Path("/etc/hosts"))
    resolv_conf: Path = field(default=Path("/etc/resolv.conf"))
