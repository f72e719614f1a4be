"""Incidents, test mails and the doctor in the console."""

from __future__ import annotations

import json
import os
from typing import Any

from m365gw.alerts.alerts import Trial
from m365gw.doctor.casebook import Casebook
from m365gw.incidents import Incident, subject_of
from m365gw.microsoft.diagnosis import Diagnosis
from tests.admin.web.browser import HASH, NOW, ConsoleTestCase, mailbox

RELAY = "relay@contoso.com"
HOSTILE = '"><script>alert(1)</script>\u202e'
TOLD = Diagnosis(
    "smtp-auth-disabled-mailbox", "SMTP AUTH is off.", "Why.", "Fix.", "exchange-admin"
)
OPEN = Incident(
    id="5f1c2d9a", told=TOLD, subject=subject_of({"mailbox": RELAY}), opened_at=NOW - 60
)
PAST = Incident(
    id="0badcafe",
    told=Diagnosis("spool-full", HOSTILE, HOSTILE, HOSTILE, "operator"),
    level="error",
    opened_at=NOW - 7200,
    closed_at=NOW - 3600,
    note=HOSTILE,
)


class IncidentTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stage.incidents.append(OPEN)
        self.stage.incident_desk.past.append(PAST)

    def test_open_and_past(self) -> None:
        """What is open stands first, each leads to its page, and nothing of it runs."""
        browser = self.signed_in()
        body = browser.get("/incidents").body
        self.assertLess(body.index("/incidents/5f1c2d9a"), body.index("/incidents/0badcafe"))
        for path in ("/incidents", "/incidents/0badcafe", "/incidents/5f1c2d9a", "/"):
            self.assertNotIn("<script>alert", browser.get(path).body)
        for path in ("/incidents?part=rows", "/incidents/5f1c2d9a?part=facts"):
            self.assertEqual(browser.get(path).status, 200)

    def test_one_with_all_that_is_known(self) -> None:
        """The remedy with the real name, who must act, and a text for him."""
        body = self.signed_in().get("/incidents/5f1c2d9a").body
        self.assertIn("Set-CASMailbox -Identity &#39;relay@contoso.com&#39;", body)
        self.assertIn("Who must act: an Exchange administrator", body)
        self.assertIn(f'href="/mailboxes/{RELAY}"', body)

    def test_one_that_is_over(self) -> None:
        """It says how long it lasted, and asks nothing of anybody."""
        body = self.signed_in().get("/incidents/0badcafe").body
        self.assertIn("1 hour", body)
        self.assertNotIn("For your admin", body)
        self.assertEqual(self.signed_in().get("/incidents/00000000").status, 404)

    def test_what_will_end(self) -> None:
        """Days are counted down here and on the overview; what nobody knows is said so."""
        near = {
            "kind": "secret",
            "name": RELAY,
            "ends_at": NOW + 6.5 * 86400,
            "note": "",
            "warned": 7,
        }
        self.stage.incident_desk.ends += [near, {**near, "ends_at": None, "warned": None}]
        browser = self.signed_in()
        self.assertIn("6 days", browser.get("/").body)
        self.assertIn("not known", browser.get("/incidents").body)

    def test_everybody_is_told_a_test(self) -> None:
        """What came of each way is shown, with what went wrong."""
        self.stage.incident_desk.trials.append(Trial("webhook https://h.example", False, HOSTILE))
        answer = self.signed_in().send("/incidents/test")
        self.assertEqual(answer.status, 200)
        self.assertIn("not told", answer.body)
        self.assertNotIn("<script>alert", answer.body)
        self.assertEqual(self.stage.audited, [("anna", "incidents.tested", "1 ways")])


class TestMailTests(ConsoleTestCase):
    def test_sent_and_followed(self) -> None:
        """From the form to the page that follows it, which asks again until it is over."""
        browser = self.signed_in()
        answer = browser.send("/test", mailbox=RELAY, to="a@b.example, c@d.example")
        self.assertEqual(answer.headers["location"], "/test/4Q7BX2K9M3PDW")
        self.assertEqual(self.stage.test_mails.sent[0].recipients, ("a@b.example", "c@d.example"))
        self.stage.test_mails.told = {
            "steps": [{"at": NOW, "step": "accepted", "words": "kept"}],
            "outcome": "",
            "mailbox": mailbox(RELAY),
        }
        self.assertIn("every 1s", browser.get("/test/4Q7BX2K9M3PDW").body)
        said = {"at": NOW, "step": "sent", "words": f"250 {HOSTILE}", "microsoft_id": "<1@x>"}
        self.stage.test_mails.told |= {"steps": [said], "outcome": "sent"}
        body = browser.get("/test/4Q7BX2K9M3PDW?part=steps").body
        self.assertNotIn("every 1s", body)
        self.assertIn("&lt;1@x&gt;", body)
        self.assertNotIn("<script>alert", body)

    def test_the_diagnosis_is_shown(self) -> None:
        """A mailbox that may not send: what is wrong, the remedy, and where the message is."""
        told = {key: getattr(TOLD, key) for key in ("key", "what", "why", "fix", "who")}
        state = mailbox(RELAY, state="needs_admin", diagnosis=told)
        self.stage.test_mails.told = {"steps": [], "outcome": "", "mailbox": state}
        body = self.signed_in().get("/test/4Q7BX2K9M3PDW").body
        self.assertIn("It waits for its mailbox", body)
        self.assertIn("Set-CASMailbox", body)
        self.assertIn('href="/queue/4Q7BX2K9M3PDW"', body)

    def test_what_makes_no_sense(self) -> None:
        """The form comes back with what was typed and what is wrong with it."""
        answer = self.signed_in().send("/test", mailbox="", subject=HOSTILE)
        self.assertEqual(answer.status, 400)
        self.assertIn("Which mailbox?", answer.body)
        self.assertNotIn("<script>alert", answer.body)
        self.assertEqual(self.stage.test_mails.sent, [])


def found(id_: str, result: str, **more: Any) -> dict[str, Any]:
    """A finding as the doctor tells it."""
    plain = {"id": id_, "title": "SMTP AUTH", "result": result, "tried": "it", "came_back": HOSTILE}
    rest = {"skipped_because": "skipped because D04 failed", "diagnosis": None, "remedies": []}
    return {**plain, **rest, **more}


class DoctorTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stage.rounds.mailboxes[:] = [RELAY, "b@contoso.com"]
        steps = {
            "cause": "c",
            "portal": "Click here",
            "powershell": "Set-CASMailbox x",
            "who": "exchange-admin",
            "takes": "at once",
        }
        told = {"key": "k", "what": "It is off.", "why": "W.", "fix": "F.", "who": "operator"}
        self.failed = found("D09", "fail", diagnosis=told, remedies=[steps])

    def test_findings_are_grouped_with_what_to_do(self) -> None:
        """Failed first and open; each with button path and PowerShell line; nothing runs."""
        book = self.stage.rounds.book
        book.begin(("", RELAY), "anna", NOW - 60)
        for finding in (self.failed, found("D04", "ok"), found("D10", "skipped")):
            book.hear(RELAY, finding)
        browser = self.signed_in()
        for path in ("/doctor", "/doctor?part=rows"):  # the page, and what it fetches by itself
            self.assertIn("3 checks so far", browser.get(path).body)
        book.end(("", RELAY), self.stage.rounds.mailboxes)
        body = browser.get(f"/doctor?mailbox={RELAY}").body
        for words in ("1 failed", "Click here", "PowerShell: Set-CASMailbox x", "D04 failed"):
            self.assertIn(words, body)
        self.assertNotIn("<script>alert", body)
        self.assertIn("Nobody has examined it yet", browser.get("/doctor").body)

    def test_asked_for(self) -> None:
        """One or all; a second one while one is under way is told so."""
        browser = self.signed_in()
        browser.send("/doctor", mailbox=RELAY, send="1")
        browser.send("/doctor", mailbox="")
        self.stage.rounds.is_busy = True
        browser.send("/doctor", mailbox="")
        self.assertEqual(self.stage.rounds.asked, [([RELAY], "anna", True), ([], "anna", False)])
        self.assertIn("under way already", browser.get("/doctor").body)
        self.assertEqual(browser.send("/doctor", mailbox="no@x.example").status, 404)

    def test_a_report_without_names(self) -> None:
        """The file names nobody."""
        book = self.stage.rounds.book
        book.begin(("", RELAY), "anna", NOW)
        book.hear(RELAY, self.failed)
        answer = self.signed_in().get("/doctor/report")
        self.assertIn("attachment", answer.headers["content-disposition"])
        self.assertEqual(len(json.loads(answer.body)["mailboxes"]), 1)
        self.assertNotIn("contoso", answer.body)

    def test_the_book_is_kept(self) -> None:
        """Over a restart; one that is damaged is empty."""
        folder = self.mktemp()
        book = Casebook(folder)
        book.load()
        self.assertEqual(book.known, {})
        book.begin(("", RELAY, "old@contoso.com"), "anna", NOW)
        book.hear(RELAY, self.failed)
        book.end(("", RELAY, "old@contoso.com"), [RELAY])

        os.makedirs(folder)
        book.keep()
        again = Casebook(folder)
        again.load()
        self.assertEqual(again.known, book.known)
        self.assertEqual(sorted(again.known), ["", RELAY])


class RoleTests(ConsoleTestCase):
    def test_a_viewer_only_looks(self) -> None:
        """All pages are there, none of the paths that do something."""
        self.stage.operators.add("ben", HASH, "viewer", "test")
        browser = self.signed_in("ben")
        for path in ("/incidents", "/doctor", "/test"):
            self.assertEqual(browser.get(path).status, 200)
            self.assertNotIn('<form method="post" action="/test', browser.get(path).body)
        token = browser.get("/").token()
        for path in ("/incidents/test", "/doctor", "/test"):
            self.assertEqual(browser.post(path, {"token": token, "mailbox": RELAY}).status, 403)
            self.assertEqual(self.signed_in().post(path, {"mailbox": RELAY}).status, 403)
            self.assertEqual(self.browser.get(path.replace("/test", "", 1) or path).status, 303)
        self.assertEqual((self.stage.rounds.asked, self.stage.test_mails.sent), ([], []))
