"""Test mails: what is refused before anything is stored, and how one is followed."""

from __future__ import annotations

import io
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import TestMail
from m365gw.events import EventLog
from m365gw.service.followed import Followed
from m365gw.service.send_test import SendTest

QID = "4Q7BX2K9M3PDW"


class Mailbox:
    """One of the overview, as far as it is asked."""

    def __init__(self, address: str) -> None:
        self.address = address


class OrderTests(SynchronousTestCase):
    def refused(self, order: TestMail, *mailboxes: str) -> int:
        """The status it is refused with; the spool is not even asked for."""
        sending = SendTest(
            lambda: "gw",
            cast(Any, self.fail),
            lambda: cast(Any, [Mailbox(each) for each in mailboxes]),
            self.fail,
            Clock(),
            EventLog(io.StringIO(), hostname="gw"),
        )
        doing = Deferred.fromCoroutine(sending.send(order, Caller("root[1]")))
        return int(self.failureResultOf(doing, Refusal).value.status)

    def test_which_mailbox(self) -> None:
        """The only one needs no name; of several one has to be named, and be there."""
        self.assertEqual(self.refused(TestMail(), "a@contoso.com", "b@contoso.com"), 400)
        self.assertEqual(self.refused(TestMail()), 400)
        self.assertEqual(self.refused(TestMail(mailbox="c@contoso.com"), "a@contoso.com"), 404)

    def test_what_is_no_mail(self) -> None:
        """No addresses, too many recipients, a subject that would be two header fields."""
        for order in (
            TestMail(sender="nobody"),
            TestMail(sender="<>"),
            TestMail(recipients=("a@b.c\r\nBcc: d@e.f",)),
            TestMail(recipients=("\u00fc@b.example",)),
            TestMail(recipients=tuple(f"a{number}@b.example" for number in range(11))),
            TestMail(subject="Hello\r\nBcc: d@e.f"),
        ):
            with self.subTest(order=order):
                self.assertEqual(self.refused(order, "a@contoso.com"), 400)


class FollowedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.followed = Followed("relay@contoso.com", 2, 0.0, QID)

    def delivered(self, to: str, status: str, note: str) -> None:
        fields = {"to": to, "status": status, "relay": "smtp.office365.com[192.0.2.1]:587"}
        self.followed.take("delivery", note, fields, 1.0)

    def test_outcome(self) -> None:
        """The worst of its recipients, once all were tried; a later attempt takes its place."""
        self.delivered("a@b.c", "sent", "250 2.0.0 OK <x1@prod.outlook.com> [Hostname=Y]")
        self.assertEqual(self.followed.outcome, "")
        self.delivered("d@b.c", "deferred", "451 4.7.500 Server busy")
        self.assertEqual(self.followed.outcome, "deferred")
        self.delivered("d@b.c", "sent", "250 2.0.0 OK <x2@prod.outlook.com> [Hostname=Y]")
        self.assertEqual(self.followed.outcome, "sent")
        ids = [step["microsoft_id"] for step in self.followed.steps]
        self.assertEqual(ids, ["<x1@prod.outlook.com>", "", "<x2@prod.outlook.com>"])

    def test_waiting(self) -> None:
        """Whoever waits is told when something happens, or when time is up."""
        waiting = Deferred.fromCoroutine(self.followed.something(self.clock, 5.0))
        self.assertNoResult(waiting)
        self.delivered("a@b.c", "sent", "250 OK")
        self.successResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        waiting = Deferred.fromCoroutine(self.followed.something(self.clock, 5.0))
        self.clock.advance(5.0)
        self.successResultOf(waiting)
