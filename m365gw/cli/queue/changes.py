"""`m365gw queue hold, release, retry, bounce, remove, flush`: what is done to messages.

The running service does it, or, when none runs, this command under the spool's lock. Each message
is done by itself: what was done stays done when the command is broken off, and doing it again
harms nothing.

Exit codes: 0 done, or to be done when its delivery ends; 1 when a message was not there or it
failed; 2 for wrong use; 66, 69, 74, 75, 77 as `m365gw.cli.queue.actions` and `spool_dir` say.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from attrs import evolve

from m365gw.cli.queue.actions import Acting, CannotAct, actions
from m365gw.cli.queue.filters import Filters, with_filters
from m365gw.cli.queue.objects import message_object
from m365gw.cli.queue.progress import counting
from m365gw.cli.queue.table import table
from m365gw.cli.running import running_now
from m365gw.cli.spool_dir import Place, end, looking, with_place
from m365gw.cli.words import counted, escaped, printed
from m365gw.spool.names import State, render_id
from m365gw.spool.operations import Action, Done, Result

SHOWN = 20  # results that are shown one by one, when all went well

_WAITING = (State.INCOMING, State.DEFERRED)
_ALL = (*_WAITING, State.HOLD)
# What each action is about unless a state is asked for. Nothing damaged goes by mistake.
_STATES = {
    Action.HOLD: _WAITING,
    Action.RELEASE: (State.HOLD,),
    Action.RETRY: (State.DEFERRED,),
    Action.BOUNCE: _ALL,
    Action.REMOVE: _ALL,
}
# What is done to a message, and how far it is when this command has done its part.
_WORDS = {
    Action.HOLD: "held",
    Action.RELEASE: "released",
    Action.RETRY: "tried at once",
    Action.BOUNCE: "returned to the sender",
    Action.REMOVE: "removed",
}
_BY_NOW = _WORDS | {each: f"to be {_WORDS[each]}" for each in (Action.RETRY, Action.BOUNCE)}

_KEYS = """\b
Keys of --json:
queue_id  13 characters
result    done; later (it is being delivered: when that has ended, if it is still here then);
          gone (there is no such message); unchanged (nothing was to be done); failed
words     why it was not done, or ""
With --dry-run those of m365gw queue list.
"""


_HELP = {
    Action.HOLD: "Put messages aside until they are released.",
    Action.RELEASE: "Let held messages go on, at once.",
    Action.RETRY: "Try messages at once that wait for their next attempt.",
    Action.BOUNCE: "Return messages to their senders, with a report.",
    Action.REMOVE: "Delete messages. Nobody is told.",
}


def change(action: Action, *options: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Makes the command of an action out of a function with its help text."""

    def made(described: Callable[..., None]) -> click.Command:
        @with_place
        @with_filters
        @functools.wraps(described)
        def run(place: Place, **chosen: Any) -> None:
            _run(action, place, **chosen)

        for option in (*options, *_SWITCHES):
            run = option(run)
        return click.command(action.value, epilog=_KEYS, short_help=_HELP[action])(run)

    return made


_SWITCHES = (
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line."),
    click.option("--dry-run", is_flag=True, help="Show what would be touched, touch nothing."),
    click.option("--all", "is_all", is_flag=True, help="Everything; needed without any filter."),
)
_YES = click.option("--yes", is_flag=True, help="Do not ask, however many they are.")


@change(
    Action.HOLD,
    click.option("--why", default="", metavar="TEXT", help="Noted with each message, and shown."),
)
def hold() -> None:
    """Put messages aside until they are released.

    One that is being delivered is held when that has ended without success.
    """


@change(Action.RELEASE)
def release() -> None:
    """Let held messages go on, at once, the oldest first."""


@change(Action.RETRY)
def retry() -> None:
    """Try messages at once that wait for their next attempt.

    A mailbox that may not send now keeps its messages waiting all the same.
    """


@change(Action.BOUNCE, _YES)
def bounce() -> None:
    """Return messages to their senders, with a report that says that you did.

    It needs no mailbox that may send the message, only one that may send the report.
    """


@change(Action.REMOVE, _YES)
def remove() -> None:
    """Delete messages. Nobody is told, and nothing brings them back."""


@click.command(short_help="Try everything at once that waits for its next attempt.")
@click.option("--mailbox", default="", metavar="ADDRESS", help="Only what leaves by it.")
@with_place
def flush(place: Place, mailbox: str) -> None:
    """Try everything at once that waits for its next attempt. Held messages stay held.

    A mailbox that is stopped is tried again, too, by the next message that is due.
    """
    with _acting(place) as acting:
        count = acting.flush(mailbox)
    click.echo(f"{counted(count, 'message')} to be tried at once.")
    if not count:
        click.echo("What is due already goes as soon as its mailbox may send.")


def _run(
    action: Action,
    place: Place,
    filters: Filters,
    as_json: bool,
    dry_run: bool,
    is_all: bool,
    why: str = "",
    yes: bool = False,
) -> None:
    filters = evolve(filters, is_all=is_all)
    if filters.is_nothing:
        raise click.UsageError("Name queue ids or give filters; --all means every message.")
    chosen = filters.within(*_states(action, filters))
    if dry_run:
        _show(action, place, chosen, as_json)
        return
    with _acting(place) as acting:
        ids: Sequence[str] = filters.queue_ids
        if not filters.are_ids_alone:
            numbers = _numbers(place, chosen, acting)
            if not yes and action in (Action.BOUNCE, Action.REMOVE):
                _ask(action, len(numbers))
            ids = _Rendered(numbers)
        results = counting(acting.act(action, ids, why), f"of {len(ids):,} done")
        is_good = _tell(action, results, as_json, is_short=len(ids) > SHOWN)
    if not is_good:
        raise click.exceptions.Exit(1)


def _states(action: Action, filters: Filters) -> tuple[State, ...]:
    if action is Action.REMOVE and filters.are_ids_alone:
        return tuple(State)
    return _STATES[action]


@contextmanager
def _acting(place: Place) -> Iterator[Acting]:
    try:
        with actions(place.spool_dir, place.control_socket) as acting:
            yield acting
    except CannotAct as error:
        end(error.code, str(error))


def _numbers(place: Place, chosen: Filters, acting: Acting) -> array[int]:
    """The numbers of the messages chosen, the oldest first."""
    active = acting.active() if chosen.wants_active else frozenset()
    with looking(place) as spool:
        entries = counting(chosen.entries(spool, active), "found")
        return array("Q", sorted({entry.id for entry in entries}))


class _Rendered(Sequence[str]):
    """Queue ids, kept as numbers: there may be a million."""

    def __init__(self, numbers: array[int]) -> None:
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: Any) -> Any:
        return render_id(self._numbers[place])


def _show(action: Action, place: Place, chosen: Filters, as_json: bool) -> None:
    with looking(place) as spool:
        running = running_now(place.control_socket)
        messages = chosen.touched(spool, running.active)
        if as_json:
            printed(json.dumps(message_object(queued, running)) for queued in messages)
        else:
            printed(table(messages, time.time(), running))
            click.echo(f"Nothing was touched. Without --dry-run they would be {_WORDS[action]}.")


def _ask(action: Action, count: int) -> None:
    """Many that were not named one by one are asked for once more."""
    if count < 2:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{counted(count, 'message')} would be {_WORDS[action]}: add --yes to mean it, or"
            " --dry-run to see them."
        )
    click.confirm(f"{counted(count, 'message')} will be {_WORDS[action]}. Go on?", abort=True)


def _tell(action: Action, results: Iterable[Result], as_json: bool, is_short: bool) -> bool:
    """Print what became of each message. Whether it is what was asked for."""
    count: Counter[Done] = Counter()

    def lines() -> Iterator[str]:
        for one in results:
            count[one.result] += 1
            if as_json:
                plain = {"queue_id": one.queue_id, "result": one.result.value, "words": one.words}
                yield json.dumps(plain)
            elif one.result is not Done.DONE:
                yield f"{one.queue_id}  {one.result.value}: {escaped(one.words)}"
            elif not is_short:
                yield f"{one.queue_id}  {_BY_NOW[action]}"
        if not as_json:
            yield _summary(action, count)

    printed(lines())
    return not (count[Done.GONE] or count[Done.FAILED])


def _summary(action: Action, count: Counter[Done]) -> str:
    others = [f"{count[done]:,} {done.value}" for done in Done if done is not Done.DONE]
    done = f"{counted(count[Done.DONE], 'message')} {_BY_NOW[action]}"
    return ", ".join([done, *(text for text in others if not text.startswith("0 "))]) + "."
