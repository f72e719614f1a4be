"""Queue ids and file names."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool.names import (
    ALPHABET,
    EPOCH,
    Entry,
    QueueIds,
    State,
    parse_id,
    parse_name,
    render_id,
    render_name,
    tag,
)

NUMBERS = st.integers(0, 2**64 - 1)
ENTRIES = st.builds(
    Entry,
    id=NUMBERS,
    state=st.sampled_from(State),
    size=st.integers(0, 10**12),
    due=st.integers(0, 10**11),
    attempts=st.integers(0, 10**6),
    mailbox=st.integers(0, 2**32 - 1),
    source=st.integers(0, 2**32 - 1),
    is_expired=st.booleans(),
)


class QueueIdTests(SynchronousTestCase):
    """Ids as text."""

    @settings(deadline=None, max_examples=200)
    @given(NUMBERS, NUMBERS)
    def test_text_is_the_number(self, one: int, other: int) -> None:
        """Text gives the number back, and sorts as numbers do."""
        self.assertEqual(one, parse_id(render_id(one)))
        self.assertEqual(one, parse_id(render_id(one).lower()))
        self.assertEqual(one < other, render_id(one) < render_id(other))

    def test_alphabet_spells_no_word(self) -> None:
        """No vowels, no letter twice, in the order of their codes."""
        self.assertEqual(set(), set(ALPHABET) & set("AEIOU"))
        self.assertEqual(list(ALPHABET), sorted(set(ALPHABET)))

    def test_what_is_no_id_is_refused(self) -> None:
        """Ids come from operators too: anything else is a ValueError, never a look-up."""
        for text in ("", "0", "0" * 12, "0" * 14, "A" * 13, "../../../etc/", "Z" * 13, "٠" * 13):
            self.assertRaises(ValueError, parse_id, text)

    def test_ids_grow_when_the_clock_stands_still(self) -> None:
        """More ids than microseconds are all different and in order."""
        ids = QueueIds(lambda: 1.7e9, worker=31)
        given_ = [ids.next() for _ in range(1000)]
        self.assertEqual(given_, sorted(set(given_)))

    def test_ids_grow_when_the_clock_goes_back(self) -> None:
        """A clock set back never brings an old id again."""
        times = [1.7e9, 1.7e9 - 3600, 1.7e9 - 7200, 1.7e9 + 1]
        ids = QueueIds(iter([times[0], *times]).__next__)
        given_ = [ids.next() for _ in times]
        self.assertEqual(given_, sorted(set(given_)))

    def test_ids_grow_over_a_restart_with_the_clock_set_back(self) -> None:
        """After a restart numbering goes on well after the newest id known."""
        newest = QueueIds(lambda: 1.7e9).next()
        first = QueueIds(lambda: 1.6e9, newest=newest).next()
        self.assertGreater(first - newest, 59_000_000 << 13)

    def test_workers_never_meet(self) -> None:
        """Two receiving processes at the same microsecond give different ids."""
        given_ = {QueueIds(lambda: 1.7e9, worker=n).next() for n in range(32)}
        self.assertEqual(32, len(given_))
        self.assertRaises(ValueError, QueueIds, lambda: 1.7e9, 32)

    def test_arrival_is_in_the_id(self) -> None:
        """The time of arrival is known from the id to the microsecond."""
        number = QueueIds(lambda: 1700000000.25).next()
        entry = Entry(number, State.INCOMING, 1, 0, 0, 0, 0)
        self.assertAlmostEqual(1700000000.25, entry.arrived_at, places=5)
        early = QueueIds(lambda: 0.0).next()  # a machine without a clock
        self.assertEqual(EPOCH, Entry(early, State.INCOMING, 1, 0, 0, 0, 0).arrived_at)


class FileNameTests(SynchronousTestCase):
    """File names as entries."""

    @settings(deadline=None, max_examples=200)
    @given(ENTRIES)
    def test_name_is_the_entry(self, entry: Entry) -> None:
        """A name gives its entry back, is a plain Maildir name, and fits any file system."""
        name = render_name(entry)
        self.assertEqual(entry, parse_name(name, entry.state))
        self.assertRegex(name, r"\A[0-9]+\.M[0-9]{6}Q[0-9B-Z]{13}\.m365gw,[0-9A-Za-z=,]+(:2,)?\Z")
        self.assertLess(len(name), 200)

    def test_flags_of_mail_readers_are_read_over(self) -> None:
        """A reader that marked a message as seen does not make it foreign."""
        entry = Entry(1 << 60, State.DEFERRED, 10, 20, 3, 4, 5)
        self.assertEqual(entry, parse_name(render_name(entry) + "RS", State.DEFERRED))

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=120))
    def test_foreign_names_are_none(self, name: str) -> None:
        """Any other name is None, and nothing is raised."""
        self.assertIsNone(parse_name(name, State.INCOMING))

    def test_id_of_a_name_may_be_impossible(self) -> None:
        """A name of the right shape with a number over 64 bits is foreign."""
        name = render_name(Entry(2**64 - 1, State.INCOMING, 1, 0, 0, 0, 0))
        self.assertIsNone(parse_name(name.replace(render_id(2**64 - 1), "Z" * 13), State.INCOMING))

    @settings(deadline=None, max_examples=100)
    @given(st.text())
    def test_tag_does_not_see_letter_case(self, text: str) -> None:
        """Any text has a tag of 32 bits."""
        self.assertTrue(0 <= tag(text) < 2**32)
        self.assertEqual(tag("Printer3"), tag("pRINTER3"))
