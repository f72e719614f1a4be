"""Who watches sees what he asked for, and nobody watches for ever."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw import tracing
from m365gw.tracing import CLIENT, IN, OUT, SERVER, TooMany, Tracing, Wish


class TracingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tracing = Tracing(self.clock.seconds)

    def texts(self, watch: tracing.Watch, seen: int = 0) -> list[str]:
        return [line.text for line in watch.since(seen, self.clock.seconds())]

    def test_it_is_off_until_somebody_watches_and_after(self) -> None:
        """What mail looks at says so."""
        self.assertFalse(self.tracing.is_on)
        first, second = self.tracing.watch(Wish(), 60), self.tracing.watch(Wish(), 60)
        self.tracing.end(first)
        self.assertTrue(self.tracing.is_on)
        self.tracing.end(second)
        self.assertFalse(self.tracing.is_on)

    def test_it_ends_by_itself(self) -> None:
        """When its time is up, whoever speaks next ends it; and who asks is told."""
        watch = self.tracing.watch(Wish(), 30)
        spoken = self.tracing.begin(IN, "10.1.0.7:1")
        self.clock.advance(31)
        spoken.say(CLIENT, "EHLO x")
        self.assertFalse(self.tracing.is_on)
        self.assertEqual((self.texts(watch), watch.why), ([], "its time is up"))

    def test_one_that_nobody_asks_for_ends(self) -> None:
        """Whoever has gone home costs nothing."""
        watch = self.tracing.watch(Wish(), 3600)
        spoken = self.tracing.begin(IN, "10.1.0.7:1")
        for _ in range(3):
            self.clock.advance(40)
            watch.since(0, self.clock.seconds())
            spoken.say(CLIENT, "NOOP")
        self.assertTrue(self.tracing.is_on)
        self.clock.advance(61)
        spoken.say(CLIENT, "NOOP")
        self.assertFalse(self.tracing.is_on)

    def test_only_what_was_asked_for(self) -> None:
        """By address, network, listener and mailbox; all that is named must fit."""
        wishes = {
            "all": Wish(),
            "client": Wish(client="10.1.0.7"),
            "network": Wish(client="10.1.0.0/16"),
            "mailbox": Wish(mailbox="RELAY@contoso.com"),
            "both": Wish(client="10.1.0.7", listener="smtps"),
        }
        watches = {name: self.tracing.watch(wish, 60) for name, wish in wishes.items()}
        self.tracing.begin(IN, "a", client="10.1.0.7", listener="submission").say(CLIENT, "one")
        self.tracing.begin(IN, "b", client="10.1.0.8", listener="smtps").say(CLIENT, "two")
        self.tracing.begin(OUT, "c", mailbox="relay@contoso.com").say(SERVER, "three")
        self.assertEqual(
            {name: self.texts(watch) for name, watch in watches.items()},
            {
                "all": ["one", "two", "three"],
                "client": ["one"],
                "network": ["one", "two"],
                "mailbox": ["three"],
                "both": [],
            },
        )

    def test_what_came_before_the_login_is_shown_with_it(self) -> None:
        """A login is known only once it has succeeded; the lines before are kept until then."""
        watch = self.tracing.watch(Wish(login="fax"), 60)
        spoken = self.tracing.begin(IN, "a")
        spoken.say(CLIENT, "EHLO x")
        spoken.say(CLIENT, "AUTH PLAIN [hidden]")
        self.assertEqual(self.texts(watch), [])
        spoken.login = "fax"
        spoken.say(SERVER, "235 ok")
        spoken.say(CLIENT, "QUIT")
        self.assertEqual(self.texts(watch), ["EHLO x", "AUTH PLAIN [hidden]", "235 ok", "QUIT"])
        self.assertEqual(self.texts(watch, seen=3), ["QUIT"])

    def test_it_is_bounded(self) -> None:
        """The oldest lines go first and their number tells; so many watches are begun, no more."""
        watch = self.tracing.watch(Wish(), 60)
        spoken = self.tracing.begin(IN, "a")
        for number in range(tracing.KEPT + 10):
            spoken.say(CLIENT, f"NOOP {number}")
        lines = watch.since(0, 0.0)
        self.assertEqual((len(lines), lines[0].number), (tracing.KEPT, 11))
        for _ in range(tracing.MOST - 1):
            self.tracing.watch(Wish(), 60)
        self.assertRaises(TooMany, self.tracing.watch, Wish(), 60)
        self.clock.advance(61)
        self.tracing.watch(Wish(), 60)

    def test_what_is_said_cannot_harm(self) -> None:
        """Controls are escaped, long lines cut, and several lines are several."""
        watch = self.tracing.watch(Wish(), 60)
        self.tracing.begin(IN, "a").say(SERVER, "250-a\x1b[31m\r\n250 \u202eb\r\n")
        self.tracing.begin(IN, "a").say(CLIENT, "x" * 5000)
        first, second, third = self.texts(watch)
        self.assertEqual((first, second), ("250-a\\x1b[31m", "250 \\u202eb"))
        self.assertEqual(len(third), tracing.LONGEST_LINE + 3)

    def test_an_address_that_is_none_is_said(self) -> None:
        """Nobody waits for what can never come."""
        self.assertRaises(ValueError, self.tracing.watch, Wish(client="printer"), 60)
