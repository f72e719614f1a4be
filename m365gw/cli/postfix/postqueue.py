"""`postqueue`, and `mailq`: the queue listed, and tried now.

Exit codes are Postfix's: 0, also for an empty queue; 69 for a wrong command line, and when the
service does not run that is to try the mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from m365gw.cli.postfix.call import EX_UNAVAILABLE, Call, Fatal
from m365gw.cli.postfix.listing import json_lines, table
from m365gw.cli.postfix.queues import STATES, Queues, service
from m365gw.cli.queue.actions import Acting, CannotAct, actions
from m365gw.cli.spool_dir import UNSEEN
from m365gw.spool import layout
from m365gw.spool.operations import Action

_USAGE = Fatal(
    "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site",
    EX_UNAVAILABLE,
)
QUEUE_ID = re.compile(r"[A-Za-z0-9_]+")
_SITE = re.compile(r"\[[0-9A-Za-z.:]+\]|[0-9A-Za-z]([0-9A-Za-z.-]{0,252}[0-9A-Za-z])?")
_IS_DOWN = Fatal("Cannot flush mail queue - mail system is down", EX_UNAVAILABLE)


def postqueue(call: Call) -> int:
    """The command. Raises Fatal."""
    wishes = [wish for wish in call.options("c:fi:jps:v", _USAGE) if wish[0] != "v"]
    if len(wishes) != 1 or call.arguments:
        raise _USAGE
    ((letter, value),) = wishes
    if letter in "jp":
        return list_queue(call, as_json=letter == "j")
    if letter == "f":
        return flush(call)
    return flush_one(call, value) if letter == "i" else flush_site(call, value)


def list_queue(call: Call, *, as_json: bool = False) -> int:
    """Print the queue, each message as soon as it is read. Raises Fatal."""
    state = service(call)
    with call.spool() as spool:
        if state.is_down:
            call.warn(f"Mail system is down -- accessing queue directly ({state.is_down})")
            if layout.has_log(spool.path):
                call.warn(UNSEEN)
        messages = Queues(spool, state.active).messages((*STATES, "active"), call)
        lines = json_lines if as_json else table
        for text in lines(messages, state.active):
            call.stdout.write(text.encode("utf-8"))
            call.stdout.flush()
    return 0


def flush(call: Call) -> int:
    """Try everything now that waits for its time. Raises Fatal."""
    with _running(call) as acting:
        acting.flush()
    return 0


def flush_one(call: Call, queue_id: str) -> int:
    """Try one message now; one that is not there is no failure. Raises Fatal."""
    if not QUEUE_ID.fullmatch(queue_id):
        words = f'Cannot flush queue ID - invalid name: "{queue_id}"'
        raise Fatal(words, EX_UNAVAILABLE)
    return _retry(call, [queue_id.upper()])


def flush_site(call: Call, site: str) -> int:
    """Try all mail now that waits for recipients of one domain. Raises Fatal."""
    if not _SITE.fullmatch(site):
        words = f'Cannot flush mail queue - invalid destination: "{site[:100]}"'
        raise Fatal(words, EX_UNAVAILABLE)
    ending = f"@{site}".lower()
    with call.spool() as spool:
        messages = Queues(spool, ()).messages(("incoming", "deferred"), call)
        waiting = [
            queued.entry.queue_id
            for queued in messages
            if any(
                record.recipient.address.lower().endswith(ending)
                for record in queued.open_recipients
            )
        ]
    return _retry(call, waiting)


def _retry(call: Call, queue_ids: Iterable[str]) -> int:
    with _running(call) as acting:
        for _ in acting.act(Action.RETRY, queue_ids):
            pass
    return 0


@contextmanager
def _running(call: Call) -> Iterator[Acting]:
    """The way to act on the queue, through the service: nobody else tries mail."""
    if service(call).is_down:
        raise _IS_DOWN
    try:
        with actions(call.place("spool_dir"), call.place("control_socket")) as acting:
            yield acting
    except CannotAct as error:
        raise Fatal(str(error), error.code) from None
