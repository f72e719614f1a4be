"""The pages: what they show, what their forms do, and that nothing from outside is ever markup."""

from __future__ import annotations

from m365gw.admin.queue_listing import SCREEN
from m365gw.incidents import Incident, subject_of
from m365gw.microsoft.replies import diagnose
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.names import Entry, State
from tests.admin.web.browser import ConsoleTestCase, mailbox

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&\u202eevil"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


class PageTestCase(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.signed = self.signed_in()

    def shown(self, path: str) -> str:
        answer = self.signed.get(path)
        self.assertEqual(answer.status, 200)
        return answer.body

    def state_of(self, entry: Entry) -> State | None:
        found = self.stage.spool.find(entry.queue_id)
        return None if found is None else found.state

    def attempted(self, entry: Entry, *outcomes: tuple[Outcome, Reply]) -> Entry:
        message = self.stage.spool.claim(entry)
        verdicts = [Verdict(place, *each) for place, each in enumerate(outcomes)]
        self.stage.spool.settle(message, verdicts, self.stage.clock.seconds())
        return self.stage.spool.defer(message, int(self.stage.clock.seconds()) + 300)


class OverviewTests(PageTestCase):
    def test_what_waits_and_what_is_wrong(self) -> None:
        """Counts, the oldest message, mailboxes with their state, and incidents with the cure."""
        told = diagnose(Reply(452, "4.2.2", "Mailbox full")).about(mailbox="relay@contoso.com")
        names = subject_of({"mailbox": "relay@contoso.com"})
        incident = Incident(id="1", told=told, subject=names, opened_at=self.stage.clock.seconds())
        self.stage.incidents.append(incident)
        self.stage.mailboxes.append(mailbox("b@contoso.com", state="needs_admin", why="Because."))
        self.stage.message()
        body = self.shown("/")
        for words in ("admin needed", "Because.", "Empty Sent Items of relay@contoso.com"):
            self.assertIn(words, body)
        self.assertIn('aria-label="Messages received', body)

    def test_mailboxes_that_may_not_send_come_first(self) -> None:
        """And there are never so many that nothing else is seen."""
        self.stage.mailboxes[:] = [mailbox(f"m{number}@contoso.com") for number in range(500)]
        self.stage.mailboxes[400]["state"] = "needs_signin"
        body = self.shown("/")
        self.assertIn("m400@contoso.com", body)
        self.assertIn("and 492 more", body)

    def test_an_empty_gateway(self) -> None:
        """Says that nothing is wrong, and what to do first."""
        self.stage.mailboxes.clear()
        body = self.shown("/")
        self.assertIn("Nothing is wrong.", body)
        self.assertIn("There is no mailbox yet.", body)


class QueueTests(PageTestCase):
    def test_filters_and_search(self) -> None:
        """Each narrows the list down to what it says."""
        first = self.stage.message("a@fabrikam.example", sender="erp@contoso.com", login="erp")
        second = self.stage.message("b@northwind.example", client="10.9.9.9", helo="ups.local")
        for query, found in (
            ("q=fabrikam", first),
            ("q=UPS.local", second),
            (f"q={second.queue_id}", second),
            ("from=*@contoso.com&client=erp", first),
            ("to=*@northwind.example", second),
            ("client=10.9.9.9", second),
        ):
            with self.subTest(query=query):
                body = self.shown(f"/queue?{query}&part=rows")
                other = second if found is first else first
                self.assertIn(f'href="/queue/{found.queue_id}"', body)
                self.assertNotIn(f'href="/queue/{other.queue_id}"', body)
        self.assertIn("No message fits.", self.shown("/queue?state=hold"))

    def test_a_filter_that_is_none_is_refused_in_words(self) -> None:
        """And shown as it was typed, escaped."""
        for query in ("from=nobody", "state=gone", "older=soon"):
            self.assertEqual(self.signed.get(f"/queue?{query}").status, 400)

    def test_paging(self) -> None:
        """One screen at a time, in the order asked for; the filters go along."""
        entries = [self.stage.message() for _ in range(SCREEN + 3)]
        first = self.shown("/queue?sort=arrival&mailbox=relay@contoso.com&part=rows")
        self.assertIn(entries[0].queue_id, first)
        self.assertNotIn(entries[-1].queue_id, first)
        self.assertIn(f"start={SCREEN}", first)
        second = self.shown(f"/queue?sort=arrival&start={SCREEN}&part=rows")
        self.assertIn(entries[-1].queue_id, second)
        self.assertNotIn(entries[0].queue_id, second)

    def test_a_mailbox_that_may_not_send_has_no_next_try(self) -> None:
        """What is due waits for its mailbox, and is not tried now."""
        self.stage.message()
        self.stage.mailboxes[:] = [mailbox("relay@contoso.com")]
        self.assertIn(">now<", self.shown("/queue?part=rows"))
        self.stage.mailboxes[0]["why"] = "It is paused."
        self.assertIn(">waits<", self.shown("/queue?part=rows"))

    def test_flush(self) -> None:
        """Everything that waits for its time is tried, and who wanted it is noted."""
        entry = self.stage.message()
        self.attempted(entry, (Outcome.PENDING, Reply(451, "4.7.0", "later")))
        answer = self.signed.send("/queue/flush", mailbox="relay@contoso.com")
        self.assertEqual(answer.headers["location"], "/queue")
        self.assertIn("1 message to be tried at once.", self.shown("/queue"))
        self.assertEqual(self.stage.queue.flushed, ["relay@contoso.com"])
        self.assertEqual(self.stage.audited, [("anna", "flush", "relay@contoso.com")])

    def test_a_spool_that_cannot_be_read(self) -> None:
        """Is said, and nothing else breaks."""
        self.shown("/queue")
        self.stage.desk.open_spool = self.stage.desk.rolls.open_spool = lambda: 1 / 0
        self.assertEqual(self.signed.get("/queue").status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class MessageTests(PageTestCase):
    def test_why_each_recipient_waits(self) -> None:
        """The reply as it came, what it means, what to do and who."""
        entry = self.stage.message("a@x.example", "b@x.example", "c@x.example")
        taken, full = Reply(250, "2.0.0", "OK 4711"), Reply(452, "4.2.2", "Mailbox full")
        outcomes = (Outcome.DELIVERED, taken), (Outcome.PENDING, full), (Outcome.PENDING, full)
        self.attempted(entry, *outcomes)
        body = self.shown(f"/queue/{entry.queue_id}")
        for words in ("OK 4711", "452 4.2.2 Mailbox full", "an Exchange administrator"):
            self.assertIn(words, body)
        self.assertEqual(body.count("Empty Sent Items"), 1)
        self.assertIn("For the same reason as b@x.example.", body)

    def test_what_is_done_to_one(self) -> None:
        """Held, released, tried, returned, removed: each is done, said and noted."""
        entry = self.stage.message()
        path = f"/queue/{entry.queue_id}"
        for action, state in (("hold", State.HOLD), ("release", State.INCOMING)):
            answer = self.signed.send(f"{path}/{action}")
            self.assertEqual(answer.headers["location"], path)
            self.assertEqual(self.state_of(entry), state)
        self.assertIn(f"{entry.queue_id} is released.", self.shown(path))
        self.signed.send(f"{path}/bounce")
        found = self.stage.spool.find(entry.queue_id)
        self.assertTrue(found is not None and found.is_expired)
        self.assertEqual(self.signed.send(f"{path}/remove").headers["location"], "/queue")
        self.assertIsNone(self.state_of(entry))
        done = [what for _, what, _ in self.stage.audited]
        self.assertEqual(done, ["hold", "release", "bounce", "remove"])

    def test_what_cannot_be_done_is_said(self) -> None:
        """With the reason the operations give."""
        entry = self.stage.message()
        self.signed.send(f"/queue/{entry.queue_id}/release")
        body = self.shown(f"/queue/{entry.queue_id}")
        self.assertIn("was not released: it is not held.", body)

    def test_only_what_failed_is_sent_again(self) -> None:
        """As a message of its own, to those alone for whom it has failed."""
        entry = self.stage.message("a@x.example", "b@x.example")
        no = Reply(550, "5.1.1", "User unknown")
        self.attempted(entry, (Outcome.PENDING, Reply(451, "4.7.0", "later")), (Outcome.FAILED, no))
        self.assertIn("Send again to the 1 that failed", self.shown(f"/queue/{entry.queue_id}"))
        answer = self.signed.send(f"/queue/{entry.queue_id}/resend")
        made = answer.headers["location"].removeprefix("/queue/")
        found = self.stage.spool.find(made)
        assert found is not None
        self.assertEqual(found.state, State.INCOMING)
        recipients = self.stage.spool.claim(found).recipients
        self.assertEqual([one.recipient.address for one in recipients], ["b@x.example"])
        self.assertEqual(self.state_of(entry), State.DEFERRED)

    def test_where_nothing_failed_nothing_is_sent(self) -> None:
        """Whoever asks all the same is told so."""
        entry = self.stage.message()
        self.signed.send(f"/queue/{entry.queue_id}/resend")
        self.assertIn("Nothing was sent", self.shown("/queue"))

    def test_one_that_has_gone_is_still_told_of(self) -> None:
        """From what was logged, to Microsoft's answer; without that it is not known."""
        log = self.stage.log
        log.emit("message.queued", "smtpd", "4Q7BX2K9M3PDW", client="unknown[10.1.0.7]", size=10)
        told = {"to_": "a@x.example", "relay": "host[1.2.3.4]:587", "delay": "1"}
        log.emit("delivery", "smtp", "4Q7BX2K9M3PDW", status="sent", note="250 OK 4711", **told)
        body = self.shown("/queue/4Q7BX2K9M3PDW")
        for words in ("Accepted", "Delivered to Microsoft 365", "250 OK 4711", "no longer in"):
            self.assertIn(words, body)
        self.assertEqual(self.signed.get("/queue/4Q7BX2K9M3PDX").status, 404)

    def test_what_is_no_queue_id(self) -> None:
        """Is never looked up."""
        for path in ("..%2f..%2fetc", "AAAAAAAAAAAAA", "4q7bx2k9m3pd", "%00" * 13, "<script>"):
            self.assertEqual(self.signed.get(f"/queue/{path}").status, 404)


class BulkTests(PageTestCase):
    def test_nothing_is_done_before_it_is_said(self) -> None:
        """What would be touched is shown; then it is done to all, and summed up."""
        entries = [self.stage.message(f"u{number}@x.example") for number in range(12)]
        answer = self.signed.send("/queue/bulk", all="hold", to="*@x.example")
        path = answer.headers["location"]
        body = self.shown(path)
        self.assertIn("12 messages", body)
        self.assertIn("and 2 more", body)
        self.assertEqual({self.state_of(each) for each in entries}, {State.INCOMING})
        self.signed.send(f"{path}/do")
        self.assertIn("12 messages held.", self.shown(path))
        self.assertEqual({self.state_of(each) for each in entries}, {State.HOLD})
        self.assertEqual(self.stage.audited, [("anna", "hold", "12 messages")])

    def test_those_that_were_picked(self) -> None:
        """And no others; what is no queue id is left out."""
        picked, other = self.stage.message(), self.stage.message()
        form = {"action": "remove", "id": [picked.queue_id, "../../x"]}
        path = self.signed.send("/queue/bulk", **form).headers["location"]
        self.signed.send(f"{path}/do")
        self.assertIn("1 message removed.", self.shown(path))
        self.assertIsNone(self.state_of(picked))
        self.assertEqual(self.state_of(other), State.INCOMING)

    def test_cancelled(self) -> None:
        """Nothing is done, then or later."""
        entry = self.stage.message()
        path = self.signed.send("/queue/bulk", all="remove").headers["location"]
        self.assertEqual(self.signed.send(f"{path}/cancel").headers["location"], "/queue")
        self.signed.send(f"{path}/do")
        self.assertEqual(self.state_of(entry), State.INCOMING)

    def test_an_order_is_its_operators_own(self) -> None:
        """Nobody else sees it, or has it done."""
        from tests.admin.web.browser import HASH

        self.stage.operators.add("ben", HASH, "operator", "test")
        path = self.signed.send("/queue/bulk", all="remove").headers["location"]
        self.assertEqual(self.signed_in("ben").get(path).status, 404)

    def test_an_action_that_is_none(self) -> None:
        """Is refused before anything is looked for."""
        for name in ("", "explode", "expire"):
            self.assertEqual(self.signed.send("/queue/bulk", all=name).status, 400)


class HostileTests(PageTestCase):
    def test_nothing_from_outside_is_markup(self) -> None:
        """Subjects, addresses, HELO names, logins, replies and reasons are text, wherever shown."""
        entry = self.stage.message(
            f"{HOSTILE}@x.example",
            sender=HOSTILE,
            header=f"Subject: {HOSTILE}\r\n{HOSTILE}: x\r\n".encode(),
            login=HOSTILE,
            helo=HOSTILE,
            mailbox=HOSTILE,
            listener=HOSTILE,
            tls=HOSTILE,
            protocol=HOSTILE,
        )
        log = self.stage.log
        log.emit("delivery", "smtp", entry.queue_id, status="sent", to_=HOSTILE, note=HOSTILE)
        self.attempted(entry, (Outcome.PENDING, Reply(451, "4.7.0", HOSTILE.replace("\u202e", ""))))
        self.stage.mailboxes.append(mailbox(HOSTILE, why=HOSTILE))
        quoted = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
        paths = ["/", "/queue", f"/queue/{entry.queue_id}", f"/queue?q={quoted}&mailbox={quoted}"]
        paths.append(self.signed.send("/queue/bulk", all="hold").headers["location"])
        for path in paths:
            with self.subTest(path=path):
                body = self.shown(path)
                self.assertIn(ESCAPED, body)
                self.assertNotIn("<script>alert", body)
                self.assertNotIn("<img src=x", body)
                self.assertNotIn("\u202e", body)

    def test_nothing_typed_is_markup(self) -> None:
        """A login, a page, a path: what was typed comes back as text."""
        body = self.browser.sign_in(HOSTILE, HOSTILE).body
        self.assertIn(ESCAPED, body)
        self.assertNotIn("<script>alert", body)
        for path in ("/%3Cscript%3Ealert(1)", "/login?next=%22%3E%3Cscript%3Ealert(1)"):
            self.assertNotIn("<script>alert", self.browser.get(path).body)
