"""The file that says when each password was last used."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.last_use import FILE, LastUse, Use, fingerprint


class LastUseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        Path(self.folder).mkdir()

    def test_what_is_written_is_read(self) -> None:
        """Of each password the last use; another password of the login has its own."""
        uses = LastUse(self.folder)
        uses.note("fax", "$old$", "10.0.0.7", 1.0)
        uses.note("fax", "$old$", "10.0.0.8", 2.0)
        uses.note("fäx", "$new$", "", 3.5)
        uses.write(uses.octets())
        read = LastUse(self.folder)
        self.assertEqual(read.of("fax", "$old$"), Use("fax", fingerprint("$old$"), 2.0, "10.0.0.8"))
        self.assertEqual(read.of("fäx", "$new$"), Use("fäx", fingerprint("$new$"), 3.5, ""))
        self.assertIsNone(read.of("fax", "$new$"))
        self.assertEqual(len(list(read)), 2)

    def test_file_is_private_and_holds_no_hash(self) -> None:
        """A hash can be guessed at; what the file shows cannot."""
        uses = LastUse(self.folder)
        uses.note("fax", "$hash$", "10.0.0.7", 1.0)
        uses.write(uses.octets())
        file = Path(self.folder, FILE)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn("$hash$", file.read_text())

    @given(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [b'{"uses": [{}]}', b'{"uses": 3}', b"[]", b'{"uses": [{"login": 1}]}']
            ),
        )
    )
    def test_damaged_file_begins_anew(self, octets: bytes) -> None:
        """It is a help, not a condition: nobody is kept out because of it."""
        Path(self.folder).mkdir(exist_ok=True)
        Path(self.folder, FILE).write_bytes(octets)
        self.assertEqual(list(LastUse(self.folder)), [])
