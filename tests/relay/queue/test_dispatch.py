"""Tests for `m365gw.relay.queue.dispatch`."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.config.settings import Queue
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.spool.names import State
from m365gw.spool.operations import Action, act
from tests.relay.stage import (
    BOX,
    GENEROUS,
    START,
    TWIN,
    Pool,
    Stage,
    accept,
    lose_after_dot,
    refuse,
)


class Slow:
    """A step that waits until it is let go, and then does another."""

    def __init__(self, then: Any = accept) -> None:
        self.then = then
        self.waiting: list[Deferred[None]] = []

    async def __call__(self, pool: Pool, transaction: Transaction) -> list[Answer]:
        gate: Deferred[None] = Deferred()
        self.waiting.append(gate)
        await gate
        answers: list[Answer] = await self.then(pool, transaction)
        return answers

    def let_go(self) -> None:
        waiting, self.waiting = self.waiting, []
        for gate in waiting:
            gate.callback(None)


class DispatchTests(SynchronousTestCase):
    """From the spool to sessions."""

    def stage(self, **more: object) -> Stage:
        return Stage(self, **more)  # type: ignore[arg-type]  # passed on as it is

    def test_new_message_goes_at_once_and_leaves_nothing(self) -> None:
        """A message that is accepted is delivered in the same moment and is gone from the spool."""
        stage = self.stage()
        stage.dispatch.start()
        stage.send("a@example.net", "b@example.net")
        self.assertEqual(stage.reached(), ["a@example.net", "b@example.net"])
        self.assertEqual(stage.entries(), [])
        self.assertEqual(stage.statuses(), ["sent", "sent"])
        self.assertEqual(len(stage.events("message.removed")), 1)
        self.assertEqual(stage.dispatch.in_flight, 0)

    def test_message_in_flight_is_not_taken_a_second_time(self) -> None:
        """A look through the spool may find a message before its commit tells of it; one goes."""
        slow = Slow()
        stage = self.stage(pool=Pool(script=[slow, slow]))
        entry = stage.put()
        stage.dispatch.start()
        stage.turn()
        stage.dispatch.accepted(entry)
        stage.turn()
        self.assertEqual(len(slow.waiting), 1)
        slow.let_go()
        stage.wait(2)
        self.assertEqual(len(stage.pool.delivered), 1)
        self.assertEqual(stage.entries(), [])

    def test_start_takes_up_what_was_left(self) -> None:
        """Messages of a former process, tried or not, are delivered after a start."""
        first = Stage(self)
        for number in range(3):
            first.put(f"{number}@example.net")
        first.pool.script = [refuse(451, "4.3.2", "later")]
        first.send("3@example.net")
        second = first.restarted()
        second.dispatch.start()
        second.wait(600, 10)
        self.assertEqual(len(second.pool.delivered), 4)
        self.assertEqual(second.entries(), [])

    def test_delivery_begins_while_the_spool_is_still_read(self) -> None:
        """A long queue is delivered while its names are read, not after."""
        first = Stage(self)
        for _ in range(1100):
            first.put()
        stage = first.restarted()
        stage.dispatch.start()
        stage.clock.advance(0)
        stage.clock.advance(0)
        self.assertGreater(len(stage.pool.delivered), 0)
        stage.turn(3000)
        self.assertEqual(len(stage.pool.delivered), 1100)

    def test_paced_by_the_governor(self) -> None:
        """With Microsoft's limits a backlog goes at their pace and no faster."""
        stage = self.stage(limits=Limits())
        for _ in range(60):
            stage.dispatch.accepted(stage.put())
        stage.wait(60, 0.5)
        self.assertGreaterEqual(len(stage.pool.delivered), 25)
        self.assertLessEqual(len(stage.pool.delivered), 30)

    def test_never_more_connections_than_allowed(self) -> None:
        """However many messages are ready, a mailbox uses no more sessions than it may."""
        stage = self.stage()
        slow = Slow()
        stage.pool.script = [slow] * 10
        for _ in range(10):
            stage.dispatch.accepted(stage.put())
        stage.turn()
        self.assertEqual(stage.pool.open, 2)
        while slow.waiting:
            slow.let_go()
            stage.turn()
        self.assertEqual((stage.pool.most, len(stage.pool.delivered)), (2, 10))

    def test_mailboxes_do_not_wait_for_each_other(self) -> None:
        """A mailbox whose sessions are all busy does not delay another."""
        stage = self.stage()
        stage.pool.script = [Slow(), Slow()]
        for _ in range(5):
            stage.send()
        stage.send("free@example.net", mailbox=TWIN)
        self.assertEqual(stage.reached(), ["free@example.net"])

    def test_sources_take_turns(self) -> None:
        """A noisy client does not keep a quiet one waiting."""
        stage = self.stage(limits=evolve(GENEROUS, connections=1))
        slow = Slow()
        stage.pool.script = [slow]
        for number in range(6):
            stage.dispatch.accepted(stage.put(f"noisy{number}@example.net", login="noisy"))
        stage.turn()
        stage.dispatch.accepted(stage.put("quiet@example.net", login="quiet"))
        slow.let_go()
        stage.turn()
        self.assertLessEqual(stage.reached().index("quiet@example.net"), 2)

    def test_delivery_switched_off(self) -> None:
        """With delivery = false mail is kept and nothing is sent."""
        stage = self.stage(queue=Queue(delivery=False))
        stage.dispatch.start()
        stage.send()
        stage.wait(30)
        self.assertEqual((len(stage.entries()), stage.pool.transactions), (1, 0))

    def test_stop_waits_for_what_is_in_flight(self) -> None:
        """A stop lets running deliveries end and starts none."""
        stage = self.stage()
        slow = Slow()
        stage.pool.script = [slow, slow]
        for _ in range(3):
            stage.send()
        stopped = Deferred.fromCoroutine(stage.dispatch.stop(30))
        self.assertNoResult(stopped)
        slow.let_go()
        self.successResultOf(stopped)
        stage.turn()
        self.assertEqual((len(stage.pool.delivered), len(stage.entries())), (2, 1))

    def test_stop_waits_no_longer_than_its_bound(self) -> None:
        """A delivery that hangs does not hang the stop; its message is still in the spool."""
        stage = self.stage()
        stage.pool.script = [Slow()]
        stage.send()
        stopped = Deferred.fromCoroutine(stage.dispatch.stop(30))
        stage.clock.advance(29)
        self.assertNoResult(stopped)
        stage.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(len(stage.entries()), 1)

    def test_stop_cuts_off_what_takes_too_long(self) -> None:
        """A message cut off before the dot stays as it was: nothing was tried, nothing failed."""
        stage = self.stage()
        stage.pool.script = [Slow()]
        entry = stage.send()
        stopped = Deferred.fromCoroutine(stage.dispatch.stop(30))
        stage.clock.advance(30)
        self.successResultOf(stopped)
        self.assertEqual(stage.dispatch.in_flight, 0)
        self.assertEqual(stage.pool.open, 0)
        self.assertEqual(stage.entries(), [entry])
        self.assertEqual(stage.statuses(), [])

    def test_budgets_survive_a_restart(self) -> None:
        """Recipients of the day are counted on after a restart, also after a crash."""
        limits = evolve(GENEROUS, recipients_per_day=5)
        first = Stage(self, limits=limits)
        first.dispatch.start()
        for _ in range(4):
            first.send()
        second = first.restarted(limits=limits)
        second.dispatch.start()
        for _ in range(4):
            second.send()
        second.wait(60, 10)
        self.assertEqual(len(second.pool.delivered), 1)
        second.wait(86400 + 3600, 1800)
        self.assertEqual(len(second.pool.delivered), 4)

    def test_held_mailbox_stays_held_after_a_restart(self) -> None:
        """What was held is still held: probed once, without a second incident."""
        disabled = refuse(550, "5.1.8", "Access denied, bad outbound sender")
        first = Stage(self)
        first.pool.script = [disabled]
        first.send()
        self.successResultOf(Deferred.fromCoroutine(first.dispatch.stop(1)))
        second = first.restarted()
        second.pool.script = [disabled]
        for _ in range(5):
            second.put()
        second.clock.advance(400)
        second.dispatch.start()
        second.wait(60)
        self.assertEqual(second.pool.transactions, 1)
        self.assertEqual(second.events("incident.opened"), [])
        second.wait(3600, 60)
        self.assertEqual((len(second.pool.delivered), second.entries()), (6, []))
        self.assertEqual(len(second.events("incident.closed")), 1)

    def test_damaged_state_is_said_and_survived(self) -> None:
        """A state file that is rubbish is reported, and mail goes on."""
        for rubbish in (b"{", b"[]", b'{"stops": 3}'):
            stage = self.stage()
            stage.spool.write_state("mailboxes.json", rubbish)
            stage.dispatch.start()
            stage.send()
            self.assertEqual(len(stage.events("mailboxes.lost")), 1)
            self.assertEqual(len(stage.pool.delivered), 1)

    def test_unknown_failure_does_not_stop_the_loop(self) -> None:
        """A fault of ours is logged, its message tried later, and the next one goes."""
        stage = self.stage()
        stage.pool.script = [ZeroDivisionError("a fault")]
        stage.send("first@example.net")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        stage.send("second@example.net")
        self.assertEqual(stage.reached(), ["second@example.net"])
        stage.wait(301, 10)
        self.assertEqual(stage.reached(), ["second@example.net", "first@example.net"])

    def test_mail_of_an_unconfigured_mailbox_waits(self) -> None:
        """Mail for a mailbox that was removed waits with one incident, and goes when it is back."""
        first = Stage(self, addresses=[TWIN])
        first.dispatch.start()
        for _ in range(3):
            first.send(mailbox=BOX)
        first.wait(10 * 86400, 3600)
        self.assertEqual((len(first.entries()), first.pool.transactions), (3, 0))
        self.assertEqual(len(first.events("incident.opened")), 1)
        self.successResultOf(Deferred.fromCoroutine(first.dispatch.stop(1)))
        second = first.restarted()
        second.dispatch.start()
        second.pool.script = [refuse(451, "4.3.2", "later")]  # its age does not return it
        second.wait(7200, 60)
        self.assertEqual((len(second.pool.delivered), second.entries()), (3, []))

    def test_message_released_by_a_tool_is_found(self) -> None:
        """What another process put back into the queue is delivered after queue_run_delay."""
        stage = self.stage(queue=Queue(on_uncertain="hold"))
        stage.dispatch.start()
        stage.pool.script = [lose_after_dot]
        stage.send()
        (held,) = stage.entries(State.HOLD)
        act(stage.spool, Action.RELEASE, held)
        stage.wait(601, 10)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))

    def test_closed_gate_pauses_delivery(self) -> None:
        """While the disk cannot be trusted nothing is sent; it goes on when the gate opens."""
        stage = self.stage()
        entry = stage.put()
        stage.spool.health.fail(OSError(5, "Input/output error"))
        stage.dispatch.start()
        stage.dispatch.accepted(entry)
        stage.wait(20)
        self.assertEqual(stage.pool.transactions, 0)
        stage.wait(120)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))
        for event in ("incident.opened", "incident.closed"):
            self.assertEqual([one["key"] for one in stage.events(event)], ["spool-failed"])

    def test_a_spool_that_was_found_again_is_read_anew(self) -> None:
        """The disk may have forgotten the last moments: what waits is what lies there now."""
        stage = self.stage()
        stage.dispatch.start()
        stage.wait(5)
        stage.put()
        stage.wait(5)
        self.assertEqual(stage.pool.transactions, 0)
        stage.spool.grip.times_found += 1
        stage.wait(5)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (1, []))

    def test_quiet_queue_sets_no_timer_but_the_one_for_each_second(self) -> None:
        """With nothing to do there is one timer, whatever was sent before."""
        stage = self.stage()
        stage.dispatch.start()
        for _ in range(20):
            stage.send()
        self.assertEqual(len(stage.clock.getDelayedCalls()), 1)
        self.assertEqual(stage.clock.seconds(), START)

    def test_new_settings(self) -> None:
        """A mailbox that is added has its mail sent, and delivery can be switched on."""
        stage = self.stage(queue=Queue(delivery=False), addresses=[BOX, TWIN])
        stage.dispatch.configure(Queue(delivery=False), [TWIN])
        stage.dispatch.start()
        stage.send(mailbox=BOX)
        stage.send(mailbox=TWIN)
        stage.wait(30)
        self.assertEqual(stage.pool.transactions, 0)
        stage.dispatch.configure(Queue(), [BOX, TWIN])
        stage.wait(30)
        self.assertEqual((len(stage.pool.delivered), stage.entries()), (2, []))
