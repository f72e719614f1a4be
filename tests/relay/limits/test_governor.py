"""Tests for `m365gw.relay.limits.governor`."""

from __future__ import annotations

from math import inf

from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.relay.limits.governor import Governor, Granted, Limit
from m365gw.relay.stops.stops import Account
from m365gw.spool.health import Health
from m365gw.spool.ledger import Clocks, Ledger

BOX = "relay@contoso.com"
OTHER = "alarm@contoso.com"  # same tenant, same host
FAR = "post@fabrikam.com"  # another tenant, same host
HOST = "smtp.office365.com:587"
ACCOUNTS = [Account(BOX, "contoso", HOST), Account(OTHER, "Contoso", HOST)] + [
    Account(FAR, "fabrikam", HOST),
    Account("by@contoso.com", "contoso", "mx.example:25", exit="connector"),
]
START = 1_800_000_000.0
DAY = 86400.0
TO = "to@example.net"


def limits(**changes: object) -> Limits:
    """Limits that only bite where a test says so."""
    generous = {"connections": 100, "messages_per_minute": 1e9, "recipients_per_day": 10**9}
    return Limits(**{**generous, **changes})  # type: ignore[arg-type]  # numbers and tuples


@define
class Machine:
    """A machine with one ledger; its clocks are moved by hand."""

    path: str
    wall: float = START
    up: float = 0.0
    boot: str = "first"
    opened: list[Ledger] = field(factory=list)

    def governor(self, limits: Limits) -> Governor:
        """One more process that shares the ledger."""
        clocks = Clocks(lambda: self.wall, lambda: self.up, self.boot)
        ledger = Ledger(self.path, Health(lambda: self.wall), clocks)
        self.opened.append(ledger)
        return Governor(limits, ledger, ACCOUNTS)

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds


class GovernorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.machine = Machine(self.mktemp())
        self.addCleanup(lambda: [ledger.close() for ledger in self.machine.opened])

    def anew(self) -> None:
        """Another machine: hypothesis runs one test many times."""
        for ledger in self.machine.opened:
            ledger.close()
        self.machine = Machine(self.mktemp())

    def governor(self, limits: Limits) -> Governor:
        return self.machine.governor(limits)

    def send(self, governor: Governor, count: int = 1, mailbox: str = BOX) -> int:
        return governor.grant(mailbox, [TO] * count).count

    def send_all(self, governor: Governor, seconds: float) -> list[float]:
        """The times of all messages that go in a while when there is always one to send."""
        times, end = [], self.machine.up + seconds
        while self.machine.up < end:
            wait = governor.wait(BOX).seconds
            if wait:
                self.machine.wait(min(wait, end - self.machine.up))
            elif self.send(governor):
                times.append(self.machine.up)
        return times

    def assert_paced(self, times: list[float], rate: float) -> None:
        """No minute holds more than `rate`."""
        for place, time in enumerate(times):
            window = [other for other in times[place:] if other <= time + 60.0]
            self.assertLessEqual(len(window), rate)


class PaceTests(GovernorCase):
    """Messages a minute."""

    def test_new_mailbox_may_send_at_once(self) -> None:
        """The first message of a mailbox does not wait."""
        self.assertEqual(self.governor(Limits()).wait(BOX).seconds, 0.0)

    def test_no_burst_credit_at_start(self) -> None:
        """A mailbox that was never heard of has no burst credit: it may have sent before us."""
        governor = self.governor(Limits())
        self.assertEqual(self.send(governor), 1)
        self.assertEqual(self.send(governor), 0)
        wait = governor.wait(BOX)
        self.assertIs(wait.limit, Limit.MINUTE)
        self.assertGreater(wait.seconds, 2.0)

    def test_burst_after_quiet_time(self) -> None:
        """After a quiet time a burst of three goes at once, and the fourth waits."""
        governor = self.governor(Limits())
        self.send(governor)
        self.machine.wait(600.0)
        self.assertEqual([self.send(governor) for _ in range(4)], [1, 1, 1, 0])

    @settings(deadline=None, max_examples=25)
    @given(st.integers(1, 60), st.integers(1, 20), st.floats(0, 200))
    def test_never_more_than_the_rate_in_any_minute(
        self, rate: int, burst: int, quiet: float
    ) -> None:
        """However burst and rate are set, no minute holds more messages than the rate."""
        self.anew()
        governor = self.governor(limits(messages_per_minute=rate, burst=burst))
        self.send(governor)
        self.machine.wait(quiet)
        self.assert_paced(self.send_all(governor, 200.0), rate)

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("send"), st.integers(0, 2)),
                st.tuples(st.just("begin"), st.integers(0, 2)),
                st.tuples(st.just("refused"), st.integers(0, 2)),
                st.tuples(st.just("late"), st.integers(0, 2)),
                st.tuples(st.just("wait"), st.floats(0, 30)),
                st.tuples(st.just("set"), st.floats(-1e7, 1e7)),
                st.tuples(st.just("kill"), st.integers(0, 2)),
                st.tuples(st.just("boot"), st.floats(0, 30)),
            ),
            min_size=20,
            max_size=120,
        ),
        st.integers(1, 12),
        st.integers(1, 6),
    )
    def test_limits_hold_whatever_happens(
        self, happenings: list[tuple[str, float]], rate: int, burst: int
    ) -> None:
        """Three processes, clocks set back and forward, kills, boots, grants given back: no
        minute holds more than the rate, no day more than the day's recipients."""
        self.anew()
        told = limits(messages_per_minute=rate, burst=burst, recipients_per_day=40)
        sharing = [self.governor(told) for _ in range(3)]
        sent: list[tuple[float, int]] = []
        under_way: list[Granted] = []
        true_time = 0.0
        for what, value in happenings:
            if what in ("send", "begin"):
                granted = sharing[int(value)].grant(BOX, [TO] * 2)
                if granted.count and what == "begin":
                    under_way.append(granted)
                elif granted.count:
                    sent.append((true_time, granted.count))
            elif what == "refused" and under_way:
                sharing[int(value)].give_back(BOX, under_way.pop())
            elif what == "late" and under_way:
                wait = sharing[int(value)].late(BOX, granted := under_way.pop(0))
                self.machine.wait(wait)
                true_time += wait
                sent.append((true_time, granted.count))
            elif what == "set":
                self.machine.wall += value
            elif what == "kill":
                sharing[int(value)] = self.governor(told)
            elif what in ("wait", "boot"):
                if what == "boot":
                    sharing[0].ledger.note_time()
                self.machine.wait(value)
                true_time += value
                if what == "boot":
                    self.machine.boot, self.machine.up = f"boot {len(self.machine.opened)}", 0.0
                    sharing = [self.governor(told) for _ in range(3)]
        self.assert_paced([time for time, _ in sent], rate)
        self.assertLessEqual(sum(count for _, count in sent), 40)  # none of it lasts a day

    def test_sustained_pace_is_near_the_rate(self) -> None:
        """Caution costs little: 27 of 30 a minute are used in the long run."""
        governor = self.governor(Limits(recipients_per_day=10**9))
        self.assertGreaterEqual(len(self.send_all(governor, 600.0)), 268)

    def test_restart_of_the_service_goes_on_where_it_was(self) -> None:
        """A kill in the middle of a minute changes nothing: the minute stays within the rate."""
        first = self.governor(Limits())
        self.send(first)
        self.machine.wait(600.0)
        times = self.send_all(first, 30.0)
        times += self.send_all(self.governor(Limits()), 300.0)
        self.assert_paced(times, 30)
        self.assertGreater(len(times), 140)

    def test_restart_of_the_machine_gives_no_credit(self) -> None:
        """After a power loss the ledger may have forgotten a little: no burst is allowed."""
        self.send(self.governor(Limits()))
        self.machine.wait(600.0)
        self.machine.boot = "second"
        governor = self.governor(Limits())
        self.assertEqual([self.send(governor) for _ in range(2)], [1, 0])

    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 100)), min_size=2, max_size=5))
    def test_change_of_the_pace_brings_no_credit(self, changes: list[tuple[int, float]]) -> None:
        """However the burst is changed, by a reload or a restart, minutes stay within the rate."""
        self.anew()
        governor, times = self.governor(Limits()), []
        for number, (burst, seconds) in enumerate(changes):
            told = Limits(burst=burst)
            if number % 2:
                governor = self.governor(told)
            else:
                governor.configure(told, ACCOUNTS)
            times += self.send_all(governor, seconds)
        self.assert_paced(times, 30)

    def test_slower_pace_of_a_former_configuration_is_forgotten(self) -> None:
        """Who sets a faster pace waits for a minute, not for the slower one to end."""
        slow = self.governor(limits(messages_per_minute=0.01))
        self.send(slow)
        self.assertLess(self.governor(Limits()).wait(BOX).seconds, 66.0)

    def test_same_limits_change_nothing(self) -> None:
        """A reload for another reason does not take a burst away."""
        governor = self.governor(Limits())
        self.send(governor)
        self.machine.wait(600.0)
        governor.configure(Limits(), ACCOUNTS)
        self.assertEqual([self.send(governor) for _ in range(3)], [1, 1, 1])

    def test_any_accepted_pace_works(self) -> None:
        """From one message in hours to more than any machine can send."""
        for rate in (0.0001, 0.01, 0.5, 1.0, 1.5, 2.0, 30.0, 1_000_000.0, inf):
            for burst in (1, 3, 10**9):
                self.anew()
                governor = self.governor(Limits(messages_per_minute=rate, burst=burst))
                self.assertEqual(self.send(governor), 1)
                wait = governor.wait(BOX).seconds
                self.assertLess(wait, 60 / rate * 1.04 * min(burst, max(1, rate / 2)) + 1)
                self.machine.wait(wait)
                self.assertEqual(self.send(governor), 1, (rate, burst))

    def test_mailboxes_are_paced_apart(self) -> None:
        """What one mailbox sends does not slow another."""
        governor = self.governor(Limits())
        self.send(governor)
        self.assertEqual(self.send(governor, mailbox=OTHER), 1)

    def test_grant_given_back_may_be_used_again(self) -> None:
        """A transaction that never came to be costs no recipients, however late that is known."""
        governor = self.governor(Limits(recipients_per_day=5))
        granted = governor.grant(BOX, [TO] * 5)
        self.machine.wait(3600.0)
        governor.give_back(BOX, granted)
        self.assertEqual(self.send(governor, 5), 5)

    def test_turn_given_back_late_is_no_second_burst(self) -> None:
        """What was let go an hour ago and never went adds nothing to the burst of now."""
        governor = self.governor(Limits())
        self.send(governor)
        self.machine.wait(600.0)
        granted = governor.grant(BOX, [TO])
        self.machine.wait(3600.0)
        burst = [self.send(governor) for _ in range(3)]
        governor.give_back(BOX, granted)
        self.assertEqual([*burst, self.send(governor)], [1, 1, 1, 0])
        self.assertGreater(governor.late(BOX, granted), 2.0)

    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.floats(0, 100), min_size=60, max_size=120), st.integers(1, 4))
    def test_late_at_the_dot_takes_another_turn(
        self, delays: list[float], connections: int
    ) -> None:
        """However long messages take to their final dot, dots come within the rate."""
        self.anew()
        governor = self.governor(limits(messages_per_minute=12, burst=3))
        under_way: list[tuple[float, Granted]] = []
        dots: list[float] = []
        waiting = list(delays)
        while waiting or under_way:
            while waiting and len(under_way) < connections and not governor.wait(BOX).seconds:
                granted = governor.grant(BOX, [TO])
                under_way.append((self.machine.up + waiting.pop(), granted))
            ready = [one for one in under_way if one[0] <= self.machine.up]
            for one in ready:
                under_way.remove(one)
                wait = governor.late(BOX, one[1])
                if wait:
                    under_way.append((self.machine.up + wait, Granted(1, 0, inf)))
                else:
                    dots.append(self.machine.up)
            self.machine.wait(0.25)
        self.assertEqual(len(dots), len(delays))
        self.assert_paced(sorted(dots), 12)


class ConnectionTests(GovernorCase):
    """Connections at a time, and what replies teach."""

    def test_all_connections_in_use(self) -> None:
        """With all connections in use there is no time to name: one must end first."""
        governor = self.governor(limits(connections=2))
        self.assertEqual([governor.begin(BOX).seconds for _ in range(3)], [0.0, 0.0, inf])
        governor.end(BOX)
        self.assertEqual(governor.wait(BOX).seconds, 0.0)

    def test_connections_are_shared_by_processes(self) -> None:
        """Two processes together have no more than one alone; who dies gives its own back."""
        one, other = self.governor(limits(connections=2)), self.governor(limits(connections=2))
        self.assertEqual([one.begin(BOX).seconds for _ in range(2)], [0.0, 0.0])
        self.assertIs(other.begin(BOX).limit, Limit.CONNECTIONS)
        one.ledger.close()
        self.machine.opened.remove(one.ledger)
        self.assertEqual([other.begin(BOX).seconds for _ in range(2)], [0.0, 0.0])

    def test_432_halves_and_they_grow_back(self) -> None:
        """After a 432 half the connections are used, and twice as many each ten minutes."""
        governor = self.governor(limits(connections=3))
        governor.fewer_connections(BOX)
        allowed = []
        for wait in (0, 540, 60, 600, 4200):
            self.machine.wait(wait)
            allowed.append(governor.uses(BOX).connections.limit)
        self.assertEqual(allowed, [1, 1, 2, 3, 3])

    def test_one_connection_is_always_left(self) -> None:
        """However often 432 is answered, one connection stays."""
        governor = self.governor(limits(connections=2))
        for _ in range(5):
            governor.fewer_connections(BOX)
            self.machine.wait(100.0)
        self.assertEqual(governor.uses(BOX).connections.limit, 1)

    def test_several_432_of_one_moment_count_once(self) -> None:
        """Four connections that are told the same are one lesson."""
        governor = self.governor(limits(connections=8))
        for _ in range(4):
            governor.fewer_connections(BOX)
        self.assertEqual(governor.uses(BOX).connections.limit, 4)

    def test_432_are_counted_for_a_day(self) -> None:
        """Each of them, over a restart; after a day and two hours at most they are forgotten."""
        first = self.governor(limits(connections=3))
        for _ in range(3):
            first.fewer_connections(BOX)
        self.machine.wait(DAY - 7200)
        second = self.governor(limits(connections=3))
        second.fewer_connections(BOX)
        self.assertEqual((second.uses(BOX).crowded, second.uses(OTHER).crowded), (4, 0))
        self.machine.wait(2 * 7200)
        self.assertEqual(second.uses(BOX).crowded, 1)

    def test_busy_host_gets_fewer_of_all_mailboxes(self) -> None:
        """After "server busy" half as many go at a time, whichever mailboxes they are of."""
        governor = self.governor(limits())
        for mailbox in (BOX, BOX, OTHER, FAR):
            governor.begin(mailbox)
        governor.busy(BOX)
        self.assertIs(governor.wait(FAR).limit, Limit.HOST)
        for mailbox in (BOX, BOX, OTHER):
            governor.end(mailbox)
        self.assertEqual(governor.wait(OTHER).seconds, 0.0)
        governor.begin(BOX)
        self.assertIs(governor.wait(OTHER).limit, Limit.HOST)
        self.machine.wait(600.0)
        self.assertEqual(governor.wait(OTHER).seconds, 0.0)


class RecipientTests(GovernorCase):
    """Recipients of a transaction and of a day."""

    def test_transaction_is_cut_to_what_it_may_have(self) -> None:
        """A grant is never larger than recipients_per_message."""
        self.assertEqual(self.send(self.governor(limits()), 250), 100)

    def test_too_many_recipients_teaches_smaller_transactions(self) -> None:
        """After "too many recipients" transactions are half as large for a day."""
        governor = self.governor(limits())
        governor.fewer_recipients(BOX, 80)
        self.machine.wait(60.0)
        self.assertEqual(governor.uses(BOX).recipients_per_message, 40)
        self.machine.wait(DAY)
        self.assertEqual(governor.uses(BOX).recipients_per_message, 100)

    def test_the_day_runs_out(self) -> None:
        """What the day has left is granted, then nothing until its first hour is over."""
        governor = self.governor(limits(recipients_per_day=150))
        self.assertEqual([self.send(governor, 100), self.send(governor, 100)], [100, 50])
        self.assertEqual(self.send(governor), 0)
        wait = governor.wait(BOX)
        self.assertIs(wait.limit, Limit.DAY)
        self.assertTrue(DAY <= wait.seconds <= DAY + 3600, wait)

    def test_the_day_rolls(self) -> None:
        """A day later the recipients are there again."""
        governor = self.governor(limits(recipients_per_day=100))
        self.send(governor, 100)
        self.machine.wait(governor.wait(BOX).seconds)
        self.assertEqual(self.send(governor, 100), 100)

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.tuples(st.integers(1, 60), st.floats(0, 20000)), max_size=60))
    def test_never_more_than_the_limit_in_any_day(self, steps: list[tuple[int, float]]) -> None:
        """Whatever is asked and when, no 24 hours hold more recipients than the limit."""
        self.anew()
        governor = self.governor(limits(recipients_per_day=100))
        sent: list[tuple[float, int]] = []
        for wanted, pause in steps:
            self.machine.wait(pause)
            sent.append((self.machine.up, self.send(governor, wanted)))
            recent = sum(count for time, count in sent if time >= self.machine.up - DAY)
            self.assertLessEqual(recent, 100)


class TenantTests(GovernorCase):
    """External recipients of all mailboxes of a tenant."""

    def setUp(self) -> None:
        super().setUp()
        told = limits(tenant_external_recipients_per_day=5, internal_domains=("contoso.com",))
        self.shared = self.governor(told)

    def test_mailboxes_of_a_tenant_share_it(self) -> None:
        """What one mailbox sends to the world the other may not; another tenant may."""
        self.assertEqual(self.send(self.shared, 3), 3)
        self.assertEqual(self.send(self.shared, 3, OTHER), 2)
        for mailbox in (BOX, OTHER):
            self.assertIs(self.shared.wait(mailbox).limit, Limit.TENANT)
            self.assertEqual(self.send(self.shared, 1, mailbox), 0)
        self.assertEqual(self.send(self.shared, 3, FAR), 3)

    def test_internal_recipients_do_not_count(self) -> None:
        """A transaction is cut where it would hold one external recipient too many."""
        mixed = ["a@Contoso.com", "b@x.example", "c@contoso.com"] * 4
        granted = self.shared.grant(BOX, mixed)
        self.assertEqual((granted.count, granted.external), (12, 4))
        granted = self.shared.grant(BOX, mixed)
        self.assertEqual((granted.count, granted.external), (4, 1))

    def test_what_is_given_back_is_the_tenants_again(self) -> None:
        """A transaction that never came to be costs the tenant nothing."""
        self.shared.give_back(BOX, self.shared.grant(BOX, [TO] * 5))
        self.assertEqual(self.send(self.shared, 5, OTHER), 5)

    def test_refused_for_pace_costs_the_tenant_nothing(self) -> None:
        """A grant of nothing charges nobody."""
        told = limits(tenant_external_recipients_per_day=5, messages_per_minute=30)
        governor = self.governor(told)
        self.assertEqual([self.send(governor), self.send(governor)], [1, 0])
        uses = governor.uses(BOX).tenant
        assert uses is not None
        self.assertEqual(uses.used, 1)

    def test_not_counted_by_default(self) -> None:
        """The limit depends on licences nobody tells us of: without a setting there is none."""
        governor = self.governor(limits())
        self.assertEqual(self.send(governor, 100), 100)
        self.assertIsNone(governor.uses(BOX).tenant)


class MemoryTests(GovernorCase):
    """What outlives the process."""

    def test_all_of_it_survives_a_restart(self) -> None:
        """Recipients of the day and learned limits are the same for the next process."""
        told = limits(connections=3, recipients_per_day=100)
        first = self.governor(told)
        self.send(first, 60)
        first.fewer_connections(BOX)
        first.fewer_recipients(BOX, 50)
        before = first.uses(BOX)
        second = self.governor(told)
        self.assertEqual(second.uses(BOX), before)
        self.assertEqual(sum(self.send(second, 60) for _ in range(3)), 40)

    def test_what_was_used_stays_used_by_a_reload(self) -> None:
        """The day's recipients and the connections in use are counted on."""
        governor = self.governor(limits(recipients_per_day=100))
        governor.begin(BOX)
        self.send(governor, 60)
        governor.configure(limits(recipients_per_day=70, connections=1), ACCOUNTS)
        self.assertEqual(governor.wait(BOX).seconds, inf)
        governor.end(BOX)
        self.assertEqual(self.send(governor, 60), 10)

    def test_uses_say_what_is_left(self) -> None:
        """The numbers an administrator sees."""
        governor = self.governor(evolve(Limits(), recipients_per_day=40))
        governor.begin(BOX)
        self.send(governor, 40)
        uses = governor.uses(BOX)
        self.assertEqual((uses.connections.used, uses.connections.limit), (1, 2))
        self.assertEqual((uses.minute.used, uses.minute.limit), (1, 30))
        self.assertEqual((uses.day.used, uses.day.limit), (40, 40))
        self.assertGreater(uses.day.seconds, DAY - 1)
        self.machine.wait(66.0)
        self.assertEqual(governor.uses(BOX).minute.used, 0)


class ConnectorTests(GovernorCase):
    """A connector has no mailbox, and so none of its limits."""

    def test_it_keeps_limits_of_its_own(self) -> None:
        """Connections and pace are those of connectors; its recipients are not counted."""
        governor = self.governor(Limits(recipients_per_day=1, connector_connections=7))
        self.assertEqual(self.send(governor, 50, mailbox="by@contoso.com"), 50)
        uses = governor.uses("by@contoso.com")
        self.assertEqual(
            (uses.connections.limit, uses.minute.limit, uses.day.used, uses.day.limit),
            (7, 120.0, 50, inf),
        )
        self.assertEqual(governor.uses(BOX).day.limit, 1)

    def test_its_recipients_may_be_counted(self) -> None:
        """Where the operator wants a bound."""
        governor = self.governor(Limits(connector_recipients_per_day=3))
        self.assertEqual(self.send(governor, 5, mailbox="by@contoso.com"), 3)
        self.assertIs(governor.wait("by@contoso.com").limit, Limit.DAY)
