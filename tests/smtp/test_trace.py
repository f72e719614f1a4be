"""The Received field."""

import email
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Origin
from m365gw.smtp.trace import date, received

AT = datetime(2026, 11, 21, 4, 46, 7, tzinfo=UTC)
ORIGIN = Origin(
    "10.1.2.3", 4242, "printer.local", "ESMTPSA", "TLSv1.3 TLS_AES_256_GCM_SHA384", "printer3"
)


def field(origin: Origin = ORIGIN, recipient: str = "") -> bytes:
    return received(origin, "relay.example.com", "4XYZ123456789", recipient, AT.timestamp())


class ReceivedTests(SynchronousTestCase):
    """RFC 5321 4.4, and nothing from outside in it that could do harm."""

    def test_whole_field(self) -> None:
        """From, TLS, by, with, id, for and date, folded."""
        self.assertEqual(
            field(recipient="a@example.com"),
            b"Received: from printer.local ([10.1.2.3])\r\n"
            b"\t(using TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
            b"\tby relay.example.com with ESMTPSA id 4XYZ123456789\r\n"
            b"\tfor <a@example.com>;\r\n"
            b"\tSat, 21 Nov 2026 04:46:07 +0000\r\n",
        )

    def test_several_recipients_are_not_named(self) -> None:
        """Without a recipient there is no "for"."""
        self.assertNotIn(b"for", field())

    def test_the_login_is_not_told(self) -> None:
        """Who logged in stays here."""
        self.assertNotIn(b"printer3", field())

    def test_ipv6_and_missing_parts(self) -> None:
        """IPv6 is a tagged literal; no HELO is unknown; our own mail comes from nobody."""
        self.assertIn(b"from unknown ([IPv6:2001:db8::1])", field(Origin("2001:db8::1")))
        own = field(Origin("", protocol=""))
        self.assertTrue(own.startswith(b"Received: by relay.example.com id 4XYZ123456789;"))

    def test_address_literal_as_name(self) -> None:
        """HELO [10.1.2.3] is shown as it was given."""
        self.assertIn(b"from [IPv6:::1] (", field(Origin("10.1.2.3", helo="[IPv6:::1]")))

    def test_unfit_recipients_are_left_out(self) -> None:
        """Line ends, brackets, spaces and non-ASCII never get into the field."""
        for recipient in ("a@b\r\nX: y", "a>b@c", '"a b"@c', "ä@b", "a" * 400, "\0@b"):
            with self.subTest(recipient=recipient):
                self.assertEqual(field(recipient=recipient), field())

    @settings(deadline=None, max_examples=300)
    @given(st.text(max_size=400), st.text(max_size=100), st.text(max_size=100), st.text())
    def test_nothing_from_outside_breaks_the_field(
        self, helo: str, client: str, tls: str, recipient: str
    ) -> None:
        """Whatever a client says, it is one ASCII field with lines of at most 998 octets."""
        wire = field(Origin(client, 1, helo, "ESMTP", tls), recipient)
        self.assertTrue(wire.isascii() and wire.endswith(b"\r\n"))
        self.assertLess(max(map(len, wire.split(b"\r\n"))), 998)
        self.assertFalse(set(wire.replace(b"\r\n\t", b"").removesuffix(b"\r\n")) & {0, 9, 10, 13})
        self.assertEqual(email.message_from_bytes(wire + b"\r\n").keys(), ["Received"])


class DateTests(SynchronousTestCase):
    """Dates as mail writes them."""

    @given(
        st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001 - the zone is added below
        st.integers(-720, 720),
    )
    def test_as_the_standard_library_writes_it(self, naive: datetime, minutes: int) -> None:
        """The same as email.utils gives for UTC, and it reads back."""
        at = naive.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
        self.assertEqual(date(at), format_datetime(at.astimezone(UTC)).replace(", 0", ", "))
        self.assertEqual(parsedate_to_datetime(date(at)), at)
