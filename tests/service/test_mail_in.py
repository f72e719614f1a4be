"""Mail in, as it is wired."""

from __future__ import annotations

import io
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client, Settings
from m365gw.directory import passwords
from m365gw.directory.last_use import LastUse, Use
from m365gw.directory.seal import Seal
from m365gw.edge.listening.census import Stay
from m365gw.edge.login.usage import Usage
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.service.mail_in import MailIn
from m365gw.spool.spool import Spool

PASSWORD, HASH = passwords.generate()
FAX = Client(login="fax", password_hash=HASH, senders=("*",), mailbox="relay@example.com")
HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class MailInTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.spool = Spool.open(self.mktemp(), hostname="gw")
        self.addCleanup(self.spool.close)
        self.uses: list[Use] = []
        self.settings = Settings(hostname="gw", state_dir=self.mktemp(), client=(FAX,))

    def mail_in(self) -> MailIn:
        log = EventLog(io.StringIO(), hostname="gw")
        incidents = Incidents(log, lambda: 0.0)
        usage = Usage(LastUse(self.uses), Clock(), succeed, log)
        parts: Any = (lambda entry: None, Clock(), log, incidents, usage)
        made = MailIn(self.settings, self.spool, *parts)
        self.addCleanup(made.let_go)
        return made


class OwnCertificateTests(MailInTestCase):
    def test_its_key_is_sealed_once_there_is_one_to_seal_by(self) -> None:
        """After a start without the database: as soon as that is there and was read."""
        mail_in = self.mail_in()
        key = Path(self.settings.state_dir, "tls", "self-signed.key")
        before = mail_in.certificate.loaded[0].chain
        self.assertIn(b"PRIVATE", key.read_bytes())
        Seal(self.settings.state_dir).make()
        mail_in.take(mail_in.prepare(self.settings))
        self.assertNotIn(b"PRIVATE", key.read_bytes())
        self.assertEqual(mail_in.certificate.loaded[0].chain, before)


class KnownTests(MailInTestCase):
    """Who has logged in is known to the census, for whom some connections are kept."""

    def is_known(self, mail_in: MailIn) -> list[bool]:
        """Whether the two addresses are."""
        stays = [mail_in.census.enter(address, is_trusted=False) for address in (HERE, THERE)]
        return [isinstance(stay, Stay) and stay.is_known for stay in stays]

    def test_at_once_and_after_a_restart(self) -> None:
        """The address of a good login is; that of a wrong one is not."""
        mail_in = self.mail_in()
        self.assertEqual(self.is_known(mail_in), [False, False])
        self.assertEqual(mail_in._authenticator.check("fax", PASSWORD, HERE), "fax")
        self.uses = mail_in._usage.uses.unwritten()
        self.assertEqual(self.is_known(mail_in), [True, False])
        self.assertEqual(self.is_known(self.mail_in()), [True, False])
