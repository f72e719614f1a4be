"""The book of incidents, on SQLite and on PostgreSQL."""

from __future__ import annotations

from attrs import evolve
from sqlalchemy import select

from m365gw.directory import incident_book
from m365gw.directory.audit import Audit
from m365gw.directory.incident_book import LOST_SIGHT, IncidentBook
from m365gw.directory.schema import incident_told
from m365gw.incidents import Incident
from m365gw.microsoft.diagnosis import Diagnosis
from tests.directory.databases import DatabaseTestCase, OnPostgresql

HELD = Diagnosis("held", "Es ist gehalten: \u00e4\u20ac.", "Because.", "Mend it.", "entra-admin")


def incident(number: int, closed_at: float | None = None, box: str = "") -> Incident:
    """One of many, about a mailbox of its own unless one is named."""
    return Incident(
        id=f"{number:08x}",
        told=HELD,
        level="error",
        subject=(("mailbox", box or f"box{number}@contoso.com"),),
        state="needs_admin",
        opened_at=1000.0 + number,
        closed_at=closed_at,
    )


class IncidentBookTests(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.book = IncidentBook(self.database, "one.example.com")

    def test_what_is_written_is_read(self) -> None:
        """To the last letter, also by the next process."""
        wanted = [incident(1), incident(2, 5000.0)]
        self.book.write(wanted, {})
        again = IncidentBook(self.opened(), "one.example.com")
        self.assertEqual(again.latest(10), wanted[::-1])
        self.assertEqual(again.open_ones(), wanted[:1])
        self.assertEqual((again.find("00000002"), again.find("nothing")), (wanted[1], None))

    def test_the_last_word_counts(self) -> None:
        """An incident is one row from its beginning to its end."""
        self.book.write([incident(1)], {})
        over = evolve(incident(1), closed_at=2000.0, note="somebody mended it")
        self.book.write([over], {})
        (found,) = self.book.latest(10)
        self.assertEqual((found, found.note), (over, over.note))

    def test_the_audit_tells_of_its_opening_and_its_closing(self) -> None:
        """Once each, however often it is written; one that was soon over has both."""
        self.book.write([incident(1), incident(2, 5000.0)], {})
        self.book.write([evolve(incident(1), level="warn")], {})
        self.book.write([evolve(incident(1), closed_at=2000.0)], {})
        self.book.write([evolve(incident(1), closed_at=2000.0)], {})
        told = [(line.action, line.subject) for line in Audit(self.database).changes()][::-1]
        self.assertEqual(
            told,
            [
                ("incident.opened", "box1@contoso.com"),
                ("incident.opened", "box2@contoso.com"),
                ("incident.closed", "box2@contoso.com"),
                ("incident.closed", "box1@contoso.com"),
            ],
        )

    def test_of_one_name_only_one_is_open(self) -> None:
        """The end of the other was not noted, as the database was away."""
        self.book.write([incident(1, box="a@contoso.com")], {})
        self.book.write([incident(2, box="a@contoso.com")], {})
        self.assertEqual([each.id for each in self.book.open_ones()], ["00000002"])
        found = self.book.find("00000001")
        assert found is not None
        self.assertEqual((found.closed_at, found.note), (1002.0, LOST_SIGHT))

    def test_gateways_do_not_meddle(self) -> None:
        """Two that share a database have each their own."""
        other = IncidentBook(self.database, "two.example.com")
        self.book.write([incident(1, box="a@contoso.com")], {})
        other.write([incident(2, box="a@contoso.com")], {})
        self.assertEqual([each.id for each in self.book.open_ones()], ["00000001"])
        self.assertEqual([each.id for each in other.latest(10)], ["00000002"])
        self.assertIsNone(other.find("00000001"))

    def test_it_is_bounded(self) -> None:
        """The oldest that are over are forgotten; what is open never."""
        self.patch(incident_book, "KEPT", 3)
        self.book.write([incident(1)], {})
        for number in range(2, 8):
            self.book.write([incident(number, 9000.0)], {})
        ids = [int(each.id, 16) for each in self.book.latest(10)]
        self.assertEqual(ids, [7, 6, 5, 1])

    def test_who_was_told(self) -> None:
        """The latest word of each channel, of what is open or was closed lately."""
        self.book.write([incident(1), incident(2, 5000.0), incident(3, 9000.0)], {})
        self.book.write([], {("00000001", "mail"): "opened", ("00000003", "mail"): "opened"})
        self.book.write([incident(1)], {("00000003", "mail"): "closed"})
        again = IncidentBook(self.opened(), "one.example.com")
        found = [(each.id, told) for each, told in again.to_be_told(6000.0)]
        wanted = [("00000001", {"mail": "opened"}), ("00000003", {"mail": "closed"})]
        self.assertEqual(found, wanted)
        self.patch(incident_book, "KEPT", 1)
        self.book.write([incident(4)], {})
        with self.database.reading() as connection:
            kept = connection.execute(select(incident_told.c.incident)).scalars().all()
        self.assertEqual(kept, ["00000001"])


class IncidentBookOnPostgresqlTests(OnPostgresql, IncidentBookTests):
    """The same on a real PostgreSQL server."""
