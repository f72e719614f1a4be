"""Mail about incidents: by a mailbox that works, not too often, and never lost while none does."""

from __future__ import annotations

from email import message_from_bytes, policy

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.alerts.event import Event, Kind
from m365gw.alerts.mail import AGAIN, GATHER, MOST, PAUSE, AlertMail
from m365gw.alerts.mail_text import MOST_TOLD, subject
from m365gw.relay.delivery.recovery import is_report
from m365gw.relay.stops.stops import Standing, State
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool
from tests.alerts.news import BOX, GATEWAY, Stage, event
from tests.relay.stage import Inline

TWIN = "twin@contoso.com"
THIRD = "third@contoso.com"
OPS = "ops@contoso.com"


@define
class Mailboxes:
    """Mailboxes, and the states of those that are not ready."""

    addresses: tuple[str, ...] = (BOX, TWIN, THIRD)
    states: dict[str, State] = field(factory=dict)

    def standing(self, mailbox: str) -> Standing:
        return Standing(self.states.get(mailbox, State.READY))


class AlertMailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.boxes = Mailboxes()
        self.spool = Spool.open(self.mktemp(), hostname=GATEWAY, clock=self.stage.clock.seconds)
        self.addCleanup(self.spool.close)
        self.sent: list[Entry] = []
        self.told: list[Event] = []
        self.mail = AlertMail(
            spool=self.spool,
            mailboxes=self.boxes,
            disk=Inline(),
            clock=self.stage.clock,
            log=self.stage.log,
            hostname=GATEWAY,
            accepted=self.sent.append,
            told=self.told.append,
            to=(OPS, "boss@contoso.com"),
        )

    def read(self, number: int) -> tuple[str, str, str]:
        """The mailbox of a mail that was made, its subject, its text."""
        message = self.spool.claim(self.sent[number])
        try:
            self.assertTrue(is_report(message.origin))
            parsed = message_from_bytes(message.read(0, message.size), policy=policy.default)
            self.assertEqual(parsed["To"], f"{OPS}, boss@contoso.com")
            self.assertEqual(len(message.envelope.recipients), 2)
            return message.origin.mailbox, parsed["Subject"], parsed.get_content()
        finally:
            message.close()

    def test_it_goes_by_a_mailbox_that_works(self) -> None:
        """Not by the one the news is about, though that comes first."""
        self.mail.tell(event())
        self.stage.wait(GATHER)
        mailbox, subject_line, text = self.read(0)
        self.assertEqual(mailbox, TWIN)
        self.assertIn("PROBLEM: Nobody has allowed", subject_line)
        self.assertEqual(self.told, [event()])
        self.assertIn("Grant admin consent.", text)
        self.assertIn("an Entra administrator", text)

    def test_the_mailbox_asked_for_is_taken_while_it_works(self) -> None:
        """And any other when it does not."""
        self.mail.configure([OPS], THIRD)
        self.assertEqual(self.mail.mailbox_for([event()]), THIRD)
        self.boxes.states[THIRD] = State.THROTTLED
        self.assertEqual(self.mail.mailbox_for([event()]), TWIN)
        self.boxes.states[TWIN] = State.PAUSED
        self.assertEqual(self.mail.mailbox_for([event()]), BOX)  # it will end, but works today

    def test_what_comes_together_goes_together(self) -> None:
        """One mail for all within seconds, then one in five minutes."""
        for number in range(3):
            self.mail.tell(event(number=number))
            self.stage.wait(1)
        self.stage.wait(GATHER)
        self.assertEqual(len(self.sent), 1)
        self.assertIn("news of 3 incidents", self.read(0)[1])
        self.mail.tell(event(Kind.CLOSED, number=1))
        self.stage.wait(GATHER)
        self.mail.tell(event(Kind.CLOSED, number=2))
        self.assertEqual(len(self.sent), 1)
        self.stage.wait(PAUSE)
        self.assertEqual(len(self.sent), 2)

    def test_without_a_mailbox_it_waits(self) -> None:
        """Said once, tried each minute, sent when one works again."""
        self.boxes.states = dict.fromkeys(self.boxes.addresses, State.NEEDS_ADMIN)
        self.mail.tell(event(number=1))
        self.stage.wait(GATHER + 3 * AGAIN, 60)
        self.mail.tell(event(number=2))
        self.stage.wait(AGAIN)
        self.assertEqual((len(self.sent), len(self.stage.events("alert.mail_waits"))), (0, 1))
        del self.boxes.states[TWIN]
        self.stage.wait(AGAIN)
        self.assertIn("news of 2 incidents", self.read(0)[1])

    def test_a_disk_that_fails_loses_no_news(self) -> None:
        """The spool takes nothing; later it does."""
        self.spool.health.fail(OSError(5, "Input/output error"))
        self.mail.tell(event())
        self.stage.wait(GATHER)
        self.assertEqual(self.sent, [])
        self.assertEqual(len(self.stage.events("alert.mail_waits")), 1)

    def test_a_stop_leaves_what_waits_in_the_spool(self) -> None:
        """It goes with the next start."""
        self.mail.tell(event())
        self.successResultOf(Deferred.fromCoroutine(self.mail.stop()))
        self.assertEqual(len(self.sent), 1)
        self.mail.tell(event())
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_nobody_to_tell(self) -> None:
        """Then nothing is made."""
        self.mail.configure([], "")
        self.mail.tell(event())
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_a_trial(self) -> None:
        """At once, and it says under which id."""
        queue_id = self.successResultOf(Deferred.fromCoroutine(self.mail.try_once(event())))
        self.assertEqual([entry.queue_id for entry in self.sent], [queue_id])

    def test_very_much_news(self) -> None:
        """Of the most only the headline, and what waits is bounded."""
        for number in range(MOST + 10):
            self.mail.tell(event(number=number))
        self.stage.wait(GATHER)
        _, subject_line, text = self.read(0)
        self.assertIn(f"{MOST} incidents", subject_line)
        self.assertEqual(text.count("What happened:"), MOST_TOLD)

    def test_a_subject_is_ascii(self) -> None:
        """Names of strangers may be anything."""
        self.assertTrue(subject([event(box="büro@contoso.com")], GATEWAY).isascii())
