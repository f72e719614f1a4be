"""The tools of an examination as the command line has them: threads, https, sessions of our own.

The running service brings its own tokens and facts; everything else is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from m365gw.config.clouds import clouds_of
from m365gw.config.settings import Settings
from m365gw.directory.database import Database
from m365gw.directory.vault import Vault
from m365gw.doctor.lookups import DnsLookup, system_lookup
from m365gw.doctor.tools import Facts, Tools
from m365gw.events import EventLog
from m365gw.relay.exit.dialer import Dialer
from m365gw.relay.exit.graph import GraphExit
from m365gw.relay.threads import Calls
from m365gw.relay.tokens.https import https_session
from m365gw.relay.tokens.tokens import Tokens


def equip(
    settings: Settings,
    reactor: Any,
    calls: Calls,
    log: EventLog,
    *,
    tokens: Tokens | None = None,
    facts: Callable[[], Facts] = Facts,
) -> Tools:
    """Tools for these settings. `tokens`: those of the service, so that both ask Entra once."""
    if tokens is None:
        database = Database(settings.directory.url, settings.state_dir)
        vault = Vault(database, settings.state_dir)
        tokens = Tokens(clouds_of(settings), vault, log, calls, mailboxes=settings.mailbox)
    return Tools(
        reactor=reactor,
        calls=calls,
        tokens=tokens,
        sessions=Dialer(reactor, settings.hostname, settings.governor, log),
        open_session=https_session,
        resolve=lambda host: calls.call(partial(system_lookup, host)),
        ask_dns=DnsLookup(reactor),
        graph=GraphExit(reactor, tokens, clouds_of(settings), log),
        facts=facts,
    )
