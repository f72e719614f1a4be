"""What a reload changes, in words."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Client, Listener, Network, Settings
from m365gw.service.changes import changes

FAX = Client(login="fax", password_hash="a", senders=("*",), mailbox="r@example.com")
ERP = evolve(FAX, login="erp")
SETTINGS = Settings(
    hostname="relay.example.com",
    listener=(Listener(name="submission", endpoint="tcp:587"),),
    client=(FAX, ERP),
    network=(Network(cidr="10.0.0.0/8", senders=("*",), mailbox="r@example.com"),),
)


class ChangesTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """The same settings in another order are the same."""
        for wanted in (SETTINGS, evolve(SETTINGS, client=(ERP, FAX))):
            change = changes(SETTINGS, wanted)
            self.assertEqual((change.changed, change.needs_restart), ((), ()))

    def test_each_row_is_named(self) -> None:
        """What was added, changed or removed is told by its name, and no secret with it."""
        new = evolve(FAX, login="door", password_hash="secret")
        wanted = evolve(SETTINGS, client=(evolve(FAX, password_hash="secret"), new), network=())
        self.assertEqual(
            changes(SETTINGS, wanted).changed,
            (
                "client fax changed",
                "client erp removed",
                "client door added",
                "network 10.0.0.0/8 removed",
            ),
        )

    def test_single_settings(self) -> None:
        """They are told by their keys."""
        wanted = evolve(SETTINGS, limits=Limits(recipient_limit=7, command_limit=8))
        told = ("limits.recipient_limit changed", "limits.command_limit changed")
        self.assertEqual(changes(SETTINGS, wanted).changed, told)

    def test_hostname(self) -> None:
        """Another name applies at once."""
        change = changes(SETTINGS, evolve(SETTINGS, hostname="other"))
        self.assertEqual((change.changed, change.needs_restart), (("hostname changed",), ()))

    def test_what_needs_a_restart(self) -> None:
        """It is told and stays as it is; the rest applies."""
        limits = Limits(recipient_limit=7)
        wanted = evolve(SETTINGS, spool_dir="/elsewhere", state_dir="/other", limits=limits)
        change = changes(SETTINGS, wanted)
        self.assertEqual(change.needs_restart, ("state_dir", "spool_dir"))
        self.assertEqual(change.settings, evolve(SETTINGS, limits=limits))
