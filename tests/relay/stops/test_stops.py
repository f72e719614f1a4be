"""Tests for `m365gw.relay.stops.stops`."""

from __future__ import annotations

import json
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Reaction, Scope, bounce_if_repeated, hold, retry, retry_then
from m365gw.microsoft.replies import ROWS, Phase
from m365gw.relay.stops.stops import LONGEST_STOP, STOPPING, State, Stop, owner_of, place_of

WORDS = Diagnosis("key", "What.", "Why.", "Fix.", "operator")
NOW = 1_800_000_000.0


class StopTests(SynchronousTestCase):
    """One stop on its way through a file."""

    @settings(deadline=None, max_examples=60)
    @given(
        st.sampled_from([state for state in State if state is not State.READY]),
        st.floats(0, 2e9),
        st.one_of(st.floats(0, 2e9), st.just(inf)),
        st.booleans(),
    )
    def test_restored_stop_is_the_same_but_not_longer(
        self, state: State, since: float, until: float, has_incident: bool
    ) -> None:
        """A file keeps what is said; what somebody has to mend is probed at once."""
        stop = Stop(state, WORDS, since, until, place=3, waits=2, has_incident=has_incident)
        kept = Stop.restored(json.loads(json.dumps(stop.plain())), NOW)
        self.assertEqual(
            (kept.state, kept.diagnosis, kept.place, kept.waits, kept.has_incident),
            (state, WORDS, 3, 2, has_incident),
        )
        self.assertLessEqual(kept.since, NOW)
        if state is State.PAUSED:
            self.assertEqual(kept.until == inf, until == inf)
        elif state is not State.THROTTLED:
            self.assertEqual(kept.until, NOW)
        elif until < inf:
            self.assertLessEqual(kept.until, NOW + LONGEST_STOP)


class OwnerTests(SynchronousTestCase):
    """Whose equal answers are counted."""

    def test_owner_is_where_it_leads(self) -> None:
        """A retry that leads to a hold of the mailbox is counted by the mailbox."""
        held = hold(Scope.MAILBOX, WORDS)
        self.assertIs(owner_of(retry_then(3, held)), Scope.MAILBOX)
        self.assertIs(owner_of(retry(WORDS)), Scope.MESSAGE)
        self.assertIs(owner_of(bounce_if_repeated(WORDS)), Scope.MESSAGE)

    def test_every_row_that_is_not_about_a_message_stops_something(self) -> None:
        """Whatever the tables ask of a mailbox, tenant or host is something we do."""

        def due(reaction: Reaction) -> list[Reaction]:
            return [reaction, *(due(reaction.then) if reaction.then is not None else [])]

        wide = [
            each
            for row in ROWS
            for each in due(row.reaction)
            if each.scope is not Scope.MESSAGE and each.action.value != "refresh-token"
        ]
        self.assertGreater(len(wide), 30)
        self.assertEqual({each.action for each in wide} - STOPPING, set())

    def test_places_follow_the_dialogue(self) -> None:
        """Each phase is further than the one before, and arrival is furthest."""
        places = [place_of(phase) for phase in (*Phase, None)]
        self.assertEqual(places, sorted(set(places)))
