"""Mail out, wired: from the spool to Microsoft 365."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError

from m365gw.config.clouds import clouds_of
from m365gw.config.settings import Settings
from m365gw.directory.vault import Vault
from m365gw.events import EventLog
from m365gw.relay.attempt import Attempts
from m365gw.relay.bounces import Bounces
from m365gw.relay.connector import Connector
from m365gw.relay.delays import Delays
from m365gw.relay.delivery import Delivery
from m365gw.relay.dispatch import Dispatch
from m365gw.relay.governor import Governor
from m365gw.relay.mailboxes import Mailboxes
from m365gw.relay.operations import Operations
from m365gw.relay.pool import Pool
from m365gw.relay.stops import Account
from m365gw.relay.summaries import Summaries
from m365gw.relay.threads import Threads
from m365gw.relay.tokens import Tokens
from m365gw.spool.ledger import LEDGER, Ledger
from m365gw.spool.names import Entry
from m365gw.spool.schedule import Schedule
from m365gw.spool.spool import Spool

FAREWELL = 2.0  # seconds idle sessions get for their QUIT when the service stops


class MailOut:
    """All of mail out. Built from the settings, started and stopped as one."""

    def __init__(self, settings: Settings, spool: Spool, reactor: Any, log: EventLog) -> None:
        self._reactor = reactor
        clouds = clouds_of(settings)
        accounts = {mailbox.address: mailbox for mailbox in settings.mailbox}
        self._disk = Threads(reactor, 2, "disk")
        self._sign_in = Threads(reactor, 4, "sign-in", may_be_left=True)
        tokens = Tokens(clouds, Vault(settings.state_dir), log, self._sign_in)
        connector = Connector(reactor, settings.hostname, settings.governor, log)
        self._connections = Pool(tokens, connector, clouds, settings.governor)
        sharing = [
            Account(
                mailbox.address,
                mailbox.tenant,
                f"{clouds[mailbox.cloud].smtp_host}:{clouds[mailbox.cloud].smtp_port}",
                mailbox.client_id,
            )
            for mailbox in settings.mailbox
        ]
        ledger = Ledger(os.path.join(settings.spool_dir, LEDGER), spool.health)
        self.governor = Governor(settings.governor, ledger, sharing)
        self.mailboxes = Mailboxes(sharing, log)
        bounces = Bounces(
            spool=spool,
            mailboxes=self.mailboxes,
            disk=self._disk,
            clock=reactor,
            log=log,
            hostname=settings.hostname,
            queue=settings.queue,
            accepted=self.accepted,
        )
        delivery = Delivery(
            spool=spool,
            attempts=Attempts(
                spool=spool,
                sessions=self._connections,
                accounts=accounts,
                mailboxes=self.mailboxes,
                governor=self.governor,
                clock=reactor,
                disk=self._disk,
            ),
            governor=self.governor,
            mailboxes=self.mailboxes,
            bounces=bounces,
            summaries=Summaries(bounces, reactor, settings.queue.report_limit),
            queue=settings.queue,
            clock=reactor,
            log=log,
            chance=random.random,
        )
        self._delays = Delays(delivery)
        self.schedule = Schedule()
        self.dispatch = Dispatch(
            spool=spool,
            schedule=self.schedule,
            governor=self.governor,
            mailboxes=self.mailboxes,
            delivery=delivery,
            queue=settings.queue,
            addresses=[mailbox.address for mailbox in settings.mailbox],
            clock=reactor,
            disk=self._disk,
            log=log,
            has_new_sign_in=lambda address: tokens.has_new_sign_in(accounts[address]),
        )
        self.operations = Operations(
            spool=spool,
            schedule=self.schedule,
            dispatch=self.dispatch,
            disk=self._disk,
            clock=reactor,
            log=log,
        )

    def accepted(self, entry: Entry) -> None:
        """A message has become durable, and may go."""
        self.dispatch.accepted(entry)

    def start(self) -> None:
        """Take up the queue, and begin to look for what waits too long in it."""
        self.dispatch.start()
        self._delays.start()

    async def stop(self, seconds: float) -> None:
        """Wait so long for the deliveries in flight, then let go of connections and threads."""
        await self._delays.stop()
        await self.dispatch.stop(seconds)
        with suppress(TimeoutError):
            farewell = Deferred.fromCoroutine(self._connections.close())
            await farewell.addTimeout(FAREWELL, self._reactor)
        for threads in (self._disk, self._sign_in):
            await threads.stop()
        self.governor.ledger.close()
