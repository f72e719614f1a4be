"""The way out, wired: the tokens, the connections and the exits that mail leaves by.

Failures: none leave here. What cannot be had is an answer to whoever asks for a session or a token.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError

from m365gw.config.clouds import clouds_of
from m365gw.config.settings import Mailbox, Settings
from m365gw.directory.vault import Vault
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.relay.exit.dialer import Dialer
from m365gw.relay.exit.exits import Exits
from m365gw.relay.exit.graph import GraphExit
from m365gw.relay.exit.pool import Pool
from m365gw.relay.exit.proof import Proofs
from m365gw.relay.threads import Threads
from m365gw.relay.tokens.interactive import InteractiveSignIns
from m365gw.relay.tokens.sign_in_watch import SignInWatch
from m365gw.relay.tokens.tokens import Tokens

FAREWELL = 2.0  # seconds idle sessions get for their QUIT when the service stops


class WayOut:
    """How mail reaches Microsoft 365. `apply` gives it new settings while it runs."""

    def __init__(
        self, settings: Settings, vault: Vault, reactor: Any, log: EventLog, incidents: Incidents
    ) -> None:
        self._reactor = reactor
        self._clouds = clouds = clouds_of(settings)
        # Not forgotten when they are removed, as deliveries may be under way.
        self.accounts: dict[str, Mailbox] = {each.address: each for each in settings.mailbox}
        self._threads = threads = Threads(reactor, 4, "sign-in", may_be_left=True)
        self.tokens = Tokens(clouds, vault, log, threads, mailboxes=settings.mailbox)
        self.sign_ins = InteractiveSignIns(clouds, vault, threads)
        self._dialer = Dialer(reactor, settings.hostname, settings.governor, log)
        proofs = Proofs(self.tokens, threads)
        self._sign_in_watch = SignInWatch(vault, proofs.has_new)
        self._pool = Pool(proofs, self._dialer, clouds, settings.governor)
        self._graph = GraphExit(reactor, self.tokens, clouds, log)
        self.exits = Exits(self._pool, self._graph, settings.governor, reactor, log, incidents)

    def apply(self, settings: Settings, removed: Collection[str]) -> list[str]:
        """Go on with new settings; gives the mailboxes that were set up anew. It cannot fail."""
        old, clouds = self._clouds, {**self._clouds, **clouds_of(settings)}
        changed = [
            mailbox.address
            for mailbox in settings.mailbox
            if mailbox != self.accounts.get(mailbox.address)
            or clouds[mailbox.cloud] != old.get(mailbox.cloud)
        ]
        self._clouds = clouds
        self.accounts.update({mailbox.address: mailbox for mailbox in settings.mailbox})
        self.tokens.configure(clouds, settings.mailbox)
        self.sign_ins.configure(clouds)
        self._dialer.configure(settings.hostname, settings.governor)
        self._pool.configure(clouds, settings.governor, [*changed, *removed])
        self._graph.configure(clouds)
        self.exits.configure(settings.governor, [*changed, *removed])
        return changed

    def new_sign_ins(self, stopped: Sequence[str]) -> list[str]:
        """BLOCKING. Those of these mailboxes that somebody has signed in for meanwhile."""
        return self._sign_in_watch.new([self.accounts[each] for each in stopped])

    async def stop(self) -> None:
        """Let go of connections and threads."""
        with suppress(TimeoutError):
            farewell = Deferred.fromCoroutine(self.exits.close())
            await farewell.addTimeout(FAREWELL, self._reactor)
        await self._threads.stop()
