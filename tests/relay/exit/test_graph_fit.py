"""What Microsoft Graph can carry, and what it is then given."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft import graph_obstacles as obstacles
from m365gw.microsoft.reactions import Reaction
from m365gw.relay.exit.graph_fit import HEADER_LIMIT, Carriage, Unfit, fitted
from m365gw.relay.exit.transaction import Transaction
from m365gw.smtp.envelope import Recipient

BOX = "relay@contoso.com"
LIMIT = 4_194_304


def transaction(
    content: bytes, recipients: Sequence[str] = ("a@x.example",), sender: str = BOX
) -> Transaction:
    """A transaction of a message that lies in memory."""

    async def nothing() -> None:
        pass

    return Transaction(
        sender=sender,
        recipients=[(place, Recipient(address)) for place, address in enumerate(recipients)],
        size=len(content),
        read=lambda offset, length: content[offset : offset + length],
        before_dot=nothing,
    )


def mail(header: str, body: str = "Hello.\r\n") -> bytes:
    return f"{header}\r\n\r\n{body}".encode()


def carried(task: Transaction, carriage: Carriage) -> bytes:
    """All that Graph is given."""
    return carriage.header + task.read(carriage.replaced, task.size)


class FitTests(SynchronousTestCase):
    def fit(self, content: bytes, recipients: Sequence[str], sender: str = BOX) -> bytes:
        task = transaction(content, recipients, sender)
        carriage = fitted(task, BOX, LIMIT)
        octets = carried(task, carriage)
        self.assertEqual(len(octets), carriage.size)
        return octets

    def assert_unfit(
        self, obstacle: Reaction, content: bytes, recipients: Sequence[str], sender: str = BOX
    ) -> None:
        with self.assertRaises(Unfit) as raised:
            self.fit(content, recipients, sender)
        self.assertIs(raised.exception.obstacle, obstacle)

    def test_everybody_is_named(self) -> None:
        """A message whose header names all recipients goes octet for octet."""
        content = mail(
            'From: a <r@c.com>\r\nTo: "B, b" <b@x.example>,\r\n c@x.example\r\nCc: D@X.example'
        )
        self.assertEqual(self.fit(content, ["b@x.example", "c@x.example", "d@x.EXAMPLE"]), content)

    def test_who_is_not_named_becomes_bcc(self) -> None:
        """Envelope-only recipients stand in a Bcc field in front; nothing else changes."""
        content = mail("From: r@c.com\r\nTo: b@x.example\r\nSubject:  odd   spaces")
        octets = self.fit(content, ["b@x.example", "c@x.example", "d@x.example"])
        self.assertEqual(octets, b"Bcc: <c@x.example>,\r\n <d@x.example>\r\n" + content)

    def test_nobody_is_named(self) -> None:
        """Undisclosed recipients, in any language, and a header without To, are all Bcc."""
        for header in (
            "From: r@c.com\r\nTo: undisclosed-recipients:;",
            "From: r@c.com\r\nTo: =?utf-8?q?Unbekannte_Empf=C3=A4nger?=:;",
            "From: r@c.com",
        ):
            content = mail(header)
            self.assertEqual(
                self.fit(content, ["b@x.example"]), b"Bcc: <b@x.example>\r\n" + content
            )

    def test_there_is_one_bcc_field(self) -> None:
        """A Bcc field that is there already is extended, as a header may have one only."""
        octets = self.fit(
            mail("Bcc: B <b@x.example>\r\nSubject: s"),
            ["b@x.example", "c@x.example"],
        )
        self.assertEqual(
            octets,
            b"Bcc: <b@x.example>,\r\n <c@x.example>\r\nSubject: s\r\n\r\nHello.\r\n",
        )
        known = mail("From: r@c.com\r\nBcc: b@x.example")
        self.assertEqual(self.fit(known, ["b@x.example"]), known)

    def test_nobody_gets_it_twice(self) -> None:
        """List mail, split envelopes, and the rest of a message after some have it."""
        for header in ("To: list@x.example", "To: b@x.example, c@x.example", "Cc: c@x.example"):
            with self.subTest(header=header):
                content = mail(f"From: r@c.com\r\n{header}")
                self.assert_unfit(obstacles.OTHER_RECIPIENTS, content, ["b@x.example"])
        bcc = mail("From: r@c.com\r\nBcc: secret@x.example")
        self.assert_unfit(obstacles.OTHER_RECIPIENTS, bcc, ["b@x.example"])

    def test_a_name_that_looks_like_an_address_counts(self) -> None:
        """What one reader takes for a name another one sends to."""
        content = mail("To: c@x.example <b@x.example>")
        self.assert_unfit(obstacles.OTHER_RECIPIENTS, content, ["b@x.example"])
        group = mail("To: friends: b@x.example, c@x.example;")
        self.assert_unfit(obstacles.OTHER_RECIPIENTS, group, ["b@x.example"])

    def test_what_cannot_be_read_for_sure(self) -> None:
        """Broken fields, endless ones, redirected mail, no header at all."""
        for content in (
            mail("To: <b@x.example"),
            mail("To: b@x.example c@x.example"),
            mail("To: b@x.example\r\nResent-To: c@x.example"),
            mail("To: " + ", ".join(["b@x.example"] * 2000)),
            mail("X: " + "y\r\n " * HEADER_LIMIT),
            b"no header\r\n",
            b"\r\nbody\r\n",
        ):
            with self.subTest(content=content[:40]):
                self.assert_unfit(obstacles.UNREADABLE_RECIPIENTS, content, ["b@x.example"])

    def test_a_header_that_is_broken_off(self) -> None:
        """Some readers go on behind the line that is no field, and find more recipients there."""
        for rest in ("no field\r\nBcc: other@x.example\r\n\r\nHello", "no field\r\n", "\0: x\r\n"):
            content = f"To: a@x.example\r\n{rest}".encode()
            self.assert_unfit(obstacles.UNREADABLE_RECIPIENTS, content, ["a@x.example"])
        self.fit(b"To: a@x.example\r\n", ["a@x.example"])
        for header in (
            'To: "other@x.example", <a@x.example>',
            'To: "other@x.example"',
            "Cc: =?utf-8?q?other=40x=2Eexample?=",
            "Cc: =?utf-8?q?o=40x?=, a@x.example",
        ):
            content = mail(header)
            self.assert_unfit(obstacles.UNREADABLE_RECIPIENTS, content, ["a@x.example"])

    def test_addresses_that_could_be_taken_for_two(self) -> None:
        """A quoted local part is not put into a Bcc field."""
        content = mail("To: b@x.example")
        quoted = '"a>,<evil@x.example"@x.example'
        self.assert_unfit(obstacles.UNREADABLE_RECIPIENTS, content, ["b@x.example", quoted])

    def test_sender(self) -> None:
        """The return path is From or the mailbox: any other envelope sender would be lost."""
        content = mail("From: Scanner <scan@contoso.com>\r\nTo: b@x.example")
        for sender in (BOX, "Scan@contoso.com"):
            self.assertEqual(self.fit(content, ["b@x.example"], sender), content)
        self.assert_unfit(
            obstacles.OTHER_SENDER, content, ["b@x.example"], "bounces+b=x@contoso.com"
        )
        self.assert_unfit(obstacles.NULL_SENDER, content, ["b@x.example"], "")

    def test_international_addresses(self) -> None:
        """It is not known what Graph does with them, in the envelope or in the header."""
        content = mail("To: b@x.example")
        self.assert_unfit(obstacles.INTERNATIONAL, content, ["b@x.example", "ü@x.example"])
        self.assert_unfit(obstacles.INTERNATIONAL, content, ["b@x.example"], "ü@contoso.com")

    def test_size(self) -> None:
        """The request is a third larger than the message; one octet decides."""
        header = b"To: a@x.example\r\n\r\n"
        room = LIMIT // 4 * 3
        fits = header + b"x" * (room - len(header))
        carriage = fitted(transaction(fits), BOX, LIMIT)
        self.assertEqual((carriage.size, carriage.request_size), (room, LIMIT))
        self.assert_unfit(obstacles.TOO_LARGE, fits + b"x", ["a@x.example"])

    @given(
        st.binary(max_size=300),
        st.lists(st.sampled_from(["a@x.example", "b@x.example", "c@x.example"]), min_size=1),
    )
    def test_whatever_stands_in_to(self, value: bytes, recipients: list[str]) -> None:
        """It is carried with all recipients known, or it is an obstacle; never an error."""
        task = transaction(b"To: " + value + b"\r\n\r\nx\r\n", recipients)
        try:
            carriage = fitted(task, BOX, LIMIT)
        except Unfit:
            return
        octets = carried(task, carriage)
        for address in recipients:
            self.assertIn(address, octets.decode("latin-1").lower())
