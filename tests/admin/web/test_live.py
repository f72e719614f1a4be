"""What is live: pages hear that something has changed, as long as their session stands."""

from __future__ import annotations

from unittest import mock

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from m365gw.admin.web.visits import LOOKED_UP
from m365gw.directory.database import DirectoryError
from tests.admin.web.browser import Browser, ConsoleTestCase


class LiveTests(ConsoleTestCase):
    def listen(self, browser: Browser) -> StringTransport:
        return browser.begin(browser.head("GET", "/live", 0, {}))

    def test_a_change_is_told_by_name(self) -> None:
        """And only then; what has not changed is not told."""
        stream = self.listen(self.signed_in())
        self.assertIn(b"text/event-stream", stream.value())
        self.stage.clock.advance(4)
        self.assertNotIn(b"changed", stream.value())
        self.stage.signs["queue"] = 1
        self.stage.clock.advance(2)
        self.assertIn(b"event: changed\ndata: queue\n\n", stream.value())

    def test_while_much_flows_it_is_told_less_often(self) -> None:
        """Three changes as they come, then one each five seconds, until a look finds nothing."""
        stream = self.listen(self.signed_in())
        told = []
        for second in range(30):
            self.stage.signs["queue"] = second
            self.stage.clock.advance(1)
            told.append(stream.value().count(b"event: changed"))
        self.assertEqual([told[at] for at in (1, 3, 5, 6, 9, 10, 15, 20)], [1, 2, 3, 3, 3, 4, 5, 6])
        self.stage.clock.advance(5)
        self.stage.clock.advance(5)
        before = stream.value().count(b"event: changed")
        self.stage.signs["queue"] = "more"
        self.stage.clock.advance(2)
        self.assertEqual(stream.value().count(b"event: changed"), before + 1)

    def test_nobody_hears_without_a_session(self) -> None:
        """A stream is for who is signed in."""
        self.assertIn(b" 401 ", self.listen(self.browser).value())

    def test_the_end_of_a_session_is_told(self) -> None:
        """The page then leads to the sign-in; a stream keeps no session alive."""
        stream = self.listen(self.signed_in())
        for _ in range(1000):
            self.stage.clock.advance(2)
        self.assertIn(b"event: signed-out", stream.value())

    def test_who_has_left_costs_nothing(self) -> None:
        """Nobody is looked after when no page is open."""
        browser = self.signed_in()
        self.listen(browser)
        browser.protocol.connectionLost(Failure(ConnectionDone()))
        self.stage.clock.advance(4)
        self.assertEqual(self.stage.live._listeners, [])
        self.assertIsNone(self.stage.live._due)

    def test_while_the_directory_is_away(self) -> None:
        """Nobody knows who is signed in: what has changed is told afterwards."""
        stream = self.listen(self.signed_in())
        away = self.patch(
            self.stage.sessions, "find", mock.Mock(side_effect=DirectoryError("away"))
        )
        self.stage.clock.advance(LOOKED_UP)
        self.stage.signs["queue"] = 1
        self.stage.clock.advance(2)
        self.assertNotIn(b"event:", stream.value())
        away.restore()
        self.stage.clock.advance(2)
        self.assertIn(b"event: changed\ndata: queue\n\n", stream.value())

    def test_a_quiet_stream_says_that_it_is_there(self) -> None:
        """So that no proxy in between takes it for dead."""
        stream = self.listen(self.signed_in())
        for _ in range(11):
            self.stage.clock.advance(2)
        self.assertIn(b": still here", stream.value())
