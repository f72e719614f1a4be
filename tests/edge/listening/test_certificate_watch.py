"""Certificates looked after while the service runs."""

from __future__ import annotations

import io
import os
from pathlib import Path
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.seal import Seal
from m365gw.edge.listening.certificate_watch import LOOK_SECONDS, CertificateWatch
from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.self_signed import self_signed
from m365gw.edge.listening.tls_terms import CertificateUnusable, Pair
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from tests.edge.handshake import NOW, serial, serial_in, write_pair


class WatchTests(SynchronousTestCase):
    """What is taken, and what is told, once."""

    def watch(self, *pairs: Pair) -> None:
        self.clock = Clock()
        self.clock.advance(NOW.timestamp())
        self.output = io.StringIO()
        self.certificate = ServerCertificate(pairs)
        log = EventLog(self.output, hostname="gw")
        incidents = Incidents(log, self.clock.seconds)
        self.watching = CertificateWatch(self.certificate, self.clock, log, incidents)
        self.watching.start()
        self.addCleanup(self.watching.stop)

    def pair(self, days: float = 365) -> Pair:
        return write_pair(self.mktemp(), "gw.example.com", days=days)

    def told(self) -> list[str]:
        """The lines of the log since it was last asked."""
        lines = self.output.getvalue().splitlines()
        self.output.seek(0)
        self.output.truncate()
        return [line.partition("]: ")[2] for line in lines]

    def replace(self, old: Pair, new: Pair) -> None:
        os.replace(new.certificate, old.certificate)
        os.replace(new.key, old.key)

    def test_a_look_that_fails_is_not_the_last(self) -> None:
        """What nobody foresaw is logged by the reactor, and a minute later it looks again."""
        pair = self.pair()
        self.watch(pair)
        with mock.patch.object(self.certificate, "take", side_effect=RuntimeError):
            self.replace(pair, self.pair())
            self.assertRaises(RuntimeError, self.clock.advance, LOOK_SECONDS)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(serial(self.certificate), serial_in(pair))

    def test_renewed_files_are_taken_within_a_minute(self) -> None:
        """A renewed certificate needs no restart, and no client that asks."""
        pair = self.pair()
        self.watch(pair)
        self.assertEqual(self.told(), [])
        self.replace(pair, self.pair())
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(serial(self.certificate), serial_in(pair))
        [line] = self.told()
        self.assertIn(f"file={pair.certificate}, names=gw.example.com, until=2027-11-21", line)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.told(), [])

    def test_unusable_files_open_one_incident_until_they_are_mended(self) -> None:
        """Clients see the old certificate, and the operator hears of it once."""
        pair = self.pair()
        self.watch(pair)
        first = serial_in(pair)
        Path(pair.key).write_text("garbage")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.told(), [])
        self.clock.advance(LOOK_SECONDS)
        [line] = self.told()
        self.assertIn("key=tls-certificate-unusable", line)
        self.assertIn(f"{pair.key} holds no private key", line)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.told(), [])
        self.assertEqual(serial(self.certificate), first)
        self.replace(pair, self.pair())
        self.clock.advance(LOOK_SECONDS)
        closed, loaded = self.told()
        self.assertIn("key=tls-certificate-unusable", closed)
        self.assertIn("clients see this certificate", loaded)

    def test_half_a_renewal_is_no_incident(self) -> None:
        """One file was there a moment before the other."""
        pair, new = self.pair(), self.pair()
        self.watch(pair)
        os.replace(new.certificate, pair.certificate)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.told(), [])
        os.replace(new.key, pair.key)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(serial(self.certificate), serial_in(pair))
        self.assertIn("clients see this certificate", self.told()[0])

    def test_reload_takes_other_files_at_once(self) -> None:
        """The next handshake shows them, and the log says so."""
        self.watch(self.pair())
        new = self.pair()
        self.watching.reload([new])
        self.assertEqual(serial(self.certificate), serial_in(new))
        self.assertIn("clients see this certificate", self.told()[-1])

    def test_reload_of_unusable_files_is_refused(self) -> None:
        """Whoever asked for it is told, and all stays as it was."""
        pair = self.pair()
        self.watch(pair)
        error = self.assertRaises(
            CertificateUnusable, self.watching.reload, [Pair("/nowhere.crt", "/nowhere.key")]
        )
        self.assertIn("/nowhere.crt cannot be read", str(error))
        self.assertEqual(serial(self.certificate), serial_in(pair))

    def test_a_key_that_does_not_open(self) -> None:
        """One incident, for as long as another certificate stands in; then it is over."""
        state_dir = self.mktemp()
        seal = Seal(state_dir)
        seal.make()
        pair = self_signed(state_dir, "gw.example.com", NOW)
        lost = seal.file.read_bytes()
        seal.file.unlink()
        self.watch(pair)
        [line] = self.told()
        self.assertRegex(line, "incident.opened: .*, key=tls-key-unopened,")
        self.clock.advance(LOOK_SECONDS)
        seal.file.write_bytes(lost)
        self.watching.reload([pair])
        self.clock.advance(LOOK_SECONDS)
        self.assertRegex(self.told()[-1], "incident.closed: .*, key=tls-key-unopened,")
