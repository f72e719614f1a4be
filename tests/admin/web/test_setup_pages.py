"""The steps of the set-up: each is checked whole, can be left, gone back in and taken up again."""

from __future__ import annotations

from typing import Any

from m365gw.admin.web.acceptance import EVERY
from m365gw.admin.web.set_up import NOBODY
from m365gw.config.settable import Configured
from m365gw.directory.database import DirectoryError
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.failures import TokenUnavailable
from tests.admin.web.browser import HASH, Answer, Browser, ConsoleTestCase

FAILED = {
    "id": "D07",
    "title": "token of Entra",
    "result": "fail",
    "came_back": "AADSTS700016 <b>x</b>",
    "diagnosis": None,
}
REPORT: dict[str, Any] = {
    "gateway": [],
    "mailboxes": [{"address": "relay@contoso.com", "findings": [FAILED]}],
}
HOSTILE = '"><script>alert(1)</script>'
RELAY = "relay@contoso.com"
APP = "11111111-2222-4333-8444-555555555555"
PAGES = ("entrance", "mailbox", "tenant", "senders", "test", "done")
CHANGES = ("entrance", "mailbox", "tenant", "tenant/check", "tenant/code", "senders/client")


class SetUpTestCase(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stage.mailboxes.clear()
        self.anna = self.signed_in()

    @property
    def settings(self) -> Any:
        return self.stage.registry.settings

    def entrance(self, **form: str) -> Answer:
        said = {"hostname": "relay.contoso.com", "on.submission": "yes", "port.submission": "587"}
        return self.anna.send("/setup/entrance", **{**said, "tls": "self", **form})

    def mailbox(self, **form: str) -> Answer:
        said = {"address": RELAY, "flow": "certificate", "client_id": APP, **form}
        return self.anna.send("/setup/mailbox", **said)


class StepTests(SetUpTestCase):
    def test_who_may(self) -> None:
        """Operators alone: neither visitors nor viewers see or change anything of it."""
        self.stage.operators.add("vera", HASH, "viewer", "test")
        vera = self.signed_in("vera")
        for name in PAGES:
            self.assertEqual(vera.get(f"/setup/{name}").status, 403)
            self.assertIn("/login", Browser(self.stage).get(f"/setup/{name}").headers["location"])
        for name in CHANGES:
            self.assertEqual(vera.send(f"/setup/{name}").status, 403)
            self.assertEqual(self.anna.post(f"/setup/{name}", {}).status, 403)
        self.assertEqual(self.settings.mailbox, ())

    def test_where_to_go_on(self) -> None:
        """The first step that is not done, whoever did the others, and how."""
        self.assertEqual(self.anna.get("/setup").headers["location"], "/setup/entrance")
        self.entrance()
        self.assertEqual(self.anna.get("/setup").headers["location"], "/setup/mailbox")
        self.mailbox()
        self.assertEqual(self.anna.get("/setup").headers["location"], "/setup/tenant")

    def test_the_overview_leads_there(self) -> None:
        """As long as no mail can come in and go out."""
        self.assertIn("The set-up is not finished.", self.anna.get("/").body)
        self.entrance()
        self.mailbox()
        self.anna.send("/setup/senders/client", login="printer")
        self.assertNotIn("The set-up is not finished.", self.anna.get("/").body)

    def test_steps_out_of_order(self) -> None:
        """What needs a mailbox leads to the step that makes one."""
        for name in ("tenant", "senders", "test"):
            self.assertEqual(self.anna.get(f"/setup/{name}").headers["location"], "/setup/mailbox")
        self.assertIn("still missing", self.anna.get("/setup/done").body)


class EntranceTests(SetUpTestCase):
    def test_saved(self) -> None:
        """Name, ports and certificate in one change."""
        self.assertEqual(self.entrance(**{"on.smtp": "yes", "port.smtp": "2525"}).status, 303)
        names = {each.name: each.endpoint for each in self.settings.listener}
        self.assertEqual(names, {"submission": "tcp:587", "smtp": "tcp:2525"})
        self.assertEqual(self.settings.hostname, "relay.contoso.com")

    def test_every_fault_at_its_field(self) -> None:
        """All are shown at once, what was typed stays, and nothing is changed."""
        form = {"hostname": HOSTILE, "port.submission": "x", "tls": "own"}
        form |= {"tls.certificate": "/no/such/file", "tls.key": "/no/such/key"}
        answer = self.entrance(**form)
        self.assertEqual(answer.status, 422)
        for words in ("is not a host name", "is not an endpoint", "No such file"):
            self.assertIn(words, answer.body)
        self.assertNotIn("<script>alert", answer.body)
        self.assertEqual((self.settings.listener, self.settings.hostname), ((), ""))

    def test_nothing_chosen(self) -> None:
        """A gateway without a port takes no mail."""
        answer = self.entrance(**{"on.submission": ""})
        self.assertEqual((answer.status, "Choose one at least" in answer.body), (422, True))

    def test_gone_back_in(self) -> None:
        """Another choice takes the place of the first; what others have made stays."""
        self.entrance()
        other = {"name": "other", "endpoint": "tcp:26"}
        self.stage.registry.registry.add_listener(other, "root")
        self.entrance(**{"on.submission": "", "on.smtps": "yes", "port.smtps": "465"})
        self.assertEqual([each.name for each in self.settings.listener], ["other", "smtps"])

    def test_two_tabs(self) -> None:
        """The same form sent twice is the same gateway."""
        first, second = self.entrance(), self.entrance()
        self.assertEqual((first.status, second.status), (303, 303))
        self.assertEqual(len(self.settings.listener), 1)

    def test_what_the_file_says(self) -> None:
        """Is shown with its place, and left alone."""
        self.stage.registry.configured = Configured(hostname="gw", places={"hostname": "f.toml:1"})
        self.assertIn("f.toml:1", self.anna.get("/setup/entrance").body)
        self.assertEqual(self.entrance().status, 303)
        self.assertEqual(self.settings.hostname, "gw")

    def test_a_directory_that_cannot_be_written(self) -> None:
        """Is said in words; the session and what was made before stay."""

        def refuse(*_: object) -> None:
            raise DirectoryError("state.db cannot be written: Read-only file system")

        self.patch(self.stage.registry.registry, "arrange", refuse)
        answer = self.entrance()
        self.assertEqual((answer.status, "Read-only" in answer.body), (503, True))
        self.assertEqual(self.anna.get("/setup/entrance").status, 200)


class MailboxTests(SetUpTestCase):
    def test_a_key_is_made_here(self) -> None:
        """The certificate and the script can be had, the key cannot."""
        self.assertEqual(self.mailbox().status, 303)
        [made] = self.settings.mailbox
        self.assertEqual((made.tenant, made.client_id), ("contoso.com", APP))
        shown = self.anna.get("/setup/tenant").body
        self.assertIn("Permit it", shown)
        self.assertNotIn("PRIVATE KEY", shown)
        script = self.anna.get("/setup/tenant/script").body
        self.assertIn(RELAY, script)
        self.assertNotIn("PRIVATE KEY", script)

    def test_without_an_app(self) -> None:
        """The script makes it; until its id is known the mailbox is not tried."""
        self.stage.rounds.report = REPORT
        self.mailbox(client_id="")
        self.assertEqual(self.stage.states.asked[0][:2], ("pause", RELAY))
        self.assertIn("What the script has printed", self.anna.get("/setup/tenant").body)
        said = {"mailbox": RELAY, "client_id": "33-44"}
        self.assertEqual(self.anna.send("/setup/tenant", **said).status, 303)
        self.assertEqual(self.settings.mailbox[0].client_id, "33-44")

    def test_another_way(self) -> None:
        """Going back and choosing another flow leaves nothing of the first."""
        self.mailbox()
        self.assertEqual(self.mailbox(flow="device").status, 303)
        [made] = self.settings.mailbox
        self.assertEqual((made.flow, made.certificate), ("device", ""))

    def test_faults(self) -> None:
        """At their fields, and no secret comes back."""
        form = {
            "address": "no address",
            "flow": "web",
            "tenant": HOSTILE,
            "client_secret": "s3cret",
        }
        answer = self.mailbox(**form)
        self.assertEqual(answer.status, 422)
        self.assertNotIn("s3cret", answer.body)
        self.assertNotIn("<script>alert", answer.body)
        self.assertEqual(self.settings.mailbox, ())


class TenantTests(SetUpTestCase):
    def test_by_code(self) -> None:
        """It is shown, and that somebody has entered it is noticed without a click."""
        self.mailbox(flow="device")
        self.anna.send("/setup/tenant/code", mailbox=RELAY)
        self.assertIn("ABCD1234", self.anna.get("/setup/tenant").body)
        changes = self.stage.mailbox_sign_ins.changes
        self.stage.sign_ins.answer = True
        self.stage.clock.advance(5)
        self.assertGreater(self.stage.mailbox_sign_ins.changes, changes)
        self.assertIn(f"{RELAY} is signed in.", self.anna.get("/setup/tenant?part=proof").body)

    def test_a_code_that_is_declined(self) -> None:
        """The diagnosis is shown, and one may begin again."""
        self.mailbox(flow="device")
        told = Diagnosis("declined", "It was declined.", "Somebody said no.", "Ask.", "operator")
        self.stage.sign_ins.answer = TokenUnavailable("restart", told)
        self.anna.send("/setup/tenant/code", mailbox=RELAY)
        self.stage.clock.advance(5)
        shown = self.anna.get("/setup/tenant").body
        self.assertIn("It was declined.", shown)
        self.assertIn("Get a code", shown)

    def test_in_the_browser(self) -> None:
        """There and back, in this browser only; an answer counts once."""
        self.mailbox(flow="web")
        answer = self.anna.get("/setup/tenant/browser")
        self.assertTrue(answer.headers["location"].startswith("https://login.example/"))
        back = "/auth/callback?state=s&code=c"
        self.assertEqual(Browser(self.stage).get(back).status, 403)
        self.stage.sign_ins.answer = True
        self.assertEqual(self.anna.get(back).headers["location"], f"/setup/tenant?mailbox={RELAY}")
        self.assertEqual(self.anna.get(back).status, 403)
        self.assertEqual(len(self.stage.sign_ins.finished), 1)
        self.assertIn("is signed in.", self.anna.get("/setup/tenant").body)

    def test_until_microsoft_accepts_it(self) -> None:
        """What the doctor found is shown, and it looks again by itself."""
        self.mailbox()
        self.stage.rounds.report = REPORT
        self.anna.send("/setup/tenant/check", mailbox=RELAY)
        shown = self.anna.get("/setup/tenant").body
        self.assertIn("Not yet.", shown)
        self.assertIn("AADSTS700016 &lt;b&gt;", shown)
        good = {"gateway": [], "mailboxes": [{"address": RELAY, "findings": []}]}
        self.stage.rounds.report = good
        self.stage.clock.advance(EVERY)
        self.assertIn("Microsoft accepts", self.anna.get("/setup/tenant?part=proof").body)
        self.assertEqual(self.anna.get("/setup").headers["location"], "/setup/entrance")

    def test_a_mailbox_that_is_not_there(self) -> None:
        """It may be removed by now, or never was."""
        self.mailbox()
        for path in ("/setup/tenant?mailbox=x@y", "/setup/tenant/certificate?mailbox=x@y"):
            self.assertEqual(self.anna.get(path).status, 404)


class SenderTests(SetUpTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.entrance(**{"on.smtp": "yes", "port.smtp": "25"})
        self.mailbox()

    def test_a_login(self) -> None:
        """Its password is on the page that answers, and on no other."""
        said = {"login": "printer", "senders": f"{RELAY}, *@contoso.com", "mailbox": RELAY}
        answer = self.anna.send("/setup/senders/client", **said)
        [client] = self.settings.client
        self.assertEqual(client.senders, (RELAY, "*@contoso.com"))
        self.assertIn('id="made"', answer.body)
        self.assertRegex(answer.body, r"<dt>Port</dt><dd><code>587</code> STARTTLS[^$]*>25</code>")
        self.assertNotIn('id="made"', self.anna.get("/setup/senders").body)

    def test_a_network(self) -> None:
        """Counts on the listener its machines come to."""
        said = {"cidr": "10.1.0.0/16", "senders": RELAY, "mailbox": RELAY, "listener": "smtp"}
        self.assertEqual(self.anna.send("/setup/senders/network", **said).status, 303)
        listener = {each.name: each for each in self.settings.listener}["smtp"]
        self.assertEqual(listener.networks, ("10.1.0.0/16",))
        self.assertEqual([each.cidr for each in self.settings.network], ["10.1.0.0/16"])

    def test_faults(self) -> None:
        """A network that is none, and a login that is there."""
        said = {"cidr": HOSTILE, "senders": RELAY, "mailbox": RELAY, "listener": "smtp"}
        answer = self.anna.send("/setup/senders/network", **said)
        self.assertEqual(answer.status, 422)
        self.assertNotIn("<script>alert", answer.body)
        for status in (200, 422):
            said = {"login": "printer", "senders": RELAY, "mailbox": RELAY}
            self.assertEqual(self.anna.send("/setup/senders/client", **said).status, status)

    def test_the_end(self) -> None:
        """Says what to do next, once mail can flow."""
        self.anna.send("/setup/senders/client", login="printer")
        shown = self.anna.get("/setup/done").body
        self.assertIn("The gateway works", shown)
        self.assertIn('href="/backup"', shown)
        self.assertNotIn(NOBODY, shown)
