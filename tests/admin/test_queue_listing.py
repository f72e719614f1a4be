"""The queue by the screen: sorted and filtered by names, opened in bounded time."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.queue_listing import BUDGET, matching, screen, wish_of
from m365gw.admin.queue_roll import PATIENCE, REST, Roll, Rolls
from m365gw.spool.health import Unusable
from m365gw.spool.names import State, tag
from m365gw.spool.operations import Action, act
from tests.admin.web.browser import NOW, ConsoleTestCase

RELAY, ERP = "relay@contoso.com", "erp@contoso.com"


class ListingTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        spool = self.stage.spool
        self.entries = [
            self.stage.message("a@x.example", mailbox=RELAY, header=b"Subject: " + b"x" * 90),
            self.stage.message("b@x.example", mailbox=ERP),
            self.stage.message("c@y.example", mailbox=RELAY, header=b"Subject: " + b"x" * 40),
        ]
        act(spool, Action.HOLD, self.entries[1], "because of Ann")
        self.look = self.stage.desk.open_spool
        self.roll = Roll(self.look().entries(), NOW)

    def shown(self, start: int = 0, **wish: Any) -> list[int]:
        """The places of the messages that are shown."""
        found = screen(self.look, self.roll, wish_of(**wish), start)
        numbers = [entry.id for entry in self.entries]
        return [numbers.index(each.entry.id) for each in found.messages]

    def test_order(self) -> None:
        """The newest first unless something else is asked for."""
        self.assertEqual(self.shown(), [2, 1, 0])
        self.assertEqual(self.shown(sort="arrival"), [0, 1, 2])
        self.assertEqual(self.shown(sort="-size"), [0, 2, 1])
        self.assertEqual(self.shown(sort="size"), [1, 2, 0])
        self.assertEqual(self.shown(sort="nonsense"), [2, 1, 0])

    def test_by_names_and_by_files(self) -> None:
        """What names tell, and what only the files tell."""
        self.assertEqual(self.shown(state="hold"), [1])
        self.assertEqual(self.shown(state="waiting"), [2, 0])
        self.assertEqual(self.shown(mailbox=RELAY.upper()), [2, 0])
        self.assertEqual(self.shown(recipient="*@x.example"), [1, 0])
        self.assertEqual(self.shown(text="of ann"), [1])
        self.assertEqual(self.shown(text=self.entries[2].queue_id.lower()), [2])
        self.assertEqual(self.shown(older="2s", now=NOW + 2.5), [0])

    def test_time_is_bounded(self) -> None:
        """When it is up, what was found is shown, and where to go on."""
        times = iter([0.0, 0.0, BUDGET / 2, BUDGET])
        found = screen(self.look, self.roll, wish_of(), timer=lambda: next(times))
        self.assertEqual((len(found.messages), found.next, found.is_full), (2, 2, False))
        rest = screen(self.look, self.roll, wish_of(), 2)
        self.assertEqual((len(rest.messages), rest.next), (1, None))

    def test_what_moved_since_is_found_where_it_is_now(self) -> None:
        """If it is known where that is; what has gone is left out."""
        held = act(self.stage.spool, Action.HOLD, self.entries[0])[1]
        self.stage.spool.unlink(self.entries[2])
        found = screen(
            self.look,
            self.roll,
            wish_of(),
            moved=lambda number: held if number == self.entries[0].id else None,
        )
        self.assertEqual([each.entry.state for each in found.messages], [State.HOLD, State.HOLD])

    def test_all_that_fit(self) -> None:
        """The oldest first, and no further than wanted."""
        fitting = matching(self.look, self.roll, wish_of(recipient="*@x.example"))
        ids = [self.entries[0].id, self.entries[1].id]
        self.assertEqual([each.id for each in fitting], ids)
        self.assertEqual(list(matching(self.look, self.roll, wish_of(), lambda _: False)), [])

    def test_counts(self) -> None:
        """By state and mailbox, and since when the oldest that goes waits."""
        self.assertEqual(self.roll.counts[State.HOLD], 1)
        self.assertEqual(self.roll.by_mailbox[tag(RELAY)], 2)
        self.assertEqual(self.roll.oldest, self.entries[0].arrived_at)
        self.assertIsNone(Roll().oldest)
        first = self.entries[0]
        self.assertEqual(self.roll.firsts[first.state], first.arrived_at)
        self.assertEqual(Roll().firsts, {})


class Slow:
    """Calls that end when they are told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Any]] = []

    async def call(self, function: Any, *arguments: Any) -> Any:
        done: Deferred[Any] = Deferred()
        self.waiting.append((done, partial(function, *arguments)))
        return await done

    def end_all(self) -> None:
        while self.waiting:
            self.end()

    def end(self) -> None:
        done, function = self.waiting.pop(0)
        try:
            done.callback(function())
        except Unusable:
            done.errback()


class RollsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.slow = Clock(), Slow()
        self.addCleanup(self.slow.end_all)
        self.clock.advance(NOW)
        self.patch(Rolls, "_read_names", lambda _, at: Roll((), at))
        self.rolls = Rolls(open_spool=lambda: None, calls=self.slow, clock=self.clock)

    def asked(self) -> Deferred[Roll | None]:
        return Deferred.fromCoroutine(self.rolls.latest())

    def test_who_asks_does_not_wait_long(self) -> None:
        """The last roll there is, or none yet, while the next one is read."""
        first = self.asked()
        self.assertNoResult(first)
        self.clock.advance(PATIENCE)
        self.assertIsNone(self.successResultOf(first))
        self.clock.advance(1)
        self.slow.end()
        self.assertEqual(self.successResultOf(self.asked()).at, NOW)
        self.clock.advance((1 + PATIENCE) * REST)
        again = self.asked()
        self.clock.advance(PATIENCE)
        self.assertEqual(self.successResultOf(again).at, NOW)

    def test_the_longer_it_takes_the_seldomer_it_is_done(self) -> None:
        """Looking costs mail a small share of the time, however much there is."""
        self.asked()
        self.clock.advance(2)
        self.slow.end()
        self.clock.advance(2 * REST - 3)
        self.assertEqual(self.successResultOf(self.asked()).at, NOW)
        self.assertEqual(self.slow.waiting, [])
        self.clock.advance(2)
        self.assertNoResult(self.asked())

    def test_many_who_ask_are_one_look(self) -> None:
        """And all of them get what comes of it."""
        asked = [self.asked() for _ in range(3)]
        self.assertEqual(len(self.slow.waiting), 1)
        self.slow.end()
        self.assertEqual({self.successResultOf(each).at for each in asked}, {NOW})

    def test_a_spool_that_cannot_be_read(self) -> None:
        """The last roll stays, with why it is not newer."""

        def unusable(_: Rolls, at: float) -> Roll:
            raise Unusable("The spool is away.")

        self.patch(Rolls, "_read_names", unusable)
        asked = self.asked()
        self.slow.end()
        self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(self.rolls.fault, "The spool is away.")
