"""What must hold of a [[local]] rule."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.checks.checks import faults
from m365gw.config.local import Local
from m365gw.config.settings import Listener, Mailbox, Settings

GOOD = Local(user="www-data", senders=("*@contoso.com",), mailbox="relay@contoso.com")
SETTINGS = Settings(
    listener=(Listener(name="a", endpoint="tcp:25"),),
    mailbox=(
        Mailbox(
            address="relay@contoso.com",
            flow="device",
            tenant="contoso.com",
            client_id="00000000-0000-0000-0000-000000000000",
        ),
    ),
)


class LocalChecksTests(SynchronousTestCase):
    def places(self, *rules: Local) -> list[tuple[str | int, ...]]:
        return [key for key, _, _ in faults(evolve(SETTINGS, local=rules))]

    def test_good_rules(self) -> None:
        """A name, a number, everybody; with and without what it adds."""
        good = evolve(GOOD, user="1000", default_from="a@contoso.com", recipient="it@contoso.com")
        self.assertEqual(self.places(GOOD, evolve(GOOD, user="*"), good), [])

    def test_each_fault_has_its_place(self) -> None:
        """User, senders, mailbox and the two addresses."""
        for name, value in (
            ("user", ""),
            ("user", "two words"),
            ("user", "a:b"),
            ("senders", ()),
            ("senders", ("nobody",)),
            ("mailbox", "other@contoso.com"),
            ("default_from", "cron"),
            ("recipient", "root"),
        ):
            with self.subTest(name=name, value=value):
                self.assertEqual(self.places(evolve(GOOD, **{name: value})), [("local", 0, name)])

    def test_a_user_with_two_rules(self) -> None:
        """It would not be clear which one holds."""
        self.assertEqual(self.places(GOOD, GOOD), [("local", 1, "user")])
