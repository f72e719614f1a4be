"""Tests of the steps that go with a diagnosis."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft import entra, replies, rows_connector
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.powershell import array, filled, literal
from m365gw.microsoft.reactions import Reaction
from m365gw.microsoft.remedies import STEPS, remedy_for
from tests.microsoft.powershell_reader import tokens

NAMES = {
    "mailbox": "relay@contoso.com",
    "sender": "scan@contoso.com",
    "tenant": "contoso.com",
    "client id": "11111111-2222-4333-8444-555555555555",
}
UNFILLED = re.compile("<(mailbox|sender|client id)>")
HOSTILE = st.text(st.sampled_from("a@.'\"\u2018\u201b$`(){};#|\n\x07"), min_size=1, max_size=20)


def known() -> Iterator[Diagnosis]:
    """Every diagnosis of the tables."""
    for entra_row in entra.ROWS:
        yield entra_row.verdict.diagnosis
    reactions: list[Reaction | None] = [row.reaction for row in replies.ROWS]
    reactions.append(rows_connector.FOREIGN_SENDER)
    for defaults in replies.DEFAULTS.values():
        reactions += [defaults.lost, defaults.temporary, defaults.permanent]
    while reactions:
        reaction = reactions.pop()
        if reaction is not None:
            yield reaction.diagnosis
            reactions.append(reaction.then)


class StepsTests(SynchronousTestCase):
    def test_whoever_administers_gets_steps(self) -> None:
        """Each diagnosis an administrator has to mend says what to type, and how long it takes."""
        for diagnosis in known():
            if diagnosis.who in ("exchange-admin", "entra-admin"):
                with self.subTest(key=diagnosis.key):
                    steps = STEPS[diagnosis.key]
                    self.assertTrue(steps.powershell)
                    self.assertTrue(steps.takes)

    def test_no_steps_without_a_diagnosis(self) -> None:
        """A key that no table has any more would never be found."""
        self.assertLessEqual(set(STEPS), {diagnosis.key for diagnosis in known()})

    def test_names_are_filled_in(self) -> None:
        """Nothing is left to be filled in, and all quotes and brackets close."""
        for diagnosis in known():
            found = remedy_for(diagnosis, NAMES)
            with self.subTest(key=diagnosis.key):
                self.assertIsNone(UNFILLED.search(found.portal + found.powershell))
                tokens(found.powershell)


class QuotingTests(SynchronousTestCase):
    @given(HOSTILE)
    def test_no_name_escapes_its_quotes(self, name: str) -> None:
        """Whatever a name holds, each line reads the same with it as a string."""
        shown = "".join(one if one.isprintable() else "?" for one in name)
        for steps in STEPS.values():
            found = tokens(filled(steps.powershell, dict.fromkeys(NAMES, name)))
            plain = tokens(filled(steps.powershell, dict.fromkeys(NAMES, "NAME")))
            expected = [(kind, shown if text == "NAME" else text) for kind, text in plain]
            self.assertEqual(found, expected)

    @given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20))
    def test_a_literal_is_its_value(self, value: str) -> None:
        """What was put in is what PowerShell reads."""
        self.assertEqual(tokens(literal(value)), [("string", value)])
        self.assertEqual(
            [one for one in tokens(array([value, value])) if one[0] == "string"],
            2 * [("string", value)],
        )

    def test_control_characters_are_refused(self) -> None:
        """A line that is copied would break at them."""
        self.assertRaises(ValueError, literal, "a\nb")
