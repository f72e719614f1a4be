"""Who must act, in words."""

from __future__ import annotations

from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.actors import Who, actor, actor_for_sender
from m365gw.microsoft.diagnosis import Diagnosis


class ActorTests(SynchronousTestCase):
    def test_everybody_has_words(self) -> None:
        """For operators and for senders, and they are no ids."""
        for who in get_args(Who):
            for words in (actor(who), actor_for_sender(who)):
                self.assertNotIn("-", words)
                self.assertTrue(words == "nobody; it heals by itself" or words != who, who)

    def test_a_sender_is_spoken_to(self) -> None:
        """Operators are told of the sender, who reads of himself in a report."""
        told = Diagnosis("a-b", "What.", "Why.", "Fix.", "sender")
        self.assertEqual(told.actor, "the sender of the message")
        self.assertEqual(told.actor_for_sender, "you, the sender")

    def test_an_id_of_a_newer_service_is_shown(self) -> None:
        """A command may be older than the service it asks."""
        self.assertEqual(actor("purview-admin"), "purview-admin")
