"""An operator acts on the queue of a running service, whatever the message is doing."""

from __future__ import annotations

from email import message_from_bytes
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Queue
from m365gw.spool.names import Entry, State
from m365gw.spool.operations import Action, Done, Result
from tests.relay.queue.test_dispatch import Slow
from tests.relay.reports.test_bounces import NO_USER
from tests.relay.stage import APP, BOX, GENEROUS, TWIN, Pool, Stage, accept, lose_after_dot, refuse

LATER = refuse(451, "4.3.2", "try later")


class OperationsCase(SynchronousTestCase):
    def stage(self, **more: object) -> Stage:
        stage = Stage(self, **more)  # type: ignore[arg-type]  # passed on as it is
        stage.dispatch.start()
        return stage

    def act(self, stage: Stage, action: Action, *entries: Entry, reason: str = "") -> list[Result]:
        ids = [entry.queue_id for entry in entries]
        acted = Deferred.fromCoroutine(stage.operations.act(action, ids, reason))
        stage.turn()
        return self.successResultOf(acted)

    def done(self, stage: Stage, action: Action, *entries: Entry, reason: str = "") -> None:
        results = self.act(stage, action, *entries, reason=reason)
        self.assertEqual([one.result for one in results], [Done.DONE] * len(entries))

    def states(self, stage: Stage) -> list[State]:
        return [entry.state for entry in stage.entries()]

    def deferred(self, stage: Stage, *recipients: str) -> Entry:
        """A message that was tried once, and waits."""
        stage.pool.script = [LATER]
        stage.send(*recipients)
        (entry,) = stage.entries()
        return entry


class WaitingTests(OperationsCase):
    """A message that waits in the schedule, or rests in hold."""

    def test_hold_and_release(self) -> None:
        """A held message is not tried, however long; a released one goes at once."""
        stage = self.stage()
        entry = self.deferred(stage)
        self.done(stage, Action.HOLD, entry, reason="looks odd")
        stage.wait(20_000, 500)
        (queued,) = stage.queued()
        self.assertEqual((queued.entry.state, queued.reason), (State.HOLD, "looks odd"))
        self.assertEqual(stage.pool.delivered, [])
        (told,) = stage.events("message.held")
        self.assertEqual(told["note"], "held, by an operator: looks odd")
        self.done(stage, Action.RELEASE, entry)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))

    def test_retry_goes_at_once(self) -> None:
        """What waits for its time is tried now, and counts as a retry."""
        stage = self.stage()
        self.done(stage, Action.RETRY, self.deferred(stage))
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))

    def test_remove(self) -> None:
        """A removed message is gone, from the schedule too."""
        stage = self.stage()
        entry = self.deferred(stage)
        self.done(stage, Action.REMOVE, entry)
        self.assertEqual((stage.entries(), len(stage.schedule)), ([], 0))
        self.assertEqual(self.act(stage, Action.REMOVE, entry)[0].result, Done.GONE)
        self.assertEqual(len(stage.events("message.removed")), 1)

    def test_what_changes_nothing_is_said(self) -> None:
        """And the message keeps its place."""
        stage = self.stage()
        entry = self.deferred(stage)
        self.assertEqual(self.act(stage, Action.RELEASE, entry)[0].result, Done.UNCHANGED)
        self.assertIn(entry.id, stage.schedule)
        self.done(stage, Action.HOLD, entry)
        for action in (Action.HOLD, Action.RETRY):
            self.assertEqual(self.act(stage, action, entry)[0].result, Done.UNCHANGED)

    def test_ids_that_are_none(self) -> None:
        """What is no queue id is no message, and harms nothing."""
        stage = self.stage()
        asked = stage.operations.act(Action.REMOVE, ["../../etc/passwd", "", "0" * 13])
        results = self.successResultOf(Deferred.fromCoroutine(asked))
        self.assertEqual([one.result for one in results], [Done.GONE] * 3)

    def test_what_memory_does_not_know_is_found(self) -> None:
        """A message that another process put back is acted on where it is."""
        stage = self.stage()
        entry = self.deferred(stage)
        stage.schedule.remove(entry.id)
        self.done(stage, Action.REMOVE, entry)
        self.assertEqual(stage.entries(), [])

    def test_a_message_that_moves_meanwhile(self) -> None:
        """It is looked for once more where it has gone."""
        stage = self.stage()
        entry = self.deferred(stage)
        stage.spool.hold(stage.spool.claim(entry), "moved away")
        self.done(stage, Action.REMOVE, entry)
        self.assertEqual(stage.entries(), [])

    def test_oldest_first(self) -> None:
        """Many that are released go in the order in which they came."""
        stage = self.stage(limits=evolve(GENEROUS, connections=1))
        entries = [stage.put(f"{number}@example.net") for number in range(50)]
        self.done(stage, Action.HOLD, *entries)
        self.done(stage, Action.RELEASE, *reversed(entries))
        stage.turn(200)
        self.assertEqual(stage.reached(), [f"{number}@example.net" for number in range(50)])


class FlyingTests(OperationsCase):
    """A message that is being delivered."""

    def flying(self, then: Any = LATER) -> tuple[Stage, Slow, Entry]:
        slow = Slow(then)
        stage = self.stage(pool=Pool(script=[slow]))
        entry = stage.send()
        self.assertEqual(stage.operations.active(), [entry.queue_id])
        return stage, slow, entry

    def wish(self, stage: Stage, action: Action, entry: Entry) -> None:
        (result,) = self.act(stage, action, entry, reason="a wish")
        self.assertEqual(result.result, Done.LATER)
        self.assertEqual(stage.entries(), [entry])  # its file is left alone

    def test_held_when_it_lands(self) -> None:
        """What could not be delivered is held then, and not tried again."""
        stage, slow, entry = self.flying()
        self.wish(stage, Action.HOLD, entry)
        slow.let_go()
        stage.wait(20_000, 500)
        (queued,) = stage.queued()
        self.assertEqual((queued.entry.state, queued.reason), (State.HOLD, "a wish"))
        self.assertEqual(stage.pool.transactions, 1)

    def test_removed_or_returned_when_it_lands(self) -> None:
        """So with the other wishes."""
        for action, reports in ((Action.REMOVE, []), (Action.BOUNCE, [APP])):
            stage, slow, entry = self.flying()
            self.wish(stage, action, entry)
            slow.let_go()
            stage.turn()
            self.assertEqual((stage.reached(), stage.entries()), (reports, []))

    def test_delivered_all_the_same(self) -> None:
        """A delivery that was under way may succeed; then the log says that the wish came late."""
        stage, slow, entry = self.flying(then=accept)
        self.wish(stage, Action.HOLD, entry)
        slow.let_go()
        stage.turn()
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))
        self.assertEqual(len(stage.events("operation.missed")), 1)

    def test_what_ends_in_hold_is_still_removed(self) -> None:
        """A wish reaches a message wherever its delivery leaves it."""
        slow = Slow(NO_USER)
        stage = self.stage(pool=Pool(script=[slow]))
        entry = stage.send(sender="")  # it cannot be returned, so it will be held
        self.wish(stage, Action.REMOVE, entry)
        slow.let_go()
        stage.turn()
        self.assertEqual(stage.entries(), [])

    def test_the_last_wish_counts(self) -> None:
        """And a release takes all back."""
        stage, slow, entry = self.flying()
        self.wish(stage, Action.REMOVE, entry)
        self.wish(stage, Action.HOLD, entry)
        self.done(stage, Action.RELEASE, entry)
        slow.let_go()
        stage.turn()
        self.assertEqual(self.states(stage), [State.DEFERRED])
        self.assertEqual(self.act(stage, Action.HOLD, entry)[0].result, Done.DONE)

    def test_a_reason_is_kept(self) -> None:
        """Who wants the same once more, and says no reason, takes none back."""
        stage, slow, entry = self.flying()
        self.wish(stage, Action.HOLD, entry)
        self.assertEqual(self.act(stage, Action.HOLD, entry)[0].result, Done.LATER)
        slow.let_go()
        stage.turn()
        self.assertEqual([one.reason for one in stage.queued()], ["a wish"])

    def test_a_message_that_is_elsewhere(self) -> None:
        """What is wanted of it is done when it is found under its new name."""
        stage = self.stage()
        entry = stage.put()
        stage.dispatch.wishes.add(entry, Action.HOLD, "")
        moved = stage.spool.move(entry, evolve(entry, due=5))
        stage.dispatch.take_up(entry)
        self.assertEqual(stage.entries(), [moved])
        stage.dispatch.take_up(moved)
        self.assertEqual(self.states(stage), [State.HOLD])

    def test_retry_of_what_is_tried_now(self) -> None:
        """There is nothing to be done."""
        stage, _, entry = self.flying()
        self.assertEqual(self.act(stage, Action.RETRY, entry)[0].result, Done.UNCHANGED)

    def test_a_wish_outlives_a_crash(self) -> None:
        """The next process does what the last one was asked, before anything is sent."""
        slow = Slow()
        first = Stage(self, pool=Pool(script=[slow]))
        first.dispatch.start()
        entry = first.send()
        self.wish(first, Action.HOLD, entry)
        second = first.restarted()
        second.dispatch.start()
        second.wait(10_000, 500)
        self.assertEqual(self.states(second), [State.HOLD])
        self.assertEqual(second.pool.transactions, 0)
        self.done(second, Action.RELEASE, entry)
        self.assertEqual(second.entries(), [])

    def test_a_wish_outlives_a_stop(self) -> None:
        """So when the delivery is cut off by a stop."""
        first = Stage(self, pool=Pool(script=[Slow()]))
        first.dispatch.start()
        entry = first.send()
        self.wish(first, Action.REMOVE, entry)
        stopped = Deferred.fromCoroutine(first.dispatch.stop(30))
        first.clock.advance(30)
        self.successResultOf(stopped)
        second = first.restarted()
        second.dispatch.start()
        second.wait(5)
        self.assertEqual((second.entries(), second.pool.transactions), ([], 0))

    def test_a_wish_that_was_granted_is_forgotten(self) -> None:
        """A crash after that does not do it again to a message somebody has let go on."""
        slow = Slow(LATER)
        first = Stage(self, pool=Pool(script=[slow]))
        first.dispatch.start()
        entry = first.send()
        self.wish(first, Action.HOLD, entry)
        slow.let_go()
        first.wait(2)
        self.done(first, Action.RELEASE, entry)
        second = first.restarted()
        second.dispatch.start()
        second.wait(5)
        self.assertEqual(second.entries(), [])

    def test_rubbish_for_wishes(self) -> None:
        """A file that is not ours is said, and mail goes on."""
        for rubbish in (b"{", b"[]", b'{"x": 3}', b'{"0000000000001": ["eat", ""]}'):
            stage = Stage(self)
            stage.spool.write_state("wishes.json", rubbish)
            stage.dispatch.start()
            stage.send()
            self.assertEqual(len(stage.events("wishes.lost")), 1, rubbish)
            self.assertEqual(len(stage.pool.delivered), 1)


class ReturningTests(OperationsCase):
    """A message that an operator gives up."""

    def report(self, stage: Stage) -> str:
        (delivered,) = stage.pool.delivered
        self.assertEqual(delivered.recipients, (APP,))
        parts = message_from_bytes(delivered.content).get_payload()
        return "\n".join(str(part) for part in parts)

    def test_bounce_tells_the_sender_why(self) -> None:
        """The report says who ended it, and what the last answer was."""
        stage = self.stage()
        self.done(stage, Action.BOUNCE, self.deferred(stage, "to@example.net"))
        report = self.report(stage)
        self.assertIn("The operator of this mail gateway has returned the message", report)
        self.assertIn("451 4.3.2 try later", report)
        self.assertEqual(stage.entries(), [])

    def test_expired_goes_back_at_its_next_turn(self) -> None:
        """Not sooner, and also after a restart."""
        first = Stage(self)
        first.dispatch.start()
        self.done(first, Action.EXPIRE, self.deferred(first))
        first.wait(200, 10)
        self.assertEqual(first.pool.delivered, [])
        second = first.restarted()
        second.dispatch.start()
        second.wait(200, 10)
        self.report(second)

    def test_whatever_its_mailbox_may_do(self) -> None:
        """Mail of a held, a paused or a removed mailbox is returned; by another one if need be."""
        first = Stage(self)
        entries = [first.put(), first.put()]
        first.clock.advance(1)
        second = first.restarted(addresses=[TWIN])  # BOX is no longer there
        second.dispatch.start()
        second.turn()
        self.assertEqual(second.pool.transactions, 0)
        self.done(second, Action.BOUNCE, *entries)
        self.assertEqual(second.reached(), [APP, APP])

    def test_a_held_mailbox(self) -> None:
        """The report waits for a mailbox that may send, not the message."""
        stage = self.stage()
        stage.pool.script = [refuse(550, "5.1.8", "Access denied, bad outbound sender")]
        entry = stage.send()
        self.assertEqual(self.states(stage), [State.DEFERRED])
        self.done(stage, Action.BOUNCE, entry)
        self.assertEqual((stage.reached(), stage.entries()), ([APP], []))

    def test_only_who_has_not_got_it(self) -> None:
        """Delivered recipients are not reported; uncertain ones as what they are."""
        stage = self.stage()
        stage.pool.script = [lose_after_dot]
        entry = stage.send("maybe@example.net")
        self.done(stage, Action.BOUNCE, entry)
        self.assertIn("may have been delivered to this recipient all the same", self.report(stage))

    def test_what_cannot_be_returned_is_held(self) -> None:
        """A message without a sender is kept for the operator, not dropped."""
        stage = self.stage()
        stage.pool.script = [LATER]
        entry = stage.send(sender="")
        self.done(stage, Action.BOUNCE, entry)
        (queued,) = stage.queued()
        self.assertIs(queued.entry.state, State.HOLD)
        self.assertFalse(queued.entry.is_expired)
        self.assertIn(f"m365gw queue remove {entry.queue_id}", queued.reason)

    def test_a_release_tells_what_could_not_be_told(self) -> None:
        """A held failure whose report can be sent by now is reported, not just forgotten."""
        first = Stage(self)
        first.dispatch.start()
        first.pool.script = [NO_USER]
        entry = first.send(sender="")
        second = first.restarted(queue=evolve(first.queue, postmaster="pm@x.test"))
        second.dispatch.start()
        self.done(second, Action.RELEASE, entry)
        self.assertEqual((second.reached(), second.entries()), (["pm@x.test"], []))

    def test_many_do_not_keep_mail_waiting(self) -> None:
        """New mail goes while a long queue is returned."""
        stage = self.stage(limits=evolve(GENEROUS, connections=1), queue=Queue(report_limit=60))
        slow = Slow()
        stage.pool.script = [slow]
        entries = [stage.put(f"{n}@example.net") for n in range(60)]
        acted = Deferred.fromCoroutine(
            stage.operations.act(Action.BOUNCE, [entry.queue_id for entry in entries])
        )
        stage.turn(5)
        stage.send("new@example.net", mailbox=TWIN)
        self.assertIn("new@example.net", stage.reached())
        stage.turn(300)
        self.assertEqual(len(self.successResultOf(acted)), 60)
        slow.let_go()
        stage.turn(300)
        self.assertEqual((stage.entries(), stage.reached().count(APP)), ([], 60))


class FlushTests(OperationsCase):
    """Everything that waits for its time."""

    def waiting(self, stage: Stage, number: int, mailbox: str = BOX) -> None:
        for n in range(number):
            message = stage.spool.claim(stage.put(f"{n}@example.net", mailbox=mailbox))
            stage.schedule.add(stage.spool.defer(message, int(stage.clock.seconds()) + 3000))

    def flush(self, stage: Stage, mailbox: str = "") -> int:
        flushed = Deferred.fromCoroutine(stage.operations.flush(mailbox))
        stage.turn(300)
        return self.successResultOf(flushed)

    def test_everything_goes_the_oldest_first(self) -> None:
        """Held mail stays held."""
        stage = self.stage(limits=evolve(GENEROUS, connections=1))
        held = stage.put("held@example.net")
        self.done(stage, Action.HOLD, held)
        self.waiting(stage, 60)
        self.assertEqual(self.flush(stage), 60)
        self.assertEqual(stage.reached(), [f"{n}@example.net" for n in range(60)])
        self.assertEqual(self.states(stage), [State.HOLD])

    def test_one_mailbox(self) -> None:
        """Mail of the others keeps its time."""
        stage = self.stage()
        self.waiting(stage, 3)
        self.waiting(stage, 2, TWIN)
        self.assertEqual(self.flush(stage, TWIN.upper()), 2)
        self.assertEqual((len(stage.pool.delivered), len(stage.entries())), (2, 3))

    def test_a_held_mailbox_is_tried(self) -> None:
        """What stopped it may be mended: one message finds out at once."""
        stage = self.stage()
        stage.pool.script = [refuse(550, "5.1.8", "Access denied, bad outbound sender")]
        stage.send()
        stage.send()
        self.assertEqual(len(stage.pool.delivered), 0)
        self.flush(stage)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (2, []))


class UnreadableTests(OperationsCase):
    """A message under which the disk has a bad sector."""

    def test_it_is_looked_at_less_and_less_often(self) -> None:
        """It is told with a remedy each time, is never lost, and others go on."""
        stage = self.stage()
        entry = stage.put("bad@example.net")
        pread = stage.spool._files.pread

        def failing(fd: int, length: int, offset: int) -> bytes:
            data = pread(fd, length, offset)
            if b"bad@example.net" in data:
                raise OSError(5, "Input/output error")
            return data

        stage.spool._files.pread = failing  # type: ignore[method-assign]
        stage.dispatch.accepted(entry)
        stage.turn()
        stage.send("good@example.net")
        self.assertEqual(stage.reached(), ["good@example.net"])
        stage.wait(86400, 100)
        told = stage.events("message.unreadable")
        self.assertGreater(len(told), 20)
        self.assertLess(len(told), 40)
        self.assertIn("Input/output error", told[0]["note"])
        self.assertIn(f"m365gw queue remove {entry.queue_id}", told[0]["note"])
        self.assertEqual(stage.spool.health.cause, "")
        stage.spool._files.pread = pread  # type: ignore[method-assign]
        stage.wait(4500, 100)
        self.assertEqual(stage.reached(), ["good@example.net", "bad@example.net"])

    def test_it_can_be_held_and_removed(self) -> None:
        """An operator gets it out of the way without its being read."""
        stage = self.stage()
        entry = self.deferred(stage)

        def failing(fd: int, length: int, offset: int) -> bytes:
            raise OSError(5, "Input/output error")

        stage.spool._files.pread = failing  # type: ignore[method-assign]
        self.done(stage, Action.HOLD, entry)
        self.assertEqual(self.states(stage), [State.HOLD])
        self.done(stage, Action.REMOVE, entry)
        self.assertEqual(stage.entries(), [])
