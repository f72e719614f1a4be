"""Acting on the queue from a command: through the running service, or under the spool's lock.

The service is asked over its control socket. When nobody listens there the spool is opened, which
takes its lock, so that no service can start meanwhile. Root does that as the user the spool belongs
to, as everything in it must be that user's. When neither can be had nothing is done:
`CannotAct` says why, in words for the terminal, with the exit code that means it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.owner import as_owner
from m365gw.cli.spool_dir import EX_IOERR, EX_NOINPUT, EX_NOPERM, EX_UNAVAILABLE
from m365gw.spool import operations
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.operations import Action, Done, Result
from m365gw.spool.spool import Spool

EX_TEMPFAIL = 75
ASKED_AT_ONCE = 500  # queue ids the service takes in one request
DONE_AT_ONCE = 10_000  # queue ids done under the lock between two syncs


class CannotAct(Exception):
    """Nothing more can be done to the queue. `code` is the exit code that says so."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


class Acting(Protocol):
    """What can be done to the queue. Each call may raise `CannotAct`."""

    def act(self, action: Action, queue_ids: Iterable[str], reason: str = "") -> Iterator[Result]:
        """Do it to these messages; a result for each, as they are done and durable."""

    def flush(self, mailbox: str = "") -> int:
        """What waits for its time, of one mailbox or all, goes at once; how many messages."""

    def active(self) -> frozenset[str]:
        """Queue ids of the messages that are being delivered now."""


@contextmanager
def actions(spool_dir: str, control_socket: str) -> Iterator[Acting]:
    """The way to act on a spool. `control_socket` "": there is no service to be asked.

    Raises `CannotAct`, here and from within.
    """
    control = Control(control_socket)
    try:
        control.get("/queue/active")
    except NotRunning as nobody:
        with locked(spool_dir, str(nobody) if control_socket else "") as spool:
            yield _UnderLock(spool)
    except NotAllowed as error:
        raise CannotAct(str(error), EX_NOPERM) from None
    except ControlFailed as error:
        raise CannotAct(str(error), EX_TEMPFAIL) from None
    else:
        yield _ThroughService(control)


class _ThroughService:
    """The running service does it."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def act(self, action: Action, queue_ids: Iterable[str], reason: str = "") -> Iterator[Result]:
        for batch in _batches(queue_ids, ASKED_AT_ONCE):
            body = {"queue_ids": batch, "reason": reason}
            with told():
                answer = self._control.post(f"/queue/{action.value}", body)
            for one in answer["results"]:
                yield Result(one["queue_id"], Done(one["result"]), one["words"])

    def flush(self, mailbox: str = "") -> int:
        with told():
            return int(self._control.post("/queue/flush", {"mailbox": mailbox})["released"])

    def active(self) -> frozenset[str]:
        with told():
            return frozenset(self._control.get("/queue/active")["active"])


class _UnderLock:
    """No service runs: it is done here."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def act(self, action: Action, queue_ids: Iterable[str], reason: str = "") -> Iterator[Result]:
        for batch in _batches(queue_ids, DONE_AT_ONCE):
            with told():
                results = operations.act_on(self._spool, action, batch, reason)
            yield from results

    def flush(self, mailbox: str = "") -> int:
        with told():
            return operations.flush(self._spool, mailbox)

    def active(self) -> frozenset[str]:
        return frozenset()


@contextmanager
def locked(spool_dir: str, why: str) -> Iterator[Spool]:
    """The spool, as its owner and under its lock; `why`: no service could be asked.

    Raises `CannotAct`.
    """
    if not os.path.exists(os.path.join(spool_dir, "VERSION")):
        raise CannotAct(f"There is no spool at {spool_dir}, so there is no mail.", EX_NOINPUT)
    with as_owner(spool_dir):
        try:
            spool = Spool.open(spool_dir, hostname=socket.gethostname())
        except Unusable as error:
            words = f"{error} {why}".strip()
            raise CannotAct(words, EX_TEMPFAIL if "in use" in words else EX_UNAVAILABLE) from None
        try:
            yield spool
        finally:
            spool.close()


@contextmanager
def told() -> Iterator[None]:
    """What fails in the middle, in words."""
    try:
        yield
    except (NotRunning, NotAllowed, ControlFailed) as error:
        words = f"{error} What was not told to be done may not have been: do it again."
        raise CannotAct(words, EX_TEMPFAIL) from None
    except SpoolError as error:
        raise CannotAct(f"The disk of the spool failed: {error.cause}.", EX_IOERR) from None


def _batches(queue_ids: Iterable[str], most: int) -> Iterator[list[str]]:
    left = iter(queue_ids)
    while batch := list(islice(left, most)):
        yield batch
