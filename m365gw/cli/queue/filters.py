"""Which messages a command is about: queue ids, and filters that narrow them down.

All that is given must hold. Files are opened only when a filter asks for what no file name tells.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Container, Iterator
from math import inf
from typing import Any

import click
from attrs import evolve, frozen

from m365gw.cli.completion import names, queue_ids
from m365gw.config.units import seconds
from m365gw.smtp.replies import Refused
from m365gw.spool.browse import Queued, Wanted, browse, select, wanted
from m365gw.spool.names import Entry, State, parse_id, render_id
from m365gw.spool.reasons import reason_of
from m365gw.spool.spool import Spool

ACTIVE = "active"  # a state that only the running service knows


@frozen
class Filters:
    """What was asked for. `is_all`: no filter was given, but everything was named as such.

    `beside_active` is None unless active messages were asked for; then it is the other states that
    were.
    """

    wishes: Wanted
    queue_ids: tuple[str, ...] = ()
    reason: str = ""
    beside_active: tuple[State, ...] | None = None
    is_all: bool = False

    @property
    def wants_active(self) -> bool:
        """Whether it has to be known what is being delivered."""
        return self.beside_active is not None

    @property
    def are_ids_alone(self) -> bool:
        """Whether each message was named, and nothing else was asked of it."""
        asked = evolve(self.wishes, numbers=None)
        return bool(self.queue_ids) and not (self.reason or self.wants_active) and asked == Wanted()

    @property
    def is_nothing(self) -> bool:
        """Whether nothing narrows the choice down, and nobody said that it shall be all."""
        is_narrow = self.wishes != Wanted() or self.reason or self.wants_active
        return not (is_narrow or self.is_all)

    def within(self, *states: State) -> Filters:
        """The same among messages of these states, unless states were asked for."""
        if self.wishes.states or self.wants_active:
            return self
        return evolve(self, wishes=evolve(self.wishes, states=states))

    def messages(self, spool: Spool, active: Container[str] = ()) -> Iterator[Queued]:
        """The messages, each as soon as it is read. What cannot be read is among them."""
        for queued in browse(spool, self.wishes):
            if self._has_state(queued.entry, active) and self._has_reason(queued):
                yield queued

    def touched(self, spool: Spool, active: Container[str] = ()) -> Iterator[Queued]:
        """The messages a command may change: of those that cannot be read only those it names."""
        for queued in self.messages(spool, active):
            if not (queued.damage and self._asks_content):
                yield queued

    def entries(self, spool: Spool, active: Container[str] = ()) -> Iterator[Entry]:
        """The entries of the same messages; no file is opened if their names tell enough."""
        if self._asks_content:
            return (queued.entry for queued in self.touched(spool, active))
        return (one for one in select(spool, self.wishes) if self._has_state(one, active))

    @property
    def _asks_content(self) -> bool:
        return bool(self.reason) or self.wishes.needs_file

    def _has_state(self, entry: Entry, active: Container[str]) -> bool:
        if self.beside_active is None:
            return True
        return entry.queue_id in active or entry.state in self.beside_active

    def _has_reason(self, queued: Queued) -> bool:
        return not self.reason or self.reason.casefold() in _why(queued).casefold()


def _why(queued: Queued) -> str:
    """All that is said of why a message is here: in our words, and as it was answered."""
    replies = (str(record.reply) for record in queued.recipients if record.at)
    return "\n".join((reason_of(queued), *replies))


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command arguments and options to choose messages by, and `filters`."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        chosen = {name: options.pop(name) for name in _NAMES}
        command(*arguments, filters=_filters(**chosen), **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _filters(
    queue_ids: tuple[str, ...],
    states: tuple[str, ...],
    mailbox: str,
    sender: str,
    recipient: str,
    client: str,
    older_than: float | None,
    newer_than: float | None,
    reason: str,
) -> Filters:
    now = time.time()
    known = tuple(State(state) for state in states if state != ACTIVE)
    numbers = frozenset(map(parse_id, queue_ids))
    try:
        wishes = wanted(
            () if ACTIVE in states else known,
            mailbox,
            sender,
            recipient,
            client=client,
            after=0.0 if newer_than is None else now - newer_than,
            before=inf if older_than is None else now - older_than,
            numbers=numbers if queue_ids else None,
        )
    except Refused as error:
        raise click.BadParameter(error.reply.text) from None
    return Filters(wishes, queue_ids, reason, known if ACTIVE in states else None)


def _ids(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Any:
    """Queue ids, checked before anything is looked up by them. "-" reads them from the input."""
    found: dict[str, None] = {}
    for value in values:
        for text in sys.stdin.read().split() if value == "-" else [value]:
            found[queue_id(text)] = None
    return tuple(found)


def queue_id(text: str) -> str:
    """A queue id as it is written. Raises BadParameter for what is none."""
    try:
        return render_id(parse_id(text))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no queue id: {error}.") from None


def _age(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else seconds(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


_STATES = [*(state.value for state in State), ACTIVE]
_OPTIONS = (
    click.argument(
        "queue_ids", nargs=-1, metavar="[ID]...", callback=_ids, shell_complete=queue_ids
    ),
    click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice(_STATES),
        help="Only messages in this state; may be given several times.",
    ),
    click.option(
        "--mailbox",
        default="",
        metavar="ADDRESS",
        shell_complete=names("mailbox"),
        help="Only what leaves by it.",
    ),
    click.option("--sender", default="", metavar="PATTERN", help='Only from it; "<>": null.'),
    click.option("--recipient", default="", metavar="PATTERN", help="Only with such a recipient."),
    click.option(
        "--client",
        default="",
        metavar="LOGIN|IP",
        shell_complete=names("client"),
        help="Only what this client sent.",
    ),
    click.option("--older-than", metavar="AGE", callback=_age, help='Such as "2h" or "5d".'),
    click.option("--newer-than", metavar="AGE", callback=_age, help="The same."),
    click.option("--reason", default="", metavar="TEXT", help="Only if why it waits says this."),
)
_NAMES = (
    "queue_ids",
    "states",
    "mailbox",
    "sender",
    "recipient",
    "client",
    "older_than",
    "newer_than",
    "reason",
)
