"""What the ledger has counted for a mailbox: the same whether the service runs or not.

It lies in the spool and outlasts the service, so nobody has to be asked. BLOCKING.

Failures: `SpoolError` and `Unusable` when the disk fails, or belongs to somebody else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from m365gw.config.settings import Settings
from m365gw.relay.limits.governor import Governor, Uses
from m365gw.relay.stops.roster import accounts_of
from m365gw.spool.health import Health
from m365gw.spool.ledger import LEDGER, Ledger


@frozen
class Counted:
    """The budgets by address. Nothing is missing since `since`, seconds since 1970."""

    uses: Mapping[str, Uses]
    since: float


def counted(settings: Settings, addresses: Sequence[str]) -> Counted | None:
    """What was counted for these mailboxes; None when the service has never run here."""
    path = Path(settings.spool_dir, LEDGER)
    if not path.exists():  # to open one would make it
        return None
    ledger = Ledger(str(path), Health(time.time))
    try:
        governor = Governor(settings.governor, ledger, accounts_of(settings))
        return Counted({each: governor.uses(each) for each in addresses}, ledger.began)
    finally:
        ledger.close()
