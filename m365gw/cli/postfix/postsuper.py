"""`postsuper`: delete, hold, release, requeue and force-expire messages, by id or all of a queue.

Works with the service running, which does it then, and stopped. For each message named a line says
what was done; what is not there, or is so already, is passed over. The report and the exit code
(0, whatever was found) are Postfix's. `-s`, `-S` and `-p`, which repair a queue of Postfix's, do
nothing here: the service repairs its spool when it starts.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from attrs import define, field, frozen

from m365gw.cli.postfix.call import Call, Fatal
from m365gw.cli.postfix.postqueue import QUEUE_ID
from m365gw.cli.postfix.queues import NAMES, Queues
from m365gw.cli.queue.actions import Acting, CannotAct, actions
from m365gw.spool.names import render_id
from m365gw.spool.operations import Action, Done, find

_USAGE = Fatal(
    "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] "
    "[-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] "
    "[-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] "
    "[-S (redundant structure fix)][-v (verbose)] [queue...]"
)
ALL = "ALL"
_AT_ONCE = 500  # queue ids looked for together
_ANYWHERE = ("hold", "incoming", "active", "deferred")
_REPORTS = ("Requeued", "Deleted", "Force-expired", "Placed on hold", "Released from hold")


@frozen
class Step:
    """A thing done to messages of some queues: what is said of each, and what it counts as."""

    action: Action
    said: str
    report: str
    queues: tuple[str, ...] = _ANYWHERE
    is_done_already: bool = False  # whether a message that needs nothing done counts, too


_RELEASE = Step(Action.RELEASE, "released from hold", "Released from hold", ("hold",))
_EXPIRE = Step(Action.EXPIRE, "expired", "Force-expired")
_STEPS: Final = {
    "d": (Step(Action.REMOVE, "removed", "Deleted"),),
    "e": (_EXPIRE,),
    "f": (_EXPIRE, _RELEASE),
    "h": (Step(Action.HOLD, "placed on hold", "Placed on hold", _ANYWHERE[1:]),),
    "H": (_RELEASE,),
    # Postfix takes a requeued message in once more. Here it goes at once, under its id.
    "r": (
        Step(Action.RETRY, "requeued", "Requeued", _ANYWHERE[1:], is_done_already=True),
        Step(Action.RELEASE, "requeued", "Requeued", ("hold",)),
    ),
}


def postsuper(call: Call) -> int:
    """The command. Raises Fatal."""
    wishes = [wish for wish in call.options("c:d:e:f:h:H:pr:sSv", _USAGE) if wish[0] in _STEPS]
    for name in call.arguments:
        if name not in NAMES:
            raise Fatal(f"invalid directory name: {name}")
    if not wishes:
        return 0  # repairs, of which the service takes care
    spool_dir, control_socket = call.place("spool_dir"), call.place("control_socket")
    try:
        with actions(spool_dir, control_socket) as acting, call.spool() as spool:
            queues = Queues(spool, acting.active())
            superintendent = Superintendent(call, acting, queues, tuple(call.arguments))
            for letter, value in wishes:
                superintendent.do(_STEPS[letter], value)
    except CannotAct as error:
        raise Fatal(str(error)) from None
    superintendent.report()
    return 0


@define
class Superintendent:
    """Does what is asked for, and counts. `named` are the queues the command line restricts to."""

    _call: Call
    _acting: Acting
    _queues: Queues
    _named: tuple[str, ...]
    _counts: Counter[str] = field(factory=Counter)

    def do(self, steps: tuple[Step, ...], value: str) -> None:
        """These steps for what an option names: one message, those on standard input, or all."""
        for step in steps:
            self._counts[step.report] += 0
        if value == ALL:
            for step in steps:
                self._do_all(step)
            return
        ids = self._ids_given() if value == "-" else iter([value])
        while batch := list(islice(ids, _AT_ONCE)):
            self._do_some(steps, batch)

    def report(self) -> None:
        """Say how many messages each kind of thing was done to."""
        for words in _REPORTS:
            if words in self._counts:
                count = self._counts[words]
                self._call.say(f"{words}: {count} message{'' if count == 1 else 's'}")

    def _ids_given(self) -> Iterator[str]:
        for line in self._call.stdin:
            yield line.rstrip(b"\n").decode("utf-8", "replace")

    def _do_all(self, step: Step) -> None:
        """Look first, then do, the oldest first: what is done to a message changes its name."""
        wanted = self._where(step)
        numbers = array("Q", sorted({entry.id for entry in self._queues.entries(wanted)}))
        for _ in self._act(step, map(render_id, numbers)):
            self._counts[step.report] += 1

    def _do_some(self, steps: tuple[Step, ...], queue_ids: list[str]) -> None:
        """The steps for a batch; what is said of a message stands where it was named."""
        said: dict[str, list[str]] = {}
        known = find(self._queues.spool, [each for each in queue_ids if QUEUE_ID.fullmatch(each)])
        for step in steps:
            wanted = self._where(step)
            chosen = dict.fromkeys(
                queue_id for queue_id, entry in known.items() if self._queues.of(entry) in wanted
            )
            for queue_id in self._act(step, [each for each in queue_ids if each in chosen]):
                self._counts[step.report] += 1
                said.setdefault(queue_id, []).append(step.said)
        for queue_id in queue_ids:
            if not QUEUE_ID.fullmatch(queue_id):
                self._call.warn(f"invalid mail queue id: {queue_id}")
            for words in said.pop(queue_id, ()):
                self._call.say(f"{queue_id}: {words}")

    def _act(self, step: Step, queue_ids: Iterable[str]) -> Iterator[str]:
        """Do one step; gives the ids it was done to. What failed is told."""
        counting = {Done.DONE, Done.LATER} | ({Done.UNCHANGED} if step.is_done_already else set())
        for one in self._acting.act(step.action, queue_ids):
            if one.result in counting:
                yield one.queue_id
            elif one.result is Done.FAILED:
                self._call.warn(f"{one.queue_id}: {one.words}")

    def _where(self, step: Step) -> frozenset[str]:
        return frozenset(step.queues).intersection(self._named or step.queues)
