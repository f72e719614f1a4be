"""`m365gw queue adopt`: a file becomes a queued message, and is no file any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from m365gw.cli.queue.commands import queue
from m365gw.spool.browse import look
from m365gw.spool.layout import path_of
from m365gw.spool.names import Entry, State
from tests.cli.queue.test_changes import ChangesCase
from tests.spool.mail import CONTENT, new_spool, put

BY_HAND = ("--sender", "a@x.test", "--recipient", "b@y.test", "--mailbox", "relay@contoso.com")


class AdoptTests(ChangesCase):
    def file_of(self, entry: Entry) -> Path:
        return Path(self.path, path_of(entry)).absolute()

    def file(self, octets: bytes = CONTENT) -> Path:
        path = Path(self.mktemp()).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
        return path

    def refused(self, *arguments: Any) -> str:
        result: Result = self.run_queue("adopt", *map(str, arguments))
        self.assertEqual((result.exit_code, result.stdout), (1, ""), result.stdout)
        return result.stderr

    def test_a_message_with_an_envelope_by_hand(self) -> None:
        """It is queued at once, and the file is gone."""
        file = self.file(CONTENT.replace(b"\r\n", b"\n"))
        told = self.succeed("adopt", str(file), *BY_HAND)
        (entry,) = self.spool.entries(State.INCOMING)
        self.assertIn(f"taken in as {entry.queue_id}: a@x.test > b@y.test", told)
        queued = look(self.spool, entry, 1000)
        assert queued is not None
        self.assertEqual(queued.origin.mailbox, "relay@contoso.com")
        self.assertFalse(file.exists())

    def test_a_message_without_an_envelope(self) -> None:
        """What is missing is said, and the file stays."""
        file = self.file()
        self.assertIn("--sender, --recipient and --mailbox", self.refused(file))
        self.assertTrue(file.exists())

    def test_a_stopped_spool_elsewhere(self) -> None:
        """Its messages move over with their ids; while it is in use they do not."""
        elsewhere = self.mktemp()
        other = new_spool(elsewhere)
        entry = other.defer(other.claim(put(other, "a@x.test")), 5)
        file = Path(elsewhere, path_of(entry)).absolute()
        self.assertIn("in use by another process", self.refused(file))
        self.assertTrue(file.exists())
        other.close()
        self.succeed("adopt", str(file))
        self.assertEqual(self.ids(State.DEFERRED), {entry.queue_id})
        self.assertFalse(file.exists())

    def test_from_corrupt(self) -> None:
        """A file that is whole again goes on; one that is damaged only as it is."""
        entry = put(self.spool)
        aside = self.spool.set_aside(entry)
        file = self.file_of(aside)
        octets = file.read_bytes()
        file.write_bytes(octets[:-2] + b"!\n")
        self.assertIn("damaged", self.refused(file))
        self.assertIn(
            "would be taken in", self.succeed("adopt", "--dry-run", "--as-it-is", str(file))
        )
        self.assertEqual(self.ids(State.CORRUPT), {entry.queue_id})
        file.write_bytes(octets)
        self.succeed("adopt", str(file))
        self.assertEqual(list(self.spool.entries()), [entry])

    def test_to_another_mailbox_and_held(self) -> None:
        """Mail of a mailbox that is gone may leave by another; --hold leaves it held."""
        entry = put(self.spool)
        file = self.file_of(self.spool.set_aside(entry))
        self.succeed("adopt", "--hold", "--mailbox", "new@contoso.com", str(file))
        (held,) = self.spool.entries(State.HOLD)
        queued = look(self.spool, held)
        assert queued is not None
        self.assertEqual(queued.origin.mailbox, "new@contoso.com")
        self.assertEqual(queued.reason, f"taken in from {file}"[:180])

    def test_what_is_queued_or_half_written_stays(self) -> None:
        """Files of this spool that are in use are not touched."""
        entry = put(self.spool)
        file = self.file_of(entry)
        self.assertIn("in the queue already", self.refused(file))
        for name in ("incoming/tmp/x", f"incoming/new/.{entry.queue_id}"):
            half = Path(self.path, name)
            half.write_bytes(file.read_bytes())
            arguments = ["adopt", str(half), *BY_HAND, "--spool-dir", self.path]
            told = CliRunner().invoke(queue, arguments)
            self.assertIn("being written", told.stderr)
            half.unlink()
        self.assertEqual(list(self.spool.entries()), [entry])

    def test_wrong_addresses_and_files(self) -> None:
        """They are told; nothing is taken in."""
        file = self.file()
        for wrong in (["--sender", "no address"], ["--recipient", "x"]):
            result = self.run_queue("adopt", str(file), *BY_HAND, *wrong)
            self.assertEqual(result.exit_code, 2, wrong)
        self.assertIn("No such file", self.refused(os.path.join(self.path, "nowhere")))
        self.assertEqual(self.ids(), set())

    def test_while_the_service_runs_and_cannot_be_asked(self) -> None:
        """It is taken in and held, and how to release it is said."""
        file = self.file()
        arguments = ["adopt", str(file), *BY_HAND, "--spool-dir", self.path]
        result = CliRunner().invoke(queue, arguments)
        (entry,) = self.spool.entries(State.HOLD)
        self.assertEqual(result.exit_code, 75)
        self.assertIn(f"It is held: m365gw queue release {entry.queue_id}", result.stderr)
        self.assertFalse(file.exists())
