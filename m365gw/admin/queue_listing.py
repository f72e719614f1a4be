"""One screen of the queue: the messages that are wanted, opened one by one, in bounded time.

What file names tell (state, age, mailbox, size, attempts) is filtered and sorted on a roll, however
many messages there are. What only the files tell (addresses, client, reason) is looked for in the
order of the roll until the screen is full or `BUDGET` is used up; `next` says where to go on.

Failures: `Refusal` 400 for what is no pattern; `SpoolError` and `Unusable` when nothing can be
read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from math import inf
from typing import Final

from attrs import evolve, frozen

from m365gw.admin.queue_roll import Roll
from m365gw.admin.refusal import Refusal
from m365gw.config.units import seconds
from m365gw.smtp.replies import Refused
from m365gw.spool.browse import Queued, Wanted, look, wanted
from m365gw.spool.names import Entry, State, parse_id
from m365gw.spool.reasons import reason_of
from m365gw.spool.spool import Spool

BUDGET: Final = 0.3  # seconds of opening files for one screen
SCREEN: Final = 50  # messages
SORTS: Final = ("arrival", "next", "size", "attempts")


@frozen
class Wish:
    """What is to be shown: messages that fit all of it, in this order.

    `text` is found in the queue id, the addresses, login, client, HELO name, or the reason.
    """

    names: Wanted = Wanted()
    text: str = ""
    sort: str = "arrival"
    is_descending: bool = True

    @property
    def needs_file(self) -> bool:
        """Whether names alone do not tell."""
        return bool(self.text) or self.names.needs_file

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves any message out."""
        return bool(self.text) or self.names != Wanted()

    def takes(self, queued: Queued) -> bool:
        """Whether a message that was opened fits."""
        if not self.names.takes(queued):
            return False
        return not self.text or self.text.casefold() in _all_text(queued).casefold()


@frozen
class Screen:
    """Some messages in order. `start` and `next` are places among the `of` that names let in."""

    messages: tuple[Queued, ...] = ()
    start: int = 0
    next: int | None = None  # where to go on; None: that was all
    of: int = 0
    is_full: bool = True  # False: time was up before the screen was full


def wish_of(
    *,
    state: str = "",
    mailbox: str = "",
    sender: str = "",
    recipient: str = "",
    client: str = "",
    older: str = "",
    text: str = "",
    sort: str = "",
    now: float = 0.0,
) -> Wish:
    """A wish from the words of a form, "" for what does not matter. Raises `Refusal`.

    `state` may be "waiting": incoming and deferred. `sort` may begin with "-": descending.
    """
    states = {"": (), "waiting": (State.INCOMING, State.DEFERRED)}.get(state)
    try:
        before = now - seconds(older) if older else inf
        names = wanted(
            states if states is not None else (State(state),),
            mailbox,
            sender,
            recipient,
            client=client,
            before=before,
        )
    except Refused as error:
        raise Refusal(400, error.reply.text) from None
    except ValueError as error:
        raise Refusal(400, f"{error}.") from None
    column = sort.removeprefix("-")
    is_descending = sort.startswith("-") if column in SORTS else True
    wish = Wish(names, text, column if column in SORTS else "arrival", is_descending)
    try:
        number = parse_id(text)
    except ValueError:
        return wish
    return evolve(wish, text="", names=evolve(names, numbers=frozenset([number])))


def screen(
    open_spool: Callable[[], Spool],
    roll: Roll,
    wish: Wish,
    start: int = 0,
    *,
    most: int = SCREEN,
    timer: Callable[[], float] = time.monotonic,
    moved: Callable[[int], Entry | None] = lambda _: None,
) -> Screen:
    """BLOCKING. The messages from one place on. `moved` says where a message is now, if known."""
    places = roll.order(wish.names, wish.sort, is_descending=wish.is_descending)
    end = timer() + BUDGET
    found: list[Queued] = []
    place = min(start, len(places))
    with closing(open_spool()) as spool:
        while place < len(places) and len(found) < most and timer() < end:
            queued = _look(spool, roll.entry(places[place]), moved)
            place += 1
            if queued is not None and wish.takes(queued):
                found.append(queued)
    is_end = place == len(places)
    return Screen(
        tuple(found), start, None if is_end else place, len(places), is_end or len(found) == most
    )


def matching(
    open_spool: Callable[[], Spool],
    roll: Roll,
    wish: Wish,
    told: Callable[[int], bool] = lambda _: True,
) -> Iterator[Entry]:
    """BLOCKING. All messages that fit, the oldest first.

    `told` hears how many were looked at; when it says False the search is broken off.
    """
    places = roll.order(wish.names, "arrival", is_descending=False)
    with closing(open_spool()) as spool:
        for count, place in enumerate(places):
            if count % 200 == 0 and not told(count):
                return
            entry = roll.entry(place)
            if wish.needs_file:
                queued = look(spool, entry)
                if queued is None or queued.damage or not wish.takes(queued):
                    continue
            yield entry


def _look(spool: Spool, entry: Entry, moved: Callable[[int], Entry | None]) -> Queued | None:
    """The message, also when it has moved since the roll was read and it is known where to."""
    queued = look(spool, entry)
    if queued is None:
        now = moved(entry.id)
        queued = look(spool, now) if now is not None else None
    return queued


def _all_text(queued: Queued) -> str:
    origin = queued.origin
    replies = (str(record.reply) for record in queued.recipients if record.at)
    return "\n".join(
        (
            queued.entry.queue_id,
            queued.envelope.sender,
            *(each.address for each in queued.envelope.recipients),
            origin.login,
            origin.client,
            origin.helo,
            origin.mailbox,
            reason_of(queued),
            *replies,
        )
    )
