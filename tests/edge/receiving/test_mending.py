"""Messages mended on their way in, where their listener asks for it."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.edge.receiving import mending
from m365gw.spool.draft import MEMORY_LIMIT
from tests.edge.conversation import HOST, MESSAGE, OPEN, Gateway, without_trace

MENDING = evolve(
    OPEN,
    repair=("date", "message-id", "from", "bcc", "header-text", "display-name", "long-lines"),
)
SLOPPY = evolve(OPEN, quirks=("bare-lf",), quirk_networks=("192.0.2.0/24",))


class MendingTests(SynchronousTestCase):
    """A session of a listener with repairs."""

    def through(self, gateway: Gateway, content: bytes, cut: int = 0) -> bytes:
        """A message sent in pieces of this size (0: at once), as it lies in the spool."""
        talk = gateway.connect()
        talk.envelope()
        talk.say("DATA")
        wire = content + b".\r\n"
        step = cut or len(wire)
        for at in range(0, len(wire), step):
            talk.protocol.dataReceived(wire[at : at + step])
        said = talk.heard()
        self.assertEqual([line[:3] for line in said], ["250"], said)
        return gateway.contents()[-1]

    def test_without_repairs_all_stays_as_it_came(self) -> None:
        """A broken message goes on octet for octet."""
        broken = b"Subject: \xe4\r\nBcc: x@y.z\r\n\r\n" + b"x" * 2000 + b"\r\n"
        self.assertEqual(self.through(Gateway(self), broken), broken)

    def test_the_header_is_mended_whatever_the_pieces(self) -> None:
        """What is missing is there, what is to be hidden is not, and the log says so."""
        gateway = Gateway(self, listener=MENDING)
        expected = self.through(gateway, MESSAGE.replace(b"\r\n\r\n", b"\r\nBcc: a@b.c\r\n\r\n"))
        self.assertIn(b"\r\nFrom: <me@example.com>\r\n", expected)
        self.assertIn(b"\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n", expected)
        self.assertIn(b"@gw.example.com>\r\n", expected)
        self.assertNotIn(b"Bcc", expected)
        self.assertTrue(expected.endswith(b"\r\n\r\nHello.\r\n"))
        self.assertIn("repaired=bcc,date,message-id,from", gateway.output.getvalue())
        for cut in (1, 7):
            again = self.through(
                gateway, MESSAGE.replace(b"\r\n\r\n", b"\r\nBcc: a@b.c\r\n\r\n"), cut
            )
            self.assertEqual(without_ids(again), without_ids(expected))

    def test_a_whole_message_is_not_touched(self) -> None:
        """And the log says nothing of repairs."""
        gateway = Gateway(self, listener=MENDING)
        whole = (
            b"From: me@example.com\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n"
            b"Message-ID: <1@x>\r\n\r\nHello.\r\n"
        )
        self.assertEqual(self.through(gateway, whole), whole)
        self.assertNotIn("repaired", gateway.output.getvalue())

    def test_long_lines_are_encoded_anew(self) -> None:
        """In memory and in a file alike; the queue id is that of the reply."""
        gateway = Gateway(self, listener=MENDING)
        for size in (2000, MEMORY_LIMIT + 2000):
            html = b"Content-Type: text/html\r\n\r\n" + b"z" * size + b"\r\n"
            octets = self.through(gateway, html)
            self.assertIn(b"Content-Transfer-Encoding: quoted-printable\r\n", octets)
            self.assertEqual(octets.count(b"z"), size)
            self.assertLessEqual(max(map(len, octets.split(b"\r\n"))), 998)
        self.assertEqual(len(gateway.accepted), 2)

    def test_nothing_is_left_in_the_spool_when_encoding_anew_fails(self) -> None:
        """The client is asked to try again."""
        gateway = Gateway(self, listener=MENDING)

        def fail(*_arguments: object) -> None:
            raise ValueError("not foreseen")

        talk = gateway.connect()
        talk.envelope()
        talk.say("DATA")
        self.patch(mending, "reencode", fail)
        said = talk.send(b"Subject: x\r\n\r\n" + b"x" * 2000 + b"\r\n.\r\n")
        self.assertEqual([line[:3] for line in said], ["451"])
        self.assertEqual(gateway.messages(), [])
        self.flushLoggedErrors(ValueError)

    def test_what_grows_beyond_the_limit_is_refused(self) -> None:
        """Encoded anew, 8-bit text has three times its size: nobody would take it from us."""
        limits = Limits(message_size_limit=10_000, minimal_free_space=0)
        gateway = Gateway(self, listener=MENDING, limits=limits)
        talk = gateway.connect()
        said = talk.message(b"Subject: x\r\n\r\n" + b"\xe4" * 5000 + b"\r\n")
        self.assertTrue(said[0].startswith("552 5.3.4"), said)
        self.assertEqual(gateway.messages(), [])
        self.assertTrue(talk.message(b"Subject: x\r\n\r\nsmall\r\n")[0].startswith("250"))

    def test_not_too_much_waits_to_be_encoded_anew(self) -> None:
        """Others are asked to come again, and what waits is taken when its turn has come."""
        limits = Limits(message_size_limit=10_000, minimal_free_space=0)
        gateway = Gateway(self, listener=MENDING, limits=limits)
        gateway.repairs.is_stalled = True
        content = b"Subject: x\r\n\r\n" + b"x" * 4000 + b"\r\n"
        talks = [gateway.connect() for _ in range(3)]
        said = [talk.message(content) for talk in talks]
        self.assertEqual(said[:2], [[], []])
        self.assertTrue(said[2][0].startswith("451 4.3.2"), said[2])
        gateway.repairs.run()
        self.assertEqual([talk.heard()[0][:3] for talk in talks[:2]], ["250", "250"])
        gateway.repairs.is_stalled = False
        self.assertTrue(talks[2].message(content)[0].startswith("250"))
        self.assertEqual(len(gateway.messages()), 3)

    def test_long_names_of_fields_end_the_header_for_all(self) -> None:
        """Who looks for its end and who mends it agree where that is, whatever the pieces."""
        gateway = Gateway(self, listener=MENDING)
        broken = (
            b"From: me@example.com\r\n" + b"X" * 300 + b": y\r\nSubject: \xe4\r\n\r\nHello.\r\n"
        )
        expected = without_ids(self.through(gateway, broken))
        for cut in (1, 50, 340):
            self.assertEqual(without_ids(self.through(gateway, broken, cut)), expected)

    def test_what_a_signature_covers_is_left_and_told(self) -> None:
        """The log names what was not mended."""
        gateway = Gateway(self, listener=MENDING)
        signed = (
            b"DKIM-Signature: v=1; h=from:subject; b=x\r\nFrom: me@example.com\r\n"
            b"Subject: \xe4\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n" + b"x" * 2000 + b"\r\n"
        )
        self.assertEqual(self.through(gateway, signed), signed)
        self.assertIn("not_repaired_as_signed=header-text,long-lines", gateway.output.getvalue())


class BareLineEndTests(SynchronousTestCase):
    """A listener with the quirk bare-lf."""

    def test_line_ends_are_mended_for_named_networks(self) -> None:
        """A bare LF inside of a message becomes CR LF; dots stay what they are."""
        gateway = Gateway(self, listener=SLOPPY)
        talk = gateway.connect()
        said = talk.message(b"Subject: x\n\none\n.\ntwo\rthree\r\n")
        self.assertTrue(said[0].startswith("250"), said)
        self.assertEqual(gateway.contents(), [b"Subject: x\r\n\r\none\r\n.\r\ntwo\r\nthree\r\n"])

    def test_a_bare_lf_never_ends_a_message(self) -> None:
        """What other servers might take for the end and a second message is content here."""
        gateway = Gateway(self, listener=SLOPPY)
        talk = gateway.connect()
        for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n.\r"):
            smuggled = b"a" + end + b"MAIL FROM:<x@example.com>\r\nRCPT TO:<v@example.net>\r\n"
            talk.message(b"Subject: x\r\n\r\n" + smuggled)
        self.assertEqual(len(gateway.accepted), 7)
        for octets in gateway.contents():
            self.assertIn(b"MAIL FROM", octets)

    def test_others_are_refused_as_before(self) -> None:
        """The quirk is for the networks it names."""
        listener = evolve(SLOPPY, quirk_networks=("198.51.100.0/24",))
        gateway = Gateway(self, listener=listener)
        self.assertTrue(gateway.connect(HOST).message(b"a\nb\r\n")[0].startswith("550 5.6.0"))

    def test_a_nul_is_refused_all_the_same(self) -> None:
        """It is no line end."""
        gateway = Gateway(self, listener=SLOPPY)
        self.assertTrue(gateway.connect().message(b"a\0b\r\n")[0].startswith("550 5.6.0"))


def without_ids(octets: bytes) -> bytes:
    """A message without the line that names its queue id."""
    lines = without_trace(b"Received: x\r\n" + octets).split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(b"Message-ID"))
