"""Finding messages by the names of their files alone.

Names are read as the disk gives them, never all at once: a million take about five seconds and
no memory. What moves meanwhile may be seen twice or not at all. Files that are not ours are left
alone. A mail reader that opened a folder moves and flags what it has shown; such a file gets its
own name back, because that name is how we find it again.

Failures: SpoolError when a folder cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from m365gw.spool import layout
from m365gw.spool.files import Files
from m365gw.spool.health import Health
from m365gw.spool.names import ID_LENGTH, Entry, State, parse_id, parse_name, render_id

# What to do with a file that does not have its own name: its entry and its path are given, and the
# answer is whether the message can be found now.
Stray = Callable[[Entry, str], bool]


# The order of a search. Who looks for one that waits knows it from the schedule, and what is held
# is soon read. What is damaged comes last: mended, it may be there a second time.
_SEARCHED = (State.HOLD, State.INCOMING, State.DEFERRED, State.CORRUPT)


def entries(files: Files, health: Health, state: State, stray: Stray) -> Iterator[Entry]:
    """All entries of one state."""
    for maildir in layout.maildirs_of(state):
        yield from _entries_in(files, health, maildir, state, stray)


def find(files: Files, health: Health, queue_id: str, stray: Stray) -> Entry | None:
    """The entry of a queue id in any letter case; None when there is none, or it is no id."""
    try:
        number = parse_id(queue_id)
    except ValueError:
        return None
    return find_all(files, health, [number], stray).get(number)


def find_all(
    files: Files, health: Health, numbers: Collection[int], stray: Stray
) -> dict[int, Entry]:
    """The entries of many ids, in one look through the names; those that are nowhere are left out.

    Of a message that is there twice (in `corrupt`, and mended) the one that can be sent is given.
    """
    found: dict[int, Entry] = {}
    missing = set(numbers)
    looks_wanted = _looking_for(missing)
    for _ in range(2):  # one may move on just ahead of the first search
        for state in _SEARCHED:
            for maildir in sorted({m for one in missing for m in layout.maildirs_of(state, one)}):
                for entry in _entries_in(files, health, maildir, state, stray, looks_wanted):
                    if entry.id in missing:
                        found[entry.id] = entry
                        missing.remove(entry.id)
                        if not missing:
                            return found
    return found


def _looking_for(numbers: Collection[int]) -> Callable[[str], bool]:
    """Whether a name may be that of one of these messages: a tenth of the work of reading it."""
    texts = {render_id(number) for number in numbers}

    def is_one(name: str) -> bool:
        place = name.find("Q") + 1
        return name[place : place + ID_LENGTH] in texts

    return is_one


def _any(_name: str) -> bool:
    return True


def _entries_in(
    files: Files,
    health: Health,
    maildir: str,
    state: State,
    stray: Stray,
    looks_wanted: Callable[[str], bool] = _any,
) -> Iterator[Entry]:
    for part in ("new", "cur"):
        folder = f"{maildir}/{part}"
        with health:
            for name in filter(looks_wanted, files.names(folder)):
                entry = parse_name(name, state)
                if entry is not None and (
                    layout.is_in_place(entry, folder, name) or stray(entry, f"{folder}/{name}")
                ):
                    yield entry


def give_name_back(files: Files, entry: Entry, path: str) -> bool:
    """Rename a stray as we would name it. False: it could not be; the next scan tries again."""
    try:
        files.rename(path, layout.path_of(entry))
    except OSError:
        return False
    return True
