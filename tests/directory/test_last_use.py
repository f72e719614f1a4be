"""When each password was last used."""

from __future__ import annotations

from m365gw.directory.last_use import LastUse, Use, fingerprint, read_uses, write_uses
from tests.directory.databases import DatabaseTestCase, OnPostgresql


class LastUseTests(DatabaseTestCase):
    """On either database."""

    def test_what_is_written_is_read(self) -> None:
        """Of each password the last use; another password of the login has its own."""
        uses = LastUse()
        uses.note("fax", "$old$", "10.0.0.7", 1.0)
        write_uses(self.database, uses.unwritten())
        uses.note("fax", "$old$", "10.0.0.8", 2.0)
        uses.note("f\u00e4x", "$new$", "", 3.5)
        write_uses(self.database, uses.unwritten())
        read = LastUse(read_uses(self.opened()))
        self.assertEqual(read.of("fax", "$old$"), Use("fax", fingerprint("$old$"), 2.0, "10.0.0.8"))
        self.assertEqual(
            read.of("f\u00e4x", "$new$"), Use("f\u00e4x", fingerprint("$new$"), 3.5, "")
        )
        self.assertIsNone(read.of("fax", "$new$"))
        self.assertEqual(len(list(read)), 2)

    def test_what_was_noted_while_it_was_written(self) -> None:
        """It is written the next time, and no hash is ever among it."""
        uses = LastUse()
        uses.note("fax", "$hash$", "10.0.0.7", 1.0)
        noted = uses.unwritten()
        uses.note("fax", "$hash$", "10.0.0.8", 2.0)
        uses.written(noted)
        [left] = uses.unwritten()
        self.assertEqual((left.at, "$" in left.password), (2.0, False))
        uses.written([left])
        self.assertEqual(uses.unwritten(), [])


class LastUseOnPostgresqlTests(OnPostgresql, LastUseTests):
    """The same on PostgreSQL."""
