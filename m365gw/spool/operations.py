"""What an operator does to a message at rest: hold, release, retry, expire, bounce, remove.

Each is one rename or one unlink, so that after a crash the message is as it was or as it was
asked to be, under one name. A message marked *expired* bears the mark in its file name: at its next
turn it is returned to its sender, whatever its mailbox may do (`postsuper -e` calls it forced
expiry). *Bounce* is that, with its next turn at once.

Nothing here knows of deliveries under way. A running service asks `relay.queue.operations`, which
does; a command asks here itself, holding the spool's lock, when no service runs.

Failures: `Gone` from `act` when the message is no longer under the name given: look for it again.
Everything else is told in the result, one message at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from enum import Enum

from attrs import evolve, frozen

from m365gw.spool.health import Corrupt, Gone, SpoolError, Unreadable
from m365gw.spool.names import Entry, State, parse_id, tag
from m365gw.spool.spool import Spool

BY_OPERATOR = "by an operator"  # why a message is held when none said why


class Action(Enum):
    """What can be done to a message."""

    HOLD = "hold"  # put aside until it is released
    RELEASE = "release"  # a held message goes on, at once
    RETRY = "retry"  # what waits for its time is tried at once
    EXPIRE = "expire"  # at its next turn it is returned
    BOUNCE = "bounce"  # it is returned at once
    REMOVE = "remove"  # it is deleted; nobody is told


class Done(Enum):
    """How an action on one message went."""

    DONE = "done"  # and durable
    LATER = "later"  # it is being delivered: done when that has ended, if it is still here then
    GONE = "gone"  # there is no such message (any more)
    UNCHANGED = "unchanged"  # nothing was to be done; the words say why
    FAILED = "failed"  # it is as it was, or in corrupt/; the words say why


@frozen
class Result:
    """What became of one message."""

    queue_id: str
    result: Done
    words: str = ""


def act(
    spool: Spool, action: Action, entry: Entry, reason: str = ""
) -> tuple[Result, Entry | None]:
    """Do it to one message; durable by the next `sync_removals`. Raises Gone.

    `reason` says why it is held. Gives the result, and the entry under which the message rests now;
    None: there is nothing left, or what is left is of no use to anybody but the operator.
    """
    pointless = _pointless(action, entry)
    if pointless is not None:
        return pointless, entry
    try:
        rests = _STEPS[action](spool, entry, reason)
    except Corrupt as damage:
        words = f"the file is damaged ({damage}) and was moved to corrupt/"
        return Result(entry.queue_id, Done.FAILED, words), None
    except SpoolError as error:
        return Result(entry.queue_id, Done.FAILED, _said(error)), entry
    return Result(entry.queue_id, Done.DONE), rests


def act_on(
    spool: Spool, action: Action, queue_ids: Sequence[str], reason: str = ""
) -> list[Result]:
    """BLOCKING. Do it to many, in order; what is said to be done is durable.

    For the one who holds the spool's lock. One look through the names finds them all.
    """
    found = find(spool, queue_ids)
    results = [_act_on_one(spool, action, one, found.get(one), reason) for one in queue_ids]
    return durable(spool, results)


def find(spool: Spool, queue_ids: Iterable[str]) -> dict[str, Entry]:
    """BLOCKING. The entries of these ids; what is no id, or nowhere, is left out."""
    numbers = numbers_of(queue_ids)
    found = spool.find_all(numbers)
    return {numbers[number]: entry for number, entry in found.items()}


def numbers_of(queue_ids: Iterable[str]) -> dict[int, str]:
    """The numbers of these ids, and the ids as they were written; what is no id is left out."""
    numbers = {}
    for queue_id in queue_ids:
        with suppress(ValueError):
            numbers[parse_id(queue_id)] = queue_id
    return numbers


def durable(spool: Spool, results: Sequence[Result]) -> list[Result]:
    """BLOCKING. The results once they are durable; or what is said when that failed."""
    try:
        spool.sync_removals()
    except SpoolError as error:
        words = f"done, but it may be undone by a power loss: {_said(error)}"
        return [
            evolve(one, result=Done.FAILED, words=words) if one.result is Done.DONE else one
            for one in results
        ]
    return list(results)


def flush(spool: Spool, mailbox: str = "") -> int:
    """BLOCKING. What waits for its time, of one mailbox or of all, is tried at once; how many.

    Like `act_on` for the one who holds the lock.
    """
    count = 0
    wanted = tag(mailbox)
    for entry in spool.entries(State.DEFERRED):
        if entry.due and (not mailbox or entry.mailbox == wanted):
            with suppress(Gone):
                result, _ = act(spool, Action.RETRY, entry)
                count += result.result is Done.DONE
    spool.sync_removals()
    return count


def gone(queue_id: str) -> Result:
    """What is said of a message that is not there."""
    return Result(queue_id, Done.GONE, "there is no such message in the queue")


def _act_on_one(
    spool: Spool, action: Action, queue_id: str, entry: Entry | None, reason: str
) -> Result:
    """Of the message found under this entry; looked for once more when it has moved since."""
    for _ in range(2):
        if entry is None:
            break
        try:
            return act(spool, action, entry, reason)[0]
        except Gone:
            entry = spool.find(queue_id)
    return gone(queue_id)


def _pointless(action: Action, entry: Entry) -> Result | None:
    """Why nothing is to be done; None when something is."""
    qid, state = entry.queue_id, entry.state
    if state is State.CORRUPT and action is not Action.REMOVE:
        words = "it is damaged: m365gw queue adopt takes it in once it is mended"
        return Result(qid, Done.FAILED, words)
    words = ""
    if action is Action.HOLD and state is State.HOLD:
        words = "it is held already"
    elif action is Action.RELEASE and state is not State.HOLD:
        words = "it is not held"
    elif action is Action.RETRY and state is State.HOLD:
        words = "it is held: release it"
    elif action is Action.RETRY and not entry.due:
        words = "it is due already, and goes as soon as its mailbox may send"
    elif action is Action.EXPIRE and entry.is_expired:
        words = "it is to be returned already"
    return Result(qid, Done.UNCHANGED, words) if words else None


def _hold(spool: Spool, entry: Entry, reason: str) -> Entry:
    try:
        message = spool.claim(entry)
    except Unreadable:  # then it is held without saying why
        return spool.move(entry, evolve(entry, state=State.HOLD, is_expired=False))
    try:
        return spool.hold(message, reason or BY_OPERATOR)
    finally:
        message.close()


def _release(spool: Spool, entry: Entry, _reason: str) -> Entry:
    return spool.move(entry, evolve(entry, state=_waiting(entry), due=0))


def _retry(spool: Spool, entry: Entry, _reason: str) -> Entry:
    return spool.move(entry, evolve(entry, due=0))


def _expire(spool: Spool, entry: Entry, _reason: str) -> Entry:
    return spool.move(entry, evolve(entry, is_expired=True))


def _bounce(spool: Spool, entry: Entry, _reason: str) -> Entry:
    return spool.move(entry, evolve(entry, state=_waiting(entry), due=0, is_expired=True))


def _remove(spool: Spool, entry: Entry, _reason: str) -> None:
    spool.unlink(entry)


def _waiting(entry: Entry) -> State:
    """Where a message waits that may go: what was tried before is not new mail."""
    return State.DEFERRED if entry.attempts else State.INCOMING


def _said(error: SpoolError) -> str:
    return f"the disk failed ({os.strerror(error.cause.errno or 0)})"


_STEPS: dict[Action, Callable[[Spool, Entry, str], Entry | None]] = {
    Action.HOLD: _hold,
    Action.RELEASE: _release,
    Action.RETRY: _retry,
    Action.EXPIRE: _expire,
    Action.BOUNCE: _bounce,
    Action.REMOVE: _remove,
}
