"""The spool dies after each of its system calls, or loses the power there, or gets an error.

Each scenario is walked once for every call it makes. After each crash the spool is opened again
and everything that had been promised by then must hold.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from attrs import Factory, define
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.draft import MEMORY_LIMIT, Draft
from m365gw.spool.files import Files
from m365gw.spool.health import Corrupt, SpoolError
from m365gw.spool.names import Entry, State
from m365gw.spool.operations import Action, Done, act_on
from m365gw.spool.round import Result
from m365gw.spool.spool import Spool
from tests.spool.faults import Died, FaultyFiles
from tests.spool.memory import MemoryFiles

EMPTY = "spool-in-memory"  # a folder that stays empty
SENT = Reply(250, "2.0.0", "OK")
LATER = Reply(451, "4.3.2", "Try later")
ENVELOPE = Envelope("a@example.com", tuple(Recipient(f"r{n}@example.net") for n in range(3)))
ORIGIN = Origin("192.0.2.1", 4321, "client", mailbox="relay@example.com")
SMALL = b"Subject: small\r\n\r\n" + b"0123456789abcdef" * 100
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * (MEMORY_LIMIT // 15)


@define
class Promises:
    """What the spool had promised when it crashed, by queue id; each noted when the call ended."""

    contents: dict[str, bytes] = Factory(dict)  # of every message begun
    accepted: set[str] = Factory(set)
    ending: set[str] = Factory(set)  # `remove` was called
    ended: set[str] = Factory(set)  # and returned
    ended_durably: set[str] = Factory(set)
    marked: dict[str, set[int]] = Factory(dict)
    delivered: dict[str, set[int]] = Factory(dict)
    delivered_durably: dict[str, set[int]] = Factory(dict)
    held: dict[str, str] = Factory(dict)
    held_durably: dict[str, str] = Factory(dict)
    operated: dict[str, Action] = Factory(dict)  # the last thing an operator was told is done
    asked: Action | None = None  # the last thing an operator asked for


Scenario = Callable[[Spool, Promises], None]


def accept(
    spool: Spool,
    promises: Promises,
    *contents: bytes,
    commit: Callable[[Spool, Sequence[Draft]], list[Result]] = Spool.commit,
) -> list[Entry]:
    """Take messages as the edge does, in one batch; what cannot be taken is left out."""
    drafts = []
    for content in contents:
        draft = spool.draft(ENVELOPE, ORIGIN)
        promises.contents[draft.queue_id] = content
        try:
            for start in range(0, len(content), 50000):
                draft.write(content[start : start + 50000])
            draft.finish()
        except SpoolError:
            continue
        drafts.append(draft)
    entries = [result for result in commit(spool, drafts) if isinstance(result, Entry)]
    promises.accepted.update(entry.queue_id for entry in entries)
    return entries


def accept_one(spool: Spool, promises: Promises) -> None:
    accept(spool, promises, SMALL)


def accept_batch(spool: Spool, promises: Promises) -> None:
    accept(spool, promises, SMALL, b"", SMALL * 3)


def accept_large(spool: Spool, promises: Promises) -> None:
    accept(spool, promises, LARGE)


def deliver(spool: Spool, promises: Promises) -> None:
    """Everything goes out at the first attempt."""
    for entry in list(spool.entries(State.INCOMING)):
        qid = entry.queue_id
        message = spool.claim(entry)
        spool.mark(message, [0, 1, 2])
        promises.marked[qid] = {0, 1, 2}
        spool.settle(message, [Verdict(n, Outcome.DELIVERED, SENT) for n in range(3)], 5.0)
        promises.delivered[qid] = {0, 1, 2}
        promises.ending.add(qid)
        spool.remove(message)
        promises.ended.add(qid)
    spool.sync_removals()
    promises.ended_durably |= promises.ended


def deliver_partly(spool: Spool, promises: Promises) -> None:
    """Two of three recipients get it; it waits for the third."""
    for entry in list(spool.entries(State.INCOMING)):
        qid = entry.queue_id
        message = spool.claim(entry)
        spool.mark(message, [0, 2])
        promises.marked[qid] = {0, 2}
        verdicts = [Verdict(n, Outcome.DELIVERED, SENT) for n in (0, 2)]
        spool.settle(message, [*verdicts, Verdict(1, Outcome.PENDING, LATER)], 5.0)
        promises.delivered[qid] = {0, 2}
        spool.defer(message, 300)
    spool.sync_removals()
    promises.delivered_durably |= promises.delivered


def defer(spool: Spool, promises: Promises) -> None:
    for entry in list(spool.entries(State.INCOMING)):
        message = spool.claim(entry)
        spool.settle(message, [Verdict(0, Outcome.PENDING, LATER)], 5.0)
        deferred = spool.defer(message, 300)
        waiting = spool.wait(spool.claim(deferred), 600)
        spool.defer(spool.claim(waiting), 900)


def hold(spool: Spool, promises: Promises) -> None:
    for entry in list(spool.entries(State.INCOMING)):
        spool.hold(spool.claim(entry), "sign-in is needed")
        promises.held[entry.queue_id] = "sign-in is needed"
    spool.sync_removals()
    promises.held_durably |= promises.held


def operate(*actions: Action) -> Scenario:
    """An operator does this to every message, one thing after the other."""

    def scenario(spool: Spool, promises: Promises) -> None:
        for action in actions:
            ids = [entry.queue_id for entry in spool.entries()]
            promises.asked = action
            promises.ending |= set(ids) if action is Action.REMOVE else set()
            for one in act_on(spool, action, ids, "sign-in is needed"):
                if one.result is Done.DONE:
                    promises.operated[one.queue_id] = action
                elif promises.operated.get(one.queue_id) is not action:
                    promises.operated.pop(one.queue_id, None)

    scenario.__name__ = " ".join(action.value for action in actions)
    return scenario


def mixed_day(spool: Spool, promises: Promises) -> None:
    """New mail comes while old mail goes out."""
    deliver(spool, promises)
    accept(spool, promises, SMALL, SMALL)
    deliver_partly(spool, promises)
    accept(spool, promises, SMALL)
    hold(spool, promises)


def opened(files: Files, log_size: int = 0) -> Spool:
    return Spool.open(
        EMPTY,
        hostname="a.example",
        clock=lambda: 1.7e9,
        files=lambda _: files,
        log_size=log_size,
    )


def opened_beside(files: Files) -> Spool:
    """The same spool as the queue tool opens it."""
    return Spool.open(EMPTY, hostname="a.example", read_only=True, files=lambda _: files)


ACCEPTING = (accept_one, accept_batch, accept_large)
OPERATIONS = (
    operate(Action.HOLD, Action.RELEASE, Action.RETRY),
    operate(Action.EXPIRE, Action.HOLD, Action.BOUNCE),
    operate(Action.HOLD, Action.REMOVE),
)
SCENARIOS = (*ACCEPTING, deliver, deliver_partly, defer, hold, mixed_day, *OPERATIONS)


class CrashCase(SynchronousTestCase):
    """Checks of a spool opened again after a crash."""

    log_size = 0

    def disk(self) -> tuple[MemoryFiles, Promises]:
        """A disk with two messages, promised and synced."""
        promises = Promises()
        files = MemoryFiles()
        accept(opened(files, self.log_size), promises, SMALL, LARGE)
        return files.copy(), promises

    def check(self, files: MemoryFiles, promises: Promises, power_lost: bool, where: str) -> None:
        spool = opened(files, self.log_size)
        self.assertEqual([], list(files.names("incoming/tmp")), where)
        hidden = [name for name in files.names("incoming/new") if name.startswith(".")]
        self.assertEqual([], hidden, where)
        entries = list(spool.entries())
        found = {entry.queue_id: entry for entry in entries}
        self.assertEqual(len(entries), len(found), f"{where}: a message has two names")
        for qid, entry in found.items():
            self.check_message(spool, entry, promises, power_lost, f"{where}, {qid}")
        missing = promises.accepted - promises.ending - set(found)
        self.assertEqual(set(), missing, f"{where}: accepted and missing")
        ended = promises.ended_durably if power_lost else promises.ended
        self.assertEqual(set(), ended & set(found), f"{where}: removed and back again")

    def check_message(
        self, spool: Spool, entry: Entry, promises: Promises, power_lost: bool, where: str
    ) -> None:
        qid = entry.queue_id
        if entry.state is State.CORRUPT:
            self.assertTrue(power_lost, f"{where}: only a power loss tears a file")
            self.assertNotIn(qid, promises.accepted, f"{where}: accepted and torn")
            return
        try:
            message = spool.claim(entry)
            content = message.read(0, message.size)
        except Corrupt as damage:
            self.fail(f"{where}: {damage}; a file is synced before it is shown")
        self.assertEqual(promises.contents[qid], content, where)
        self.assertEqual((ENVELOPE, ORIGIN), (message.envelope, message.origin), where)
        outcomes = [record.outcome for record in message.recipients]
        delivered = (promises.delivered_durably if power_lost else promises.delivered).get(qid, ())
        for index in delivered:
            self.assertEqual(Outcome.DELIVERED, outcomes[index], where)
        for index in promises.marked.get(qid, ()):
            self.assertNotEqual(Outcome.PENDING, outcomes[index], f"{where}: marked in vain")
        held = promises.held_durably if power_lost else promises.held
        self.check_operated(entry, promises, where)
        if qid in held:
            self.assertEqual((State.HOLD, held[qid]), (entry.state, message.reason), where)
        message.close()

    def check_operated(self, entry: Entry, promises: Promises, where: str) -> None:
        """What an operator was told is done is done, also after a power loss."""
        done = promises.operated.get(entry.queue_id)
        if done is not promises.asked:
            return  # the next thing may be done, or not yet
        states = {Action.HOLD: State.HOLD, Action.RELEASE: State.INCOMING}
        if done in states:
            self.assertIs(states[done], entry.state, where)
        if done in (Action.EXPIRE, Action.BOUNCE):
            self.assertTrue(entry.is_expired, where)
        self.assertIsNot(Action.REMOVE, done, f"{where}: removed and back again")

    def walk(
        self, scenario: Scenario, begin: Callable[[], tuple[MemoryFiles, Promises]] | None = None
    ) -> int:
        """Crash after each call of a scenario; returns how many calls it makes.

        `begin` gives the disk it starts on; calls of opening the spool then count too.
        """
        calls = 0
        while True:
            files, promises = begin() if begin else self.disk()
            faulty = FaultyFiles(files, dies_after=calls)
            try:
                if begin:
                    faulty.begin()
                spool = opened(faulty, self.log_size)
                if not begin:
                    faulty.begin()
                scenario(spool, promises)
            except Died as died:
                where = f"{scenario.__name__}, dead before call {calls + 1} ({died})"
            else:
                where = f"{scenario.__name__}, at its end"
            survivors = list(files.power_losses())
            files.kill()
            self.check(files, promises, False, f"{where}, killed")
            for survivor in survivors:
                self.check(survivor, promises, True, f"{where}, power lost")
            if where.endswith("at its end"):
                return calls
            calls += 1


class CrashTests(CrashCase):
    """Nothing promised is lost, whatever the call before which the process or the power ends."""

    def test_first_start(self) -> None:
        """A spool that was never made completely is made at the next start, and then works."""
        calls = self.walk(accept_one, lambda: (MemoryFiles(), Promises()))
        self.assertGreater(calls, 100)

    def test_accept_one(self) -> None:
        """A message is whole and durable when its commit returns, and never half there."""
        self.assertGreater(self.walk(accept_one), 8)

    def test_accept_batch(self) -> None:
        """So is each message of a batch, among them an empty one."""
        self.assertGreater(self.walk(accept_batch), 18)

    def test_accept_large(self) -> None:
        """So is a message that went to its file while it arrived."""
        self.assertGreater(self.walk(accept_large), 9)

    def test_deliver(self) -> None:
        """A delivered message never looks untried again."""
        self.assertGreater(self.walk(deliver), 20)

    def test_deliver_partly(self) -> None:
        """Recipients that got the message are known, or uncertain after a power loss."""
        self.assertGreater(self.walk(deliver_partly), 20)

    def test_defer(self) -> None:
        """A message that is put off is under its old name or its new one."""
        self.assertGreater(self.walk(defer), 20)

    def test_hold(self) -> None:
        """A held message stays held, with its reason."""
        self.assertGreater(self.walk(hold), 15)

    def test_operations(self) -> None:
        """A message an operator acts on is somewhere, once, and what was said to be done is."""
        for scenario in OPERATIONS:
            self.assertGreater(self.walk(scenario), 15)

    def test_mixed_day(self) -> None:
        """The steps together are no weaker than each alone."""
        self.assertGreater(self.walk(mixed_day), 60)


class ErrorCase(CrashCase):
    """Walks the errors of a scenario."""

    def walk_errors(self, scenario: Scenario, error: int, persists: bool = False) -> None:
        """Let each call of a scenario fail in turn, and look at what is left each time."""
        for number in range(1, 1000):
            files, promises = self.disk()
            before = set(promises.accepted)
            faulty = FaultyFiles(files, fails_at=number, error=error, persists=persists)
            spool = opened(faulty, self.log_size)
            faulty.begin()
            where = f"{scenario.__name__}, {errno.errorcode[error]} at call {number}"
            try:
                scenario(spool, promises)
            except SpoolError as refused:
                self.assertEqual(error, refused.cause.errno, where)
                code = 452 if error == errno.ENOSPC else 451
                self.assertEqual(code, refused.reply.code, where)
            if not faulty.failed:
                return
            if not {"unlink", "rename"} & set(faulty.failed) and scenario in ACCEPTING:
                shown = {entry.queue_id for entry in opened_beside(files).entries()}
                self.assertEqual(promises.accepted, shown, f"{where}: rubbish in new")
            self.assertLessEqual(before, promises.accepted)
            survivors = list(files.power_losses())
            files.kill()
            self.check(files, promises, False, where)
            for survivor in survivors:
                self.check(survivor, promises, True, where)
        self.fail("the scenario never ended")


class ErrorTests(ErrorCase):
    """A call that fails is a 4xx for the messages concerned, and nothing else."""

    def test_disk_full(self) -> None:
        """ENOSPC anywhere loses nothing and acknowledges nothing that is not there."""
        for scenario in SCENARIOS:
            self.walk_errors(scenario, errno.ENOSPC)

    def test_disk_broken(self) -> None:
        """So with EIO, at one call and at all from there on."""
        for scenario in SCENARIOS:
            self.walk_errors(scenario, errno.EIO)
            self.walk_errors(scenario, errno.EIO, persists=True)

    def test_no_more_open_files(self) -> None:
        """So with EMFILE."""
        for scenario in SCENARIOS:
            self.walk_errors(scenario, errno.EMFILE)


class MemoryDiskTests(CrashCase):
    """The disk in memory, by which crashes are judged, is a fair one."""

    def test_it_does_what_a_real_disk_does(self) -> None:
        """The same day of mail leaves the same spool on both."""
        path = self.mktemp()
        os.mkdir(path, 0o700)
        left = []
        for files in (MemoryFiles(), Files(path)):
            spool, promises = opened(files), Promises()
            accept(spool, promises, SMALL, LARGE)
            mixed_day(spool, promises)
            for entry in sorted(spool.entries(), key=lambda one: one.id):
                message = spool.claim(entry)
                left.append((entry, message.recipients, message.reason, message.read(0, 10**6)))
            spool.close()
        self.assertEqual(6, len(left))
        self.assertEqual(left[:3], left[3:])
