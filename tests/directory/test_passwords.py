"""SMTP passwords: what is stored never shows the password, and only the password matches."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory import passwords


class GeneratedPasswordTests(SynchronousTestCase):
    def test_matches_only_itself(self) -> None:
        """A generated password matches its hash and no other password does."""
        password, stored = passwords.generate()
        self.assertTrue(passwords.verify(stored, password))
        self.assertFalse(passwords.verify(stored, password + "x"))
        self.assertFalse(passwords.verify(stored, ""))

    def test_has_160_random_bits(self) -> None:
        """32 letters of 5 bits, which is why a fast hash is enough."""
        made = {passwords.generate()[0] for _ in range(50)}
        self.assertEqual(len(made), 50)
        self.assertEqual({len(password) for password in made}, {32})

    def test_hash_does_not_hold_the_password(self) -> None:
        """The stored text is a digest."""
        password, stored = passwords.generate()
        self.assertNotIn(password, stored)
        self.assertFalse(passwords.is_slow(stored))


class ChosenPasswordTests(SynchronousTestCase):
    def test_argon2id(self) -> None:
        """A chosen password is kept as argon2id and checked in a thread."""
        stored = passwords.hash_chosen("correct horse")
        self.assertTrue(stored.startswith("$argon2id$"))
        self.assertTrue(passwords.is_slow(stored))
        self.assertTrue(passwords.verify(stored, "correct horse"))
        self.assertFalse(passwords.verify(stored, "wrong horse"))

    def test_decomposed_letters_are_the_same_password(self) -> None:
        """One machine sends an umlaut as one character, another as two."""
        for stored in (passwords.hash_chosen("pa\u0308ss"), passwords.hash_chosen("p\u00e4ss")):
            for password in ("pa\u0308ss", "p\u00e4ss"):
                self.assertTrue(passwords.verify(stored, password))

    def test_overlong_password_is_not_hashed(self) -> None:
        """A password of a megabyte costs nothing."""
        stored = passwords.hash_chosen("x" * 2000)
        self.assertFalse(passwords.verify(stored, "x" * 2000))


class MatchingTests(SynchronousTestCase):
    def test_the_place_of_the_hash(self) -> None:
        """Which of several passwords it was, or none."""
        made = [passwords.generate() for _ in range(3)]
        hashes = [stored for _, stored in made]
        self.assertEqual([passwords.matching(hashes, word) for word, _ in made], [0, 1, 2])
        self.assertIsNone(passwords.matching(hashes, "x"))
        self.assertIsNone(passwords.matching([], "x"))


class DamagedHashTests(SynchronousTestCase):
    @given(st.text(max_size=60), st.text(max_size=20))
    @settings(deadline=None)
    def test_nothing_matches_what_is_no_hash(self, stored: str, password: str) -> None:
        """A damaged hash lets nobody in and raises nothing."""
        for damaged in (stored, f"$hmac-sha256${stored}", f"$argon2id${stored}"):
            self.assertFalse(passwords.verify(damaged, password))
