"""Tests for `m365gw.relay.exit.transaction`."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.esmtp import Extensions
from m365gw.relay.exit.transaction import CHUNK, Answer, Dialogue, Transaction
from m365gw.smtp.content import DataReader
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from tests.relay.peer import Outcomes, Peer

PIPELINING = Extensions.of(Reply(250, "", "host\nPIPELINING\nSIZE\n8BITMIME"))
PLAIN = Extensions({})
CONTENT = b"Subject: x\r\n\r\nhello\r\n"


class Spooled:
    """A message in memory that knows when it was marked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.marks = 0
        self.gate: Deferred[None] | None = None

    def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]

    async def mark(self) -> None:
        self.marks += 1
        if self.gate is not None:
            await self.gate


class Case:
    """One dialogue with a peer."""

    def __init__(
        self,
        content: bytes = CONTENT,
        recipients: Sequence[str] = ("b@x.example",),
        extensions: Extensions = PIPELINING,
        *,
        reset: bool = False,
        eight_bit: bool = False,
    ) -> None:
        self.peer = Peer()
        self.spooled = Spooled(content)
        transaction = Transaction(
            sender="a@contoso.com",
            recipients=[(place + 3, Recipient(text)) for place, text in enumerate(recipients)],
            size=len(content),
            read=self.spooled.read,
            before_dot=self.spooled.mark,
            eight_bit=eight_bit,
        )
        self.dialogue = Dialogue(self.peer.wire, extensions, transaction)
        self.run = Outcomes(self.dialogue.run(reset=reset))

    @property
    def answers(self) -> list[Answer]:
        assert self.run.value is not None, self.run.problem
        answers: list[Answer] = self.run.value
        return answers

    def envelope_taken(self) -> None:
        """The peer takes one recipient and waits for content."""
        self.peer.say("250 ok", "250 ok", "354 go")


class EnvelopeTests(SynchronousTestCase):
    """MAIL, RCPT and DATA."""

    def test_pipelined_envelope_is_one_write(self) -> None:
        """With PIPELINING the envelope costs one write and one round trip."""
        case = Case(recipients=["b@x.example", "c@x.example"])
        self.assertEqual(
            case.peer.transport.writes,
            [
                b"MAIL FROM:<a@contoso.com> SIZE=21 BODY=8BITMIME\r\nRCPT TO:<b@x.example>\r\n"
                b"RCPT TO:<c@x.example>\r\nDATA\r\n"
            ],
        )

    def test_without_pipelining_one_command_at_a_time(self) -> None:
        """A server that does not offer it gets the next command after its answer."""
        case = Case(extensions=PLAIN)
        for command, answer in (
            (b"MAIL FROM:<a@contoso.com>\r\n", "250 ok"),
            (b"RCPT TO:<b@x.example>\r\n", "250 ok"),
            (b"DATA\r\n", "354 go"),
            (CONTENT + b".\r\n", "250 2.0.0 taken"),
        ):
            self.assertEqual(case.peer.heard(), command)
            case.peer.say(answer)
        self.assertIs(case.answers[0].outcome, Outcome.DELIVERED)

    def test_content_waits_for_354(self) -> None:
        """No content goes out before the server asked for it, pipelined or not."""
        case = Case()
        case.peer.heard()
        case.peer.say("250 ok", "250 ok")
        self.assertEqual(case.peer.heard(), b"")
        case.peer.say("354 go")
        self.assertEqual(case.peer.heard(), CONTENT + b".\r\n")

    def test_each_recipient_gets_its_own_answer(self) -> None:
        """Two are taken, one is refused for good, one for now; all in their order."""
        case = Case(recipients=["b@x", "c@x", "d@x", "e@x"])
        case.peer.say(
            "250 ok", "250 ok", "550 5.1.1 unknown", "250 ok", "451 4.2.0 later", "354 go"
        )
        case.peer.say("250 2.0.0 taken")
        self.assertEqual(
            [(each.recipient, each.outcome, each.phase) for each in case.answers],
            [
                (3, Outcome.DELIVERED, Phase.DATA),
                (4, Outcome.FAILED, Phase.RCPT),
                (5, Outcome.DELIVERED, Phase.DATA),
                (6, Outcome.PENDING, Phase.RCPT),
            ],
        )
        self.assertEqual(case.answers[0].reply, Reply(250, "2.0.0", "taken"))

    def test_refused_sender_concerns_all(self) -> None:
        """The answer to MAIL is the answer for each recipient; pipelined answers are read away."""
        case = Case(recipients=["b@x", "c@x"])
        case.peer.say("550 5.7.60 not you", "503 5.5.2", "503 5.5.2", "503 5.5.2")
        self.assertEqual({each.phase for each in case.answers}, {Phase.MAIL})
        self.assertEqual({each.reply.status for each in case.answers}, {"5.7.60"})
        self.assertTrue(case.dialogue.is_usable)
        self.assertFalse(case.dialogue.is_clean)
        self.assertFalse(case.peer.wire.has_unread)

    def test_refused_sender_without_pipelining_ends_at_once(self) -> None:
        """No RCPT is sent for a sender that was refused."""
        case = Case(extensions=PLAIN)
        case.peer.heard()
        case.peer.say("451 4.3.0 later")
        self.assertIs(case.answers[0].outcome, Outcome.PENDING)
        self.assertEqual(case.peer.heard(), b"")

    def test_no_recipient_left_no_content(self) -> None:
        """All refused and DATA too: nothing is sent."""
        case = Case(recipients=["b@x", "c@x"])
        case.peer.heard()
        case.peer.say("250 ok", "550 5.1.1 no", "550 5.1.1 no", "554 5.5.1 no recipients")
        self.assertEqual({each.outcome for each in case.answers}, {Outcome.FAILED})
        self.assertEqual(case.peer.heard(), b"")
        self.assertEqual(case.spooled.marks, 0)

    def test_all_refused_but_354_gets_a_lone_dot(self) -> None:
        """A server that asks for content nobody is to get receives the lone dot of RFC 2920."""
        case = Case()
        case.peer.heard()
        case.peer.say("250 ok", "550 5.1.1 no", "354 go")
        self.assertEqual(case.peer.heard(), b".\r\n")
        self.assertFalse(case.run.is_done)
        case.peer.say("554 5.5.1 no recipients")
        self.assertIs(case.answers[0].outcome, Outcome.FAILED)
        self.assertEqual(case.answers[0].reply.status, "5.1.1")
        self.assertTrue(case.dialogue.is_usable)

    def test_refused_sender_but_recipient_and_354_sends_nothing(self) -> None:
        """A confused server with a recipient never gets an empty message for it."""
        case = Case()
        case.peer.heard()
        case.peer.say("451 4.3.0 no", "250 ok", "354 go")
        self.assertIs(case.answers[0].phase, Phase.MAIL)
        self.assertEqual(case.peer.heard(), b"")
        self.assertFalse(case.dialogue.is_usable)

    def test_data_refused(self) -> None:
        """A refusal of DATA is for those who were taken, not for those refused before."""
        case = Case(recipients=["b@x", "c@x"])
        case.peer.say("250 ok", "250 ok", "550 5.1.1 no", "451 4.3.2 busy")
        self.assertEqual([each.reply.code for each in case.answers], [451, 550])
        self.assertEqual([each.phase for each in case.answers], [Phase.DATA, Phase.RCPT])

    def test_positive_answer_where_354_must_be_is_no_delivery(self) -> None:
        """250 in answer to DATA means that the two sides no longer agree: temporary."""
        case = Case()
        case.peer.heard()
        case.peer.say("250 ok", "250 ok", "250 ok")
        self.assertIs(case.answers[0].outcome, Outcome.PENDING)
        self.assertFalse(case.dialogue.is_usable)
        self.assertEqual(case.peer.heard(), b"")

    def test_reset_goes_with_the_envelope(self) -> None:
        """RSET after a failed transaction costs no round trip of its own."""
        case = Case(reset=True)
        self.assertTrue(case.peer.heard().startswith(b"RSET\r\nMAIL FROM"))
        case.peer.say("250 reset", "250 ok", "250 ok", "354 go")
        case.peer.say("250 taken")
        self.assertIs(case.answers[0].outcome, Outcome.DELIVERED)

    def test_refused_reset_is_temporary(self) -> None:
        """A session that cannot be reset is given up; the message is not to blame."""
        case = Case(reset=True, extensions=PLAIN)
        self.assertEqual(case.peer.heard(), b"RSET\r\n")
        case.peer.say("421 4.3.2 bye")
        self.assertIs(case.answers[0].outcome, Outcome.PENDING)
        self.assertFalse(case.dialogue.is_usable)

    def test_421_ends_the_session(self) -> None:
        """After a 421 in any place the session is not used again."""
        case = Case()
        case.peer.say("421 4.4.2 rate")
        case.peer.hang_up()
        self.assertEqual(case.answers[0].reply.code, 421)
        self.assertIs(case.answers[0].phase, Phase.MAIL)
        self.assertFalse(case.dialogue.is_usable)

    def test_stale_words_are_not_taken_for_an_answer(self) -> None:
        """What the server said while nobody asked is not the answer to MAIL."""
        peer = Peer()
        peer.say("250 from before")
        spooled = Spooled(CONTENT)
        transaction = Transaction(
            "a@b", [(0, Recipient("c@d"))], len(CONTENT), spooled.read, spooled.mark
        )
        dialogue = Dialogue(peer.wire, PIPELINING, transaction)
        answers = Outcomes(dialogue.run()).value
        self.assertIs(answers[0].outcome, Outcome.PENDING)
        self.assertEqual(peer.heard(), b"")
        self.assertFalse(dialogue.is_usable)


class LocalRefusalTests(SynchronousTestCase):
    """What is refused before a word is sent."""

    def test_eight_bit_not_offered(self) -> None:
        """All recipients get a verdict, nothing is sent and the session stays good."""
        case = Case(extensions=PLAIN, eight_bit=True, recipients=["b@x", "c@x"])
        self.assertEqual([each.reply.status for each in case.answers], ["5.6.3", "5.6.3"])
        self.assertEqual({each.outcome for each in case.answers}, {Outcome.FAILED})
        self.assertEqual(case.peer.heard(), b"")
        self.assertTrue(case.dialogue.is_usable)

    def test_one_bad_address_does_not_hurt_the_others(self) -> None:
        """An address that must not be sent is refused here; the rest is delivered."""
        case = Case(recipients=["b@x", "c\r\nDATA@x", "d@x"])
        self.assertNotIn(b"c\r\nDATA@x", case.peer.heard())
        case.peer.say("250 ok", "250 ok", "250 ok", "354 go")
        case.peer.say("250 taken")
        self.assertEqual(
            [each.outcome for each in case.answers],
            [Outcome.DELIVERED, Outcome.FAILED, Outcome.DELIVERED],
        )
        self.assertIs(case.answers[1].phase, Phase.RCPT)


class ContentTests(SynchronousTestCase):
    """Content and the final dot."""

    def test_small_message_is_one_write(self) -> None:
        """A message of one chunk and its final dot go out together."""
        case = Case()
        case.envelope_taken()
        self.assertEqual(case.peer.transport.writes[1:], [CONTENT + b".\r\n"])
        case.peer.say("250 2.0.0 OK")
        self.assertIs(case.answers[0].outcome, Outcome.DELIVERED)
        self.assertTrue(case.dialogue.is_clean and case.dialogue.is_usable)

    def test_dot_on_the_first_line_is_doubled(self) -> None:
        """Fault of stock clients: the very first line may begin with a dot."""
        case = Case(b".\r\nMAIL FROM:<evil@x>\r\n")
        case.peer.heard()
        case.envelope_taken()
        self.assertEqual(case.peer.heard(), b"..\r\nMAIL FROM:<evil@x>\r\n.\r\n")

    def test_dot_at_a_chunk_border_is_doubled(self) -> None:
        """Fault of stock clients: a dot that falls first in a chunk ends no message."""
        content = b"x" * (CHUNK - 2) + b"\r\n" + b".\r\nMAIL FROM:<evil@x>\r\n"
        case = Case(content)
        case.peer.heard()
        case.envelope_taken()
        self.assertEqual(case.peer.heard().count(b"\r\n.\r\n"), 1)

    def test_crlf_stays_crlf(self) -> None:
        """Fault of stock clients: CRLF is not turned into CR CR LF."""
        case = Case(b"a\r\nb\r\n")
        case.peer.heard()
        case.envelope_taken()
        self.assertEqual(case.peer.heard(), b"a\r\nb\r\n.\r\n")

    def test_missing_last_line_end_is_added(self) -> None:
        """Content that does not end with a line end gets one before the dot."""
        case = Case(b"a")
        case.peer.heard()
        case.envelope_taken()
        self.assertEqual(case.peer.heard(), b"a\r\n.\r\n")

    def test_empty_message(self) -> None:
        """A message of no octets is just the final dot."""
        case = Case(b"")
        case.peer.heard()
        case.envelope_taken()
        self.assertEqual(case.peer.heard(), b".\r\n")
        case.peer.say("250 taken")
        self.assertIs(case.answers[0].outcome, Outcome.DELIVERED)

    @given(
        st.lists(st.sampled_from([b".", b"\r\n", b"x", b"\r\n.\r\n", b"y" * 30]), max_size=40),
        st.integers(CHUNK - 20, CHUNK + 5),
    )
    @settings(deadline=None, max_examples=60)
    def test_content_arrives_octet_for_octet(self, pieces: list[bytes], before: int) -> None:
        """Whatever stands around a chunk border, a receiver gets just the message."""
        content = b"z" * before + b"".join(pieces) + b"\r\n"
        case = Case(content)
        case.peer.heard()
        case.envelope_taken()
        reader = DataReader()
        received = reader.feed(case.peer.heard())
        self.assertTrue(reader.finished)
        self.assertEqual((received, reader.rest), (content, b""))

    def test_long_content_waits_for_the_peer(self) -> None:
        """No more is read from the spool than the peer takes."""
        case = Case(b"x" * CHUNK * 3)
        case.peer.transport.registerProducer = (  # type: ignore[method-assign]  # full from the start
            lambda producer, streaming: producer.pauseProducing()
        )
        case.peer.transport.unregisterProducer = lambda: None  # type: ignore[method-assign]
        case.peer.heard()
        case.envelope_taken()
        self.assertEqual(len(case.peer.heard()), CHUNK)
        case.peer.wire.resumeProducing()
        self.assertEqual(len(case.peer.heard()), 2 * CHUNK + 5)

    def test_marked_before_the_last_octets_leave(self) -> None:
        """Until the recipients are marked on disk the server does not have the whole message."""
        case = Case(b"x" * (CHUNK + 10))
        case.peer.heard()
        case.spooled.gate = Deferred()
        case.envelope_taken()
        self.assertEqual(len(case.peer.heard()), CHUNK)
        self.assertEqual(case.spooled.marks, 1)
        case.spooled.gate.callback(None)
        self.assertEqual(case.peer.heard(), b"x" * 10 + b"\r\n.\r\n")

    def test_failed_mark_sends_no_dot(self) -> None:
        """A disk that cannot note the moment stops the message before it; the error passes on."""
        case = Case()
        case.peer.heard()
        case.spooled.gate = Deferred()
        case.envelope_taken()
        case.spooled.gate.errback(OSError("no space"))
        self.assertIsInstance(case.run.problem, OSError)
        self.assertEqual(case.peer.heard(), b"")

    def test_short_file_sends_no_dot(self) -> None:
        """A message that is shorter on disk than it was is never sent as if it were whole."""
        case = Case(b"x" * (CHUNK + 10))
        case.peer.heard()
        case.spooled.content = b"x" * CHUNK
        case.envelope_taken()
        self.assertIsInstance(case.run.problem, EOFError)
        self.assertNotIn(b"\r\n.\r\n", case.peer.heard())

    def test_answer_amid_the_content_stops_it(self) -> None:
        """Fault of stock clients: after an early 5yz no more content is sent."""
        case = Case(b"x" * CHUNK * 4)
        case.peer.heard()
        case.peer.transport.registerProducer = (  # type: ignore[method-assign]  # full from the start
            lambda producer, streaming: producer.pauseProducing()
        )
        case.peer.transport.unregisterProducer = lambda: None  # type: ignore[method-assign]
        case.envelope_taken()
        case.peer.heard()
        case.peer.say("552 5.3.4 too big")
        self.assertEqual(case.peer.heard(), b"")
        self.assertEqual(case.answers[0].reply, Reply(552, "5.3.4", "too big"))
        self.assertIs(case.answers[0].outcome, Outcome.FAILED)
        self.assertFalse(case.dialogue.is_usable)
        self.assertEqual(case.spooled.marks, 0)

    def test_answer_right_behind_the_354_stops_it(self) -> None:
        """354 and a 451 in one piece: no content goes out, and it is tried again."""
        case = Case()
        case.peer.heard()
        case.peer.say("250 ok", "250 ok", "354 go", "451 4.3.2 no")
        self.assertEqual(case.answers[0].reply.code, 451)
        self.assertEqual(case.peer.heard(), b"")

    def test_positive_answer_before_the_dot_is_no_delivery(self) -> None:
        """A 250 that came before our dot is not the answer to it."""
        case = Case()
        case.spooled.gate = Deferred()
        case.envelope_taken()
        case.peer.heard()
        case.peer.say("250 early")
        case.spooled.gate.callback(None)
        self.assertIs(case.answers[0].outcome, Outcome.PENDING)
        self.assertEqual(case.peer.heard(), b"")
        self.assertFalse(case.dialogue.is_usable)

    def test_refused_after_the_dot(self) -> None:
        """The answer to the final dot is for all who were taken; the session goes on."""
        case = Case()
        case.envelope_taken()
        case.peer.say("432 4.3.2 Concurrent connections limit exceeded")
        self.assertIs(case.answers[0].outcome, Outcome.PENDING)
        self.assertIs(case.answers[0].phase, Phase.DATA)
        self.assertTrue(case.dialogue.is_usable)

    def test_two_answers_to_the_dot(self) -> None:
        """The first counts; a session that says more than it was asked is not used again."""
        case = Case()
        case.envelope_taken()
        case.peer.say("250 taken", "250 again")
        self.assertIs(case.answers[0].outcome, Outcome.DELIVERED)
        self.assertFalse(case.dialogue.is_usable)


class LostTests(SynchronousTestCase):
    """Connections that end where they should not."""

    def test_lost_before_the_dot_is_pending(self) -> None:
        """In each place before the final dot a lost connection delivered nothing."""
        for replies in (
            [],
            ["250 ok"],
            ["250 ok", "250 ok"],
        ):
            case = Case()
            case.peer.say(*replies)
            case.peer.hang_up()
            answer = case.answers[0]
            self.assertIs(answer.outcome, Outcome.PENDING)
            self.assertEqual(answer.reply.code, 0)
            self.assertIn("the other side closed", answer.reply.text)
            self.assertFalse(case.dialogue.is_usable)

    def test_lost_while_marking_is_pending(self) -> None:
        """The connection went while the disk was busy: the dot was never sent."""
        case = Case()
        case.spooled.gate = Deferred()
        case.envelope_taken()
        case.peer.hang_up()
        case.spooled.gate.callback(None)
        self.assertIs(case.answers[0].outcome, Outcome.PENDING)

    def test_lost_after_the_dot_is_uncertain(self) -> None:
        """After the final dot nobody knows; recipients refused before keep their answer."""
        case = Case(recipients=["b@x", "c@x"])
        case.peer.say("250 ok", "250 ok", "550 5.1.1 no", "354 go")
        case.peer.hang_up()
        self.assertEqual(
            [each.outcome for each in case.answers], [Outcome.UNCERTAIN, Outcome.FAILED]
        )

    def test_silence_after_the_dot_is_uncertain(self) -> None:
        """Ten minutes are given to the final dot (RFC 5321 4.5.3.2.6), then it is uncertain."""
        case = Case()
        case.envelope_taken()
        case.peer.clock.advance(599)
        self.assertFalse(case.run.is_done)
        case.peer.clock.advance(2)
        self.assertIs(case.answers[0].outcome, Outcome.UNCERTAIN)

    def test_garbage_after_the_dot_is_uncertain(self) -> None:
        """What is no reply tells nothing about the message."""
        case = Case()
        case.envelope_taken()
        case.peer.say("ok!")
        self.assertIs(case.answers[0].outcome, Outcome.UNCERTAIN)

    def test_354_after_the_dot_is_uncertain(self) -> None:
        """An answer that cannot follow a final dot tells nothing about the message."""
        case = Case()
        case.envelope_taken()
        case.peer.say("354 go")
        self.assertIs(case.answers[0].outcome, Outcome.UNCERTAIN)
        self.assertFalse(case.dialogue.is_usable)

    def test_phase_times(self) -> None:
        """MAIL and RCPT have five minutes, DATA two (RFC 5321 4.5.3.2)."""
        for replies, seconds in (([], 300), (["250 ok"], 300), (["250 ok", "250 ok"], 120)):
            case = Case()
            case.peer.say(*replies)
            case.peer.clock.advance(seconds - 1)
            self.assertFalse(case.run.is_done)
            case.peer.clock.advance(2)
            self.assertIs(case.answers[0].outcome, Outcome.PENDING)

    def test_answers_are_verdicts(self) -> None:
        """An answer is the verdict the spool settles, and the phase beside it."""
        case = Case()
        case.envelope_taken()
        case.peer.say("250 2.0.0 ok")
        self.assertEqual(
            evolve(case.answers[0], recipient=0),
            Answer(0, Outcome.DELIVERED, Reply(250, "2.0.0", "ok"), Phase.DATA),
        )
