"""Postfix's names of queues, over our spool.

`incoming`, `deferred` and `hold` are folders of ours too. `active` is what the running service has
in hand; on disk that is still in `incoming` or `deferred`. The others that Postfix knows hold
nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from attrs import frozen

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.postfix.call import Call
from m365gw.spool.browse import Queued, look
from m365gw.spool.names import Entry, State
from m365gw.spool.spool import Spool

STATES = {"incoming": State.INCOMING, "deferred": State.DEFERRED, "hold": State.HOLD}
NAMES = frozenset({*STATES, "active", "maildrop", "defer", "bounce", "trace", "flush"})


@frozen
class Service:
    """What is known of the service: why it cannot be asked ("": it can), and what it delivers."""

    is_down: str = ""
    active: frozenset[str] = frozenset()


def service(call: Call) -> Service:
    """Ask the service what it has in hand. One that may not be asked counts as running."""
    try:
        return Service(
            active=frozenset(Control(call.place("control_socket")).get("/queue/active")["active"])
        )
    except NotRunning as error:
        return Service(is_down=str(error))
    except (NotAllowed, ControlFailed):
        return Service()


@frozen
class Queues:
    """The queues of one spool; `active` are the ids the service has in hand."""

    spool: Spool
    active: Collection[str]

    def of(self, entry: Entry) -> str:
        """The queue a message is in."""
        return "active" if entry.queue_id in self.active else entry.state.value

    def entries(self, names: Collection[str]) -> Iterator[Entry]:
        """What is in these queues, without opening a file. Raises SpoolError."""
        for name, state in STATES.items():
            if name in names or ("active" in names and state is not State.HOLD):
                for entry in self.spool.entries(state):
                    if self.of(entry) in names:
                        yield entry

    def messages(self, names: Collection[str], call: Call) -> Iterator[Queued]:
        """The messages in these queues; of those that cannot be read `call` warns."""
        for entry in self.entries(names):
            queued = look(self.spool, entry)
            if queued is not None and queued.damage:
                call.warn(f"{entry.queue_id} cannot be read: {queued.damage}")
            elif queued is not None:
                yield queued
