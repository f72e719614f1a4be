"""The schedule: nothing is lost or given twice, nothing comes early, and turns are fair."""

from __future__ import annotations

import tracemalloc

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool import schedule
from m365gw.spool.names import Entry, State
from m365gw.spool.schedule import RETURNS, RIPEN_AT_ONCE, Schedule
from tests.spool.schedule_model import OTHER, RELAY, START, Model, drain, entry


class ScheduleTests(SynchronousTestCase):
    """What each call promises, one thing at a time."""

    def setUp(self) -> None:
        self.schedule = Schedule()

    def test_new_mail_is_ready_at_once(self) -> None:
        """A message with no due time can be taken in the same second it was added."""
        one = entry(7)
        self.assertTrue(self.schedule.add(one))
        self.assertEqual(self.schedule.mailboxes_ready(START), (RELAY,))
        self.assertEqual(self.schedule.take(RELAY, START), one)
        self.assertEqual(len(self.schedule), 0)
        self.assertNotIn(7, self.schedule)

    def test_nothing_is_given_before_it_is_due(self) -> None:
        """A deferred message appears in the very second it is due, and not before."""
        one = entry(7, due=START + 300, attempts=1)
        self.schedule.add(one)
        self.assertEqual(self.schedule.next_due(START), START + 300)
        self.assertIsNone(self.schedule.take(RELAY, START + 299.9))
        self.assertEqual(self.schedule.mailboxes_ready(START + 299.9), ())
        self.assertEqual(self.schedule.take(RELAY, START + 300), one)
        self.assertIsNone(self.schedule.next_due(START + 300))

    def test_ready_mail_does_not_wake_the_caller(self) -> None:
        """Mail that is ready is for the limits to release, so the wake-up is for the rest."""
        self.schedule.add(entry(1))
        self.assertIsNone(self.schedule.next_due(START))
        self.schedule.add(entry(2, due=START + 60))
        self.schedule.add(entry(3, due=START + 30))
        self.assertEqual(self.schedule.next_due(START), START + 30)

    def test_removed_mail_does_not_wake_the_caller(self) -> None:
        """The wake-up forgets a second nobody waits for any more."""
        self.schedule.add(entry(2, due=START + 60))
        self.schedule.add(entry(3, due=START + 30))
        self.assertTrue(self.schedule.remove(3))
        self.assertEqual(self.schedule.next_due(START), START + 60)
        self.schedule.add(entry(4, due=START + 30))
        self.assertEqual(self.schedule.next_due(START), START + 30)

    def test_known_mail_is_not_added_twice(self) -> None:
        """A look through the spool may offer what is known; it stays as it is."""
        self.schedule.add(entry(5))
        self.assertTrue(self.schedule.add(entry(5, due=START + 100, attempts=3)))
        self.assertEqual(len(self.schedule), 1)
        self.assertEqual(drain(self.schedule, RELAY, START), [entry(5)])

    def test_removed_mail_is_never_given(self) -> None:
        """Removing works for ready mail, for waiting mail, and says so for unknown mail."""
        for one in (entry(1), entry(2, due=START + 9), entry(3)):
            self.schedule.add(one)
        self.assertTrue(self.schedule.remove(1))
        self.assertTrue(self.schedule.remove(2))
        self.assertFalse(self.schedule.remove(2))
        self.assertFalse(self.schedule.remove(99))
        self.assertEqual(drain(self.schedule, RELAY, START + 60), [entry(3)])

    def test_mail_to_be_returned_has_a_lane_of_its_own(self) -> None:
        """No pause of its mailbox concerns it, and it comes out as it went in."""
        given_up = [
            evolve(entry(n, mailbox=m), is_expired=True) for n, m in ((1, RELAY), (2, OTHER))
        ]
        for one in (*given_up, entry(3)):
            self.schedule.add(one)
        self.schedule.pause(RELAY)
        self.assertEqual(self.schedule.mailboxes_ready(START), (RETURNS,))
        self.assertEqual(drain(self.schedule, RETURNS, START), given_up)
        self.assertEqual(self.schedule.backlog(RELAY), 1)

    def test_what_waits_is_known(self) -> None:
        """Single messages by their id, and the ids of those that are not due, oldest first."""
        late = [entry(n, due=START + 100 - n, mailbox=m) for n, m in ((9, RELAY), (3, OTHER))]
        for one in (*late, entry(5)):
            self.schedule.add(one)
        self.assertEqual([self.schedule.entry(one.id) for one in late], late)
        self.assertIsNone(self.schedule.entry(7))
        self.schedule.remove(3)
        self.schedule.add(late[1])
        self.assertEqual([list(part) for part in self.schedule.waiting()], [[3, 9]])
        self.assertEqual([list(part) for part in self.schedule.waiting(RELAY)], [[9]])

    def test_what_waits_is_known_in_parts(self) -> None:
        """Of a long queue a part at a time, whatever happens between them."""
        self.patch(schedule, "LOOKED_AT_ONCE", 2)
        for number in range(1, 6):
            self.schedule.add(entry(number, due=START + 100))
        parts = self.schedule.waiting()
        self.assertEqual(list(next(parts)), [1, 2])
        for number in (1, 4):
            self.schedule.remove(number)
        self.assertEqual([list(part) for part in parts], [[3], [5]])

    def test_held_and_corrupt_mail_is_refused(self) -> None:
        """What must not be sent cannot get into the schedule by mistake."""
        for state in (State.HOLD, State.CORRUPT):
            with self.assertRaises(ValueError):
                self.schedule.add(Entry(1, state, 10, 0, 0, RELAY, 1))
        self.assertEqual(len(self.schedule), 0)
        self.assertEqual(self.schedule.backlog(RELAY), 0)

    def test_a_paused_mailbox_keeps_its_mail(self) -> None:
        """Nothing is taken while paused; places are kept, and other mailboxes go on."""
        self.schedule.add(entry(1))
        self.schedule.add(entry(2, mailbox=OTHER))
        self.schedule.pause(RELAY)
        self.schedule.add(entry(3))
        self.schedule.add(entry(4, due=START + 5))
        self.assertEqual(self.schedule.mailboxes_ready(START), (OTHER,))
        self.assertIsNone(self.schedule.take(RELAY, START + 5))
        self.assertEqual(self.schedule.ready(RELAY), 3)
        self.schedule.resume(RELAY)
        self.assertEqual(self.schedule.mailboxes_ready(START + 5), (OTHER, RELAY))
        self.assertEqual([e.id for e in drain(self.schedule, RELAY, START + 5)], [1, 3, 4])

    def test_a_mailbox_can_be_paused_before_it_has_mail(self) -> None:
        """A pause holds for mail that comes later, and ends only by a resume."""
        self.schedule.pause(RELAY)
        self.schedule.add(entry(1))
        self.assertEqual(self.schedule.mailboxes_ready(START), ())
        self.schedule.remove(1)
        self.schedule.add(entry(2))
        self.assertIsNone(self.schedule.take(RELAY, START))
        self.schedule.resume(RELAY)
        self.assertEqual(self.schedule.take(RELAY, START), entry(2))

    def test_one_call_makes_a_bounded_number_ready(self) -> None:
        """Mail that is all due at once is made ready in pieces, and the caller is called back."""
        count = RIPEN_AT_ONCE * 2 + 1
        for number in range(count):
            self.schedule.add(entry(number, due=START + 1))
        self.schedule.mailboxes_ready(START + 1)
        self.assertEqual(self.schedule.ready(RELAY), RIPEN_AT_ONCE)
        self.assertEqual(self.schedule.next_due(START + 1.5), START + 1.5)
        self.assertEqual([e.id for e in drain(self.schedule, RELAY, START + 2)], list(range(count)))

    def test_a_full_schedule_keeps_what_is_due_first(self) -> None:
        """Over its capacity it forgets the latest, never shuts out mail that is due sooner."""
        schedule = Schedule(capacity=3)
        for number, due in enumerate((50, 70, 60)):
            self.assertTrue(schedule.add(entry(number, due=START + due)))
        self.assertFalse(schedule.add(entry(8, due=START + 80)))
        self.assertTrue(schedule.add(entry(9)))
        self.assertEqual(schedule.forgotten, 2)
        self.assertNotIn(1, schedule)
        self.assertEqual([e.id for e in drain(schedule, RELAY, START + 100)], [0, 9, 2])

    def test_a_schedule_full_of_ready_mail_takes_no_more(self) -> None:
        """Ready mail is never forgotten; new mail is left on disk for later."""
        schedule = Schedule(capacity=2)
        for number in range(3):
            schedule.add(entry(number))
        self.assertEqual(schedule.forgotten, 1)
        self.assertEqual([e.id for e in drain(schedule, RELAY, START)], [0, 1])

    def test_numbers_too_large_for_a_column_survive(self) -> None:
        """Whatever a file name can say comes back as it was, and its slot can be used again."""
        far = Entry(1, State.DEFERRED, 10**15 - 1, 10**12 - 1, 10**9 - 1, RELAY, 1)
        large = Entry(2, State.INCOMING, 1 << 40, 0, 1 << 20, RELAY, 1)
        self.schedule.add(far)
        self.schedule.add(large)
        self.assertEqual(self.schedule.take(RELAY, START), large)
        self.schedule.add(entry(3))
        self.assertEqual(self.schedule.take(RELAY, START), entry(3))
        self.assertEqual(self.schedule.take(RELAY, 1 << 33), far)

    def test_a_message_costs_about_forty_octets(self) -> None:
        """A million queued messages fit in 50 MB, so columns must stay columns."""
        count = 20_000
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(count):
            due = START + number % 100
            self.schedule.add(entry(number << 13, due=due, attempts=1, source=number % 20))
        used, _ = tracemalloc.get_traced_memory()
        self.assertLess(used / count, 50)

    def test_empty_mailboxes_and_sources_leave_nothing_behind(self) -> None:
        """Counts return to nought when mail is gone, however it went."""
        for number in range(300):
            self.schedule.add(entry(number, due=START * (number % 2), source=number))
        for number in range(0, 300, 3):
            self.schedule.remove(number)
        drain(self.schedule, RELAY, START)
        self.assertEqual(len(self.schedule), 0)
        self.assertEqual(self.schedule.backlog(RELAY), 0)
        self.assertEqual(self.schedule.ready(RELAY), 0)
        self.assertEqual(self.schedule.mailboxes_ready(START), ())


MAILBOXES = st.sampled_from([RELAY, RELAY, RELAY, OTHER, 3])
STEPS = st.one_of(
    st.tuples(
        st.just("add"),
        st.integers(0, 40),
        st.builds(
            lambda delay, attempts, mailbox, source: (delay, attempts, mailbox, source),
            st.one_of(st.just(-1), st.integers(0, 8)),
            st.integers(0, 2),
            MAILBOXES,
            st.integers(1, 2),
        ),
    ),
    st.tuples(st.just("take"), MAILBOXES),
    st.tuples(st.just("remove"), st.integers(0, 40)),
    st.tuples(st.just("advance"), st.integers(0, 5)),
    st.tuples(st.just("pause"), MAILBOXES),
    st.tuples(st.just("resume"), MAILBOXES),
    st.tuples(st.just("come back"), MAILBOXES),
)


class ModelTests(SynchronousTestCase):
    """The schedule against the naive model, over any sequence of calls."""

    @settings(deadline=None, max_examples=200)
    @given(st.lists(STEPS, min_size=40, max_size=150))
    def test_it_does_what_the_model_does(self, steps: list[tuple[object, ...]]) -> None:
        """Same messages, same order, same counts: nothing lost, nothing given twice."""
        schedule, model, now = Schedule(), Model(), START
        for step in steps:
            match step:
                case ("add", int(number), (int(delay), int(attempts), int(mailbox), int(source))):
                    due = now + delay if delay >= 0 else 0
                    one = entry(number, due=due, attempts=attempts, mailbox=mailbox, source=source)
                    self.assertTrue(schedule.add(one))
                    model.add(one)
                case ("take", int(mailbox)):
                    model.advance(now)
                    self.assertEqual(schedule.take(mailbox, now), model.take(mailbox))
                case ("remove", int(number)):
                    known = model.known().get(number)
                    self.assertEqual(schedule.remove(number), known is not None)
                    if known is not None:
                        model.forget(known)
                case ("advance", int(seconds)):
                    now += seconds
                    model.advance(now)
                    expected = min((one.due for one in model.waiting), default=None)
                    self.assertEqual(schedule.next_due(now), expected)
                case ("pause", int(mailbox)):
                    schedule.pause(mailbox)
                    model.paused.add(mailbox)
                case ("resume", int(mailbox)):
                    schedule.resume(mailbox)
                    model.paused.discard(mailbox)
                case ("come back", int(mailbox)):
                    model.advance(now)
                    schedule.mailboxes_ready(now)
                    schedule.come_back(mailbox)
                    model.come_back(mailbox)
            self.agree(schedule, model, now)

    def agree(self, schedule: Schedule, model: Model, now: int) -> None:
        """Counts and the set of ready mailboxes are the model's."""
        model.advance(now)
        ready = {one.mailbox for one in model.ready} - model.paused
        self.assertEqual(set(schedule.mailboxes_ready(now)), ready)
        self.assertEqual(len(schedule), len(model.waiting) + len(model.ready))
        for mailbox in (RELAY, OTHER, 3):
            mine = [one for one in model.ready if one.mailbox == mailbox]
            waiting = [one for one in model.waiting if one.mailbox == mailbox]
            self.assertEqual(schedule.ready(mailbox), len(mine))
            self.assertEqual(schedule.backlog(mailbox), len(mine) + len(waiting))
