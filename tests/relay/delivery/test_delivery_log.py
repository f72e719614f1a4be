"""Tests for `m365gw.relay.delivery.delivery_log`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.delivery.delivery_log import dsn_of, seconds
from m365gw.smtp.replies import Reply


class WordsTests(SynchronousTestCase):
    """The parts of a line."""

    def test_durations_as_postfix_writes_them(self) -> None:
        """Two figures, hundredths at most, whole seconds from ten on, never below nought."""
        spans = [0, 0.004, 0.012, 0.126, 1.26, 9.94, 12.6, 126.4, 90010, -3]
        self.assertEqual(
            [seconds(span) for span in spans],
            ["0", "0", "0.01", "0.13", "1.3", "9.9", "13", "126", "90010", "0"],
        )

    def test_dsn_is_of_the_class_of_what_became_of_the_recipient(self) -> None:
        """A 5yz that is put off is shown as 4: tools count by it."""
        told = [
            dsn_of(status, reply)
            for status, reply in (
                ("sent", Reply(250, "2.0.0", "")),
                ("deferred", Reply(554, "5.2.0", "")),
                ("bounced", Reply(550, "5.1.1", "")),
                ("bounced", Reply(451, "4.3.2", "")),
                ("held", Reply(550, "5.7.60", "")),
                ("uncertain", Reply(0, "", "")),
                ("deferred", Reply(451, "", "")),
            )
        ]
        expected = ["2.0.0", "4.2.0", "5.1.1", "5.3.2", "4.7.60", "4.4.2", "4.0.0"]
        self.assertEqual(told, expected)
