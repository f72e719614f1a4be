"""Reactions over time: what is due at the n-th equal answer."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import (
    Action,
    Reaction,
    Scope,
    bounce,
    bounce_if_repeated,
    hold,
    refresh_token,
    retry,
    retry_fast,
    retry_then,
    split,
    stop,
)

ILL = Diagnosis("test-ill", "It is ill.", "It caught a cold.", "Wait.", "nobody")


def actions(reaction: Reaction, times: int, since: float = 0) -> list[str]:
    """What is due at the first, second, ... equal answer."""
    return [reaction.after(n, since).action.value for n in range(1, times + 1)]


class AfterTests(SynchronousTestCase):
    """Escalation."""

    def test_a_token_is_refreshed_once(self) -> None:
        """The second equal refusal holds the mailbox."""
        reaction = refresh_token(hold(Scope.MAILBOX, ILL))
        self.assertEqual(actions(reaction, 3), ["refresh-token", "hold", "hold"])

    def test_some_answers_are_given_chances(self) -> None:
        """Send-as refusals seen at random are retried twice."""
        reaction = retry_then(2, hold(Scope.SENDER, ILL))
        self.assertEqual(actions(reaction, 4), ["retry", "retry", "hold", "hold"])

    def test_patience_is_time(self) -> None:
        """A stop that may last turns into a hold by the clock, not by the count."""
        reaction = stop(Scope.MAILBOX, 30, ILL, patience=1800, then=hold(Scope.MAILBOX, ILL))
        self.assertEqual(actions(reaction, 2, 1799), ["stop", "stop"])
        self.assertEqual(actions(reaction, 2, 1800), ["hold", "hold"])

    def test_chains_count_on(self) -> None:
        """Each link takes its own attempts."""
        reaction = stop(
            Scope.MAILBOX, 30, ILL, attempts=1, then=refresh_token(hold(Scope.MAILBOX, ILL))
        )
        self.assertEqual(actions(reaction, 3), ["stop", "refresh-token", "hold"])

    def test_a_split_is_not_left_by_counting(self) -> None:
        """Only a single recipient that is still too many leads on."""
        self.assertEqual(set(actions(split(bounce(ILL)), 9, 1e9)), {"split"})

    def test_a_fast_retry_slows_down(self) -> None:
        """A message that loses each connection does not try each minute for days."""
        self.assertEqual(actions(retry_fast(ILL), 7)[4:], ["retry-fast", "retry", "retry"])
        self.assertEqual(set(actions(retry_fast(ILL, Scope.HOST), 99)), {"retry-fast"})

    def test_may_bounce_looks_along_the_chain(self) -> None:
        """A bounce that lies ahead counts."""
        self.assertTrue(bounce_if_repeated(ILL).may_bounce)
        self.assertFalse(retry(ILL).may_bounce)
        self.assertFalse(refresh_token(hold(Scope.MAILBOX, ILL)).may_bounce)


class PauseTests(SynchronousTestCase):
    """How long to wait."""

    def test_pauses_double_to_their_ceiling(self) -> None:
        """60, 120, 240 and so on, up to an hour."""
        reaction = stop(Scope.MAILBOX, 60, ILL, ceiling=3600)
        pauses = [reaction.pause(n) for n in (1, 2, 3, 6, 7, 1000)]
        self.assertEqual(pauses, [60, 120, 240, 1920, 3600, 3600])

    def test_pauses_without_ceiling_stay(self) -> None:
        """A day stays a day."""
        self.assertEqual(stop(Scope.MAILBOX, 86400, ILL).pause(9), 86400)

    @given(st.integers(-5, 10**6))
    def test_pauses_are_bounded(self, times: int) -> None:
        """No count gives a negative or an endless pause."""
        self.assertTrue(5 <= retry_fast(ILL).pause(times) <= 60)


class DiagnosisTests(SynchronousTestCase):
    """Words with real names."""

    def test_names_are_filled_in(self) -> None:
        """Commands can be copied as they stand."""
        diagnosis = Diagnosis(
            "a-b", "<mailbox> ill.", "Why.", "Set <mailbox> <client id>", "nobody"
        )
        filled = diagnosis.about(mailbox="a@b.example", client_id="1-2")
        self.assertEqual(filled.what, "a@b.example ill.")
        self.assertEqual(filled.fix, "Set a@b.example 1-2")
        self.assertEqual(filled.key, "a-b")

    def test_hostile_names_are_quoted(self) -> None:
        """A sender address that a shell would run is one word of its command line."""
        diagnosis = Diagnosis("a-b", "What.", "Why.", "Grant <sender>", "nobody")
        for sender, word in (
            ("jörg@a.example", "jörg@a.example"),
            ("<>", "'<>'"),
            ("-Force@b", "'-Force@b'"),
            ("a;Remove-Mailbox b", "'a;Remove-Mailbox b'"),
            ("$(x)@y", "'$(x)@y'"),
            ("a`b@c", "'a`b@c'"),
            ("a\nb@c", "'a?b@c'"),
            ("o'neill@b", "'o''neill@b'"),
            ("\u2019; x@b", "'\u2019\u2019; x@b'"),
        ):
            with self.subTest(sender=sender):
                self.assertEqual(diagnosis.about(sender=sender).fix, f"Grant {word}")

    def test_unknown_names_stay_placeholders(self) -> None:
        """Who does not know the name says so."""
        diagnosis = Diagnosis("a-b", "What.", "Why.", "Grant <sender>", "nobody")
        self.assertEqual(diagnosis.about(mailbox="a@b.example"), diagnosis)

    def test_one_line_for_logs(self) -> None:
        """What, why, what to do and who."""
        self.assertEqual(
            str(ILL), "It is ill. It caught a cold. To do (nobody; it heals by itself): Wait."
        )
        self.assertEqual(hold(Scope.TENANT, ILL).action, Action.HOLD)
