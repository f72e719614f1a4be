"""What the service itself finds out: damaged messages, passwords that end."""

from __future__ import annotations

from datetime import date

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.logins import Password
from m365gw.config.settings import Client
from m365gw.service.damage_watch import DAMAGED, LOOK_EVERY, DamageWatch
from m365gw.service.incident_desk import password_ends
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool
from tests.alerts.news import Stage

END = date(2026, 12, 31)


class DamageWatchTests(SynchronousTestCase):
    def test_one_incident_until_nothing_damaged_is_left(self) -> None:
        """However many messages there are."""
        stage = Stage()
        spool = Spool.open(self.mktemp(), hostname="relay", clock=stage.clock.seconds)
        self.addCleanup(spool.close)
        watch = DamageWatch(spool, stage.clock, stage.incidents)
        watch.start()
        self.assertEqual(list(stage.incidents), [])
        damaged = [self.put_aside(spool) for _ in range(2)]
        stage.wait(3 * LOOK_EVERY, 6)
        self.assertEqual([each.told for each in stage.incidents], [DAMAGED])
        for entry in damaged:
            spool.unlink(entry)
        stage.wait(LOOK_EVERY)
        self.assertEqual(list(stage.incidents), [])
        self.assertEqual(len(stage.events("incident.opened")), 1)
        watch.stop()
        self.assertEqual(stage.clock.getDelayedCalls(), [])

    def put_aside(self, spool: Spool) -> Entry:
        draft = spool.draft(Envelope("a@b.c", (Recipient("d@e.f"),)), Origin("", mailbox="a@b.c"))
        draft.write(b"Subject: x\r\n\r\n")
        draft.finish()
        (entry,) = spool.commit([draft])
        assert isinstance(entry, Entry)
        return spool.set_aside(entry)


class PasswordEndTests(SynchronousTestCase):
    def ends(self, *passwords: Password, password_hash: str = "") -> list[tuple[str, bool]]:
        client = Client(
            login="printer3",
            password_hash=password_hash,
            password=passwords,
            senders=("a@b.c",),
            mailbox="a@b.c",
        )
        return [(end.diagnosis(7).what, end.is_told) for end in password_ends(client)]

    def test_the_last_good_one_is_told(self) -> None:
        """It is good through its last day, by UTC."""
        ((what, is_told),) = self.ends(Password(hash="x", expires=END))
        self.assertTrue(is_told)
        self.assertIn("login printer3 ends in less than 7 days, at 2027-01-01 00:00 UTC", what)

    def test_others_that_stay_good(self) -> None:
        """Then nobody has to do anything."""
        old, new = Password(hash="x", expires=END), Password(hash="y")
        self.assertEqual([told for _, told in self.ends(old, new)], [False])
        self.assertEqual([told for _, told in self.ends(old, password_hash="z")], [False])
        self.assertEqual(self.ends(new), [])
