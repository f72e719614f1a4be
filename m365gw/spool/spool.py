"""The store: mail at rest, one file a message, in folders that say its state.

Promises: a message for which `commit` returned an Entry is whole and durable. A message is always
under exactly one name; a change of state is one rename. What is not known to be done is done
again, never taken as done.

Failures: `SpoolError` with a 4xx reply for each system call that fails, `Gone` when the file is
no longer there, `Corrupt` when it is not what was accepted, `Unusable` when opening. Calls marked
BLOCKING wait for the disk and belong in a thread; they may run beside one another and beside the
rest, which is for one thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from attrs import evolve

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.smtp.verdict import Verdict
from m365gw.spool import layout, scan
from m365gw.spool.draft import Draft
from m365gw.spool.files import Files
from m365gw.spool.grip import Grip
from m365gw.spool.health import Corrupt, Gone, Health, Unusable
from m365gw.spool.logged_round import LoggedRound
from m365gw.spool.message import Message, open_message
from m365gw.spool.names import Entry, QueueIds, State
from m365gw.spool.newest_id import NewestId
from m365gw.spool.round import Result, Round
from m365gw.spool.settling import Settling
from m365gw.spool.unsynced import Unsynced


class Spool:
    """The spool in one folder. Make it with `open`; one opened `read_only` changes nothing."""

    def __init__(
        self,
        files: Files,
        clock: Callable[[], float],
        worker: int,
        path: str = "",
        hostname: str = "",
        log_size: int = 0,
    ) -> None:
        self.path = path
        self._files = files
        self._clock = clock
        self._ids = QueueIds(clock, worker)
        self._newest_id = NewestId(files, clock)
        self._strays: dict[int, str] = {}  # where strays are; only of a spool that is read only
        self.health = Health(clock)
        self._unsynced = Unsynced(files, self.health)
        self.grip = Grip(files, self.health, self._unsynced, path, hostname, log_size)

    @classmethod
    def open(
        cls,
        path: str,
        *,
        hostname: str,
        worker: int = 0,
        clock: Callable[[], float] = time.time,
        read_only: bool = False,
        log_size: int = 0,
        files: Callable[[str], Files] = Files,
    ) -> Spool:
        """Open the spool, making it when it is not there.

        `hostname` is told to whoever finds the spool locked. `read_only` takes no lock, makes
        and sweeps nothing, and works beside the service that writes: files may vanish or move at
        any time. `log_size`, in octets, is of the commit log; 0 for who takes no mail by it. Raises
        Unusable.
        """
        try:
            if not read_only:
                layout.make_root(path)
            with contextlib.ExitStack() as undo:
                calls = files(path)
                spool = cls(calls, clock, worker, path, hostname, log_size)
                undo.callback(spool.close)
                if read_only:
                    layout.check_is_spool(calls, path)
                else:
                    spool.grip.take()
                    spool._ids = QueueIds(clock, worker, spool._newest_id.read())
                undo.pop_all()
                return spool
        except OSError as error:
            raise Unusable(
                f"The spool {path} cannot be opened: {error.strerror}. It must belong to the user "
                "of the service (chown -R), and the folders above must let that user through."
            ) from error

    def close(self) -> None:
        """Let go of the spool and its lock."""
        self._unsynced.close()
        if self.grip.log is not None:
            self.grip.log.close()
        for fd in self.grip.descriptors:
            with contextlib.suppress(OSError):
                self._files.close(fd)

    # Mail in

    def draft(self, envelope: Envelope, origin: Origin) -> Draft:
        """A new message; it has its queue id at once."""
        return Draft(self._files, self.health, self._ids.next(), envelope, origin)

    def commit(self, drafts: Sequence[Draft]) -> list[Result]:
        """BLOCKING. Make finished drafts durable together, and visible.

        Returns, in order, the entry of each message that may now be acknowledged, or the error for
        which its draft is gone.
        """
        return self.round(drafts).run()

    def round(self, drafts: Sequence[Draft]) -> Round:
        """What `commit` does, step by step, for who has another way to sync files."""
        if drafts:
            self._newest_id.note(drafts[-1].id)
        return Round(self._files, self.grip.new, drafts)

    def logged_round(self, drafts: Sequence[Draft]) -> LoggedRound | None:
        """The shorter way to be durable, for small messages; None when it must be `round`.

        Messages that go this way are seen later, by and by (`settling`).
        """
        log = self.grip.log
        if log is None or not drafts:
            return None
        self._newest_id.note(drafts[-1].id)
        return LoggedRound.begin(self.health, log, drafts)

    def settling(self) -> Settling | None:
        """The next acknowledged messages that are to become files; None when there are none."""
        log = self.grip.log
        if log is None or not log.acknowledged():
            return None
        return Settling(self._files, self.grip.new, log)

    # Looking

    def entries(self, *states: State) -> Iterator[Entry]:
        """Entries of these states (none given: all), as the disk gives them; opens no file.

        What moves while this runs may be seen twice or not at all.
        """
        for state in states or tuple(State):
            yield from scan.entries(self._files, self.health, state, self._stray)

    def find(self, queue_id: str) -> Entry | None:
        """The entry of a queue id given as text, wherever it rests; None when there is none."""
        return scan.find(self._files, self.health, queue_id, self._stray)

    def find_all(self, numbers: Collection[int]) -> dict[int, Entry]:
        """BLOCKING. The entries of many ids, wherever they rest, in one look through the names."""
        return scan.find_all(self._files, self.health, numbers, self._stray)

    # Mail out

    def claim(self, entry: Entry) -> Message:
        """Open a message. Raises Gone, Corrupt (it was moved to `corrupt/`) or SpoolError."""
        paths = (layout.path_of(entry), self._strays.get(entry.id, ""))
        try:
            return open_message(self._files, self.health, entry, paths, not self._is_read_only)
        except Corrupt:
            self.set_aside(entry)
            raise

    def mark(self, message: Message, recipients: Sequence[int]) -> None:
        """BLOCKING. Note, before the final dot, that these recipients may get the message.

        Only when it returns may the dot be sent: a crash in between is then known as uncertain.
        """
        message.write_uncertain(recipients)
        self.sync(message)

    def settle(self, message: Message, verdicts: Sequence[Verdict], at: float) -> None:
        """Note the verdicts of an attempt at this time; durable by the next `sync_removals`."""
        message.write_verdicts(verdicts, at)

    def sync(self, message: Message) -> None:
        """BLOCKING. Make what was noted in a claimed message durable. Raises SpoolError."""
        with self.health:
            self._files.fdatasync(message.fd)

    def defer(self, message: Message, due: int) -> Entry:
        """Try again at this time; counts an attempt. Ends the claim."""
        tried = message.entry.attempts + 1
        return self._rest(
            message, evolve(message.entry, state=State.DEFERRED, due=due, attempts=tried)
        )

    def wait(self, message: Message, due: int) -> Entry:
        """Try again at this time; it was not the message's fault. Ends the claim."""
        return self._rest(message, evolve(message.entry, state=State.DEFERRED, due=due))

    def hold(self, message: Message, reason: str) -> Entry:
        """Put aside until it is released, for this reason in words. Ends the claim."""
        message.write_reason(reason)
        return self._rest(message, evolve(message.entry, state=State.HOLD, is_expired=False))

    def remove(self, message: Message) -> None:
        """The message has ended. Ends the claim; durable by the next `sync_removals`."""
        try:
            self.unlink(message.entry)
        except Gone:  # a mail reader may have moved it meanwhile
            moved = self.find(message.queue_id)
            if moved is not None:
                with contextlib.suppress(Gone):
                    self.unlink(moved)
        message.close()

    def set_aside(self, entry: Entry) -> Entry:
        """Move a damaged message to `corrupt/`, whole as it is. Raises SpoolError."""
        aside = evolve(entry, state=State.CORRUPT)
        if self._is_read_only or entry.state is State.CORRUPT:
            return aside
        with contextlib.suppress(Gone):
            self.move(entry, aside)
        return aside

    # One step, for `delivery` above and for `operations`; each durable by the next `sync_removals`

    def move(self, entry: Entry, to: Entry) -> Entry:
        """Give a message another state or name: one rename. Raises Gone or SpoolError."""
        with self.health:
            try:
                self._files.rename(layout.path_of(entry), layout.path_of(to))
            except FileNotFoundError:
                raise Gone(entry.queue_id) from None
        self._unsynced.folders_of(entry, to)
        return to

    def unlink(self, entry: Entry) -> None:
        """Delete the file of a message. Raises Gone or SpoolError."""
        with self.health:
            try:
                self._files.unlink(layout.path_of(entry))
            except FileNotFoundError:
                raise Gone(entry.queue_id) from None
        self._unsynced.folders_of(entry)

    @property
    def has_unsynced(self) -> bool:
        """Whether there is something for `sync_removals` to do."""
        return bool(self._unsynced)

    def sync_removals(self) -> None:
        """BLOCKING. Make removals, moves and outcomes so far durable. Raises SpoolError."""
        self._unsynced.sync()

    # The disk

    def free_space(self) -> int:
        """Octets that may still be written. Raises SpoolError."""
        with self.health:
            return self._files.free_space()

    def free_files(self) -> int | None:
        """Files that may still be made; None: as many as there is space. Raises SpoolError."""
        with self.health:
            return self._files.free_files()

    def read_state(self, name: str) -> bytes | None:
        """A small file of the state folder, None when there is none. Raises SpoolError."""
        with self.health:
            return layout.read(self._files, layout.state_path(name))

    def write_state(self, name: str, data: bytes) -> None:
        """BLOCKING. Replace a small file of the state folder, durably. Raises SpoolError."""
        with self.health:
            layout.write_durably(self._files, layout.state_path(name), data)

    # Within

    @property
    def _is_read_only(self) -> bool:
        return self.grip.new < 0

    def _rest(self, message: Message, entry: Entry) -> Entry:
        message.entry = self.move(message.entry, entry)
        self._unsynced.outcome(message)
        return entry

    def _stray(self, entry: Entry, path: str) -> bool:
        if self._is_read_only:
            self._strays[entry.id] = path
            return True
        return scan.give_name_back(self._files, entry, path)
