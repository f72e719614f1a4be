"""Spoiled dialogues against real sessions: a short run, always the same.

The long one is `python -m tests.fuzz --seconds 600`.
"""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.corpus import DIALOGUES, spoiled
from tests.fuzz.gateways import Target
from tests.fuzz.model import Dialogue, Stored, Violation, compare

SEEDS = 800  # for each listener


class FuzzTests(SynchronousTestCase):
    """No message that was not ended, none for a stranger, no reply out of order, no exception."""

    def run_seeds(self, name: str) -> int:
        """All dialogues of one listener; how many messages they left."""
        target = Target(name)
        self.addCleanup(target.close)
        messages = 0
        for seed in range(SEEDS):
            chance = random.Random(seed)
            octets = spoiled(chance)
            try:
                messages += target.run(chance, octets)
            except Violation as violation:
                self.fail(f"seed {seed}: {violation}\n{octets!r}")
        return messages

    def test_from_a_trusted_network(self) -> None:
        """Most of what is still a dialogue may send."""
        self.assertGreater(self.run_seeds("trusted network"), 50)

    def test_with_logins_in_the_clear(self) -> None:
        """Only behind the right password."""
        self.assertGreater(self.run_seeds("login in the clear"), 10)

    def test_with_logins_in_tls(self) -> None:
        """Whose handshake is taken for granted here."""
        self.assertGreaterEqual(self.run_seeds("login in TLS"), 0)

    def test_good_dialogues_are_good(self) -> None:
        """What the mutations begin with leaves messages, so they break something."""
        target = Target("trusted network")
        self.addCleanup(target.close)
        left = [target.run(random.Random(1), octets) for octets in DIALOGUES]
        self.assertEqual(left, [1, 2, 1, 2, 0, 1, 1, 1, 0, 0, 0])


class ModelTests(SynchronousTestCase):
    """The model itself complains."""

    def read(self, octets: bytes, *replies: str, is_trusted: bool = True) -> list[Stored]:
        dialogue = Dialogue(octets, ["220 x", *replies], False, is_trusted, 1000, 1000)
        return dialogue.read()

    def test_broken_promises(self) -> None:
        """Each of them is told."""
        envelope = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n"
        to_envelope = ("250 Ok", "250 Ok", "354 Go")
        for octets, replies, is_trusted in (
            (b"NOOP\r\n", (), True),
            (b"NOOP\r\n", ("250 Ok", "250 Ok"), True),
            (b"VRFY x\r\nNOOP\r\n", ("250 Ok", "252 Ok"), True),
            (b"AUTH PLAIN AGZheAB4\r\n", ("235 Ok",), True),
            (envelope + b"x\n.\r\n", (*to_envelope, "250 Ok: queued as 1"), True),
            (envelope + b"x\r\n.\r\n", (*to_envelope, "250 Ok: queued as 1"), False),
            (b"BDAT 1 LAST\r\nx", ("250 Ok: queued as 1",), True),
        ):
            with self.assertRaises(Violation, msg=repr(octets)):
                self.read(octets, *replies, is_trusted=is_trusted)
        promised = self.read(envelope + b"..x\r\n.\r\n", *to_envelope, "250 Ok: queued as 1")
        self.assertEqual(promised[0].content, b".x\r\n")
        for stored in ([], [Stored("a@b.c", 1, b"..x\r\n")], [Stored("a@b.c", 2, b".x\r\n")]):
            self.assertRaises(Violation, compare, promised, stored)
