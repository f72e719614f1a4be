"""Logins, networks and rules: made, changed, explained; secrets once, hostile text never."""

from __future__ import annotations

import html
import re

from attrs import evolve

from m365gw.config.settings import Client, Listener, Mailbox, Network, Settings
from m365gw.directory import passwords
from tests.admin.web.browser import HASH
from tests.admin.web.test_pages import ESCAPED, HOSTILE, PageTestCase

RELAY = "relay@contoso.com"
MAILBOX = Mailbox(
    address=RELAY,
    flow="secret",
    tenant="contoso.com",
    client_id="00000000-0000-4000-8000-0000000000a1",
    client_secret="x",
)
SUBMISSION = Listener(name="submission", endpoint="tcp:587", networks=("10.1.0.0/16",))


class EntriesTestCase(PageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stage.registry.configured = Settings(mailbox=(MAILBOX,), listener=(SUBMISSION,))

    def made(self, login: str = "printer3", **fields: str) -> str:
        """Add a login by the form; the password it was given."""
        form = {"login": login, "senders": "scan@contoso.com", "mailbox": RELAY, **fields}
        answer = self.signed.send("/clients/add", **form)
        self.assertEqual(answer.status, 303, answer.body)
        body = self.shown(answer.headers["location"])
        found = re.search(r'id="secret">([a-z2-9]{32})<', body)
        assert found is not None
        return found[1]

    def client(self, login: str = "printer3") -> Client:
        return next(one for one in self.stage.registry.settings.client if one.login == login)


class ClientTests(EntriesTestCase):
    def test_made_with_a_password_that_is_shown_once(self) -> None:
        """It logs in by it; what is kept is a hash; the page is there once, and for its maker."""
        password = self.made(
            senders="scan@contoso.com\n*@devices.contoso.com", networks="10.1.0.0/16"
        )
        client = self.client()
        self.assertEqual(client.senders, ("scan@contoso.com", "*@devices.contoso.com"))
        self.assertEqual(client.networks, ("10.1.0.0/16",))
        self.assertTrue(passwords.verify(client.password[0].hash, password))
        for path in ("/clients", "/clients/printer3", "/log", "/"):
            self.assertNotIn(password, self.shown(path))
        self.assertNotIn(password, self.stage.lines.getvalue())
        answer = self.signed.send("/clients/printer3/passwords/add", label="new")
        once = answer.headers["location"]
        self.assertEqual(self.signed_in().get(once).status, 404)
        self.assertEqual(self.signed.get(once).status, 404)

    def test_a_chosen_password_is_never_shown(self) -> None:
        """It goes one way; one that is too short is refused at its field."""
        form = {"login": "fax", "senders": "fax@contoso.com", "mailbox": RELAY}
        answer = self.signed.send("/clients/add", **form, password="short")
        self.assertEqual(answer.status, 422)
        self.assertIn("at least 10 characters", answer.body)
        answer = self.signed.send("/clients/add", **form, password="correct horse battery")
        self.assertEqual(answer.headers["location"], "/clients/fax")
        self.assertTrue(
            passwords.verify(self.client("fax").password[0].hash, "correct horse battery")
        )

    def test_several_passwords_and_revoking_one(self) -> None:
        """Each has its label and its end; one is revoked by its id, the last one never."""
        self.made()
        self.signed.send(
            "/clients/printer3/passwords/add",
            label="floor 3",
            expires="2027-12-31",
            networks="10.1.0.0/16",
        )
        body = self.shown("/clients/printer3")
        for words in ("floor 3", "good until 2027-12-31", "never used"):
            self.assertIn(words, body)
        one, other = re.findall(r'name="password" value="([0-9a-f]{16})"', body)
        self.signed.send("/clients/printer3/passwords/remove", password=one)
        self.assertEqual([each.label for each in self.client().password], ["floor 3"])
        answer = self.signed.send("/clients/printer3/passwords/remove", password=other)
        self.assertEqual(answer.status, 422)
        self.assertEqual(len(self.client().password), 1)

    def test_changed(self) -> None:
        """What was emptied has its default again; passwords stay."""
        self.made(default_from="noreply@contoso.com", messages_per_hour="20")
        before = self.client()
        self.assertIn("noreply@contoso.com", self.shown("/clients/printer3/change"))
        form = {"senders": "*@contoso.com", "mailbox": RELAY, "foreign_sender": "rewrite"}
        answer = self.signed.send("/clients/printer3/change", **form)
        self.assertEqual(answer.headers["location"], "/clients/printer3")
        wanted = evolve(
            before,
            senders=("*@contoso.com",),
            default_from="",
            foreign_sender="rewrite",
            messages_per_hour=0,
        )
        self.assertEqual(self.client(), wanted)

    def test_problems_stand_at_their_fields(self) -> None:
        """All at once, with what was typed; nothing is made."""
        form = {"login": "a b", "senders": "nobody", "mailbox": "x@y.z"}
        answer = self.signed.send("/clients/add", **form, networks="10.1.2.3/8")
        self.assertEqual(answer.status, 422)
        for name in ("login", "senders", "mailbox", "networks"):
            self.assertRegex(answer.body, rf'aria-describedby="h-{name}"')
        self.assertGreaterEqual(answer.body.count('data-tone="bad"'), 4)
        self.assertEqual(self.stage.registry.settings.client, ())

    def test_removed(self) -> None:
        """And who did it is in the audit."""
        self.made()
        self.assertEqual(
            self.signed.send("/clients/printer3/remove").headers["location"], "/clients"
        )
        self.assertEqual(self.stage.registry.settings.client, ())
        body = self.shown("/audit")
        self.assertIn("client.removed", body)
        self.assertIn("console: anna", body)

    def test_what_stands_in_the_file_is_locked(self) -> None:
        """It is shown, and nothing here changes it."""
        _, stored = passwords.generate()
        kept = Client(login="erp", password_hash=stored, senders=("*",), mailbox=RELAY)
        self.stage.registry.configured = evolve(self.stage.registry.configured, client=(kept,))
        self.assertIn("in the file", self.shown("/clients"))
        self.assertNotIn("/clients/erp/change", self.shown("/clients/erp"))
        for path in ("change", "remove", "passwords/add", "passwords/remove", "allow"):
            self.assertEqual(self.signed.send(f"/clients/erp/{path}").status, 409)

    def test_a_refused_sender_is_allowed_by_a_click(self) -> None:
        """Who was refused lately for his sender stands there, with the way to allow it."""
        self.made()
        told = {
            "client": "unknown[10.1.0.7]",
            "sasl_username": "printer3",
            "from_": "new@contoso.com",
        }
        note = '553 5.7.1 login "printer3" may not send as <new@contoso.com>.'
        for _ in range(3):
            self.stage.log.emit("message.refused", "smtpd", level="warn", note=note, **told)
        for path in ("/clients", "/clients/printer3"):
            self.assertIn("tried to send as <code>new@contoso.com</code>", self.shown(path))
        self.assertIn("3 times", self.shown("/clients?part=refused"))
        self.assertIn("3 times", self.shown("/clients/printer3?part=lately"))
        self.assertIn("no label", self.shown("/clients/printer3?part=passwords"))
        self.signed.send("/clients/printer3/allow", sender="new@contoso.com")
        self.assertEqual(self.client().senders, ("scan@contoso.com", "new@contoso.com"))
        self.assertNotIn("tried to send as", self.shown("/clients"))

    def test_hostile_text(self) -> None:
        """A login, a label, a sender, a line of the log: text everywhere."""
        login = re.sub(r"\s", "", HOSTILE.replace("\u202e", ""))
        self.made(login, label=HOSTILE)
        told = {"client": f"unknown[{HOSTILE}]", "sasl_username": login, "from_": HOSTILE}
        self.stage.log.emit("message.refused", "smtpd", note=f"553 5.7.1 {HOSTILE}", **told)
        from m365gw.admin.web.pages.clients import path_of

        for path in ("/clients", path_of(login), path_of(login, "/change"), "/audit", "/log"):
            body = self.shown(path)
            self.assertNotIn("<script>alert", body)
            self.assertIn("&lt;script&gt;", body)
        for name in ("from", "to", "header_from", "login", "ip", "listener"):
            answer = self.signed.get(f"/rules?from=a@b.c&{name}=%3Cscript%3Ealert(1)%3C/script%3E")
            self.assertNotIn("<script>alert", answer.body)
        answer = self.signed.send("/clients/add", login=HOSTILE, senders=HOSTILE, mailbox=HOSTILE)
        self.assertIn(ESCAPED, html.unescape(answer.body).replace("<", "&lt;").replace(">", "&gt;"))
        self.assertNotIn("<script>alert", answer.body)


class NetworkTests(EntriesTestCase):
    def test_made_changed_removed(self) -> None:
        """Where it is trusted is said, and where it is not."""
        form = {"senders": "*@contoso.com", "mailbox": RELAY}
        self.signed.send("/networks/add", cidr="10.1.2.0/24", **form)
        self.assertIn("10.1.2.0/24 may send at submission, from", self.shown("/networks"))
        self.signed.send("/networks/add", cidr="192.0.2.0/24", **form)
        body = self.shown("/networks")
        self.assertIn("no listener trusts it: it may not send", body)
        self.assertIn("nowhere", body)
        form["senders"] = "erp@contoso.com"
        self.signed.send("/networks/change", cidr="10.1.2.0/24", **form)
        self.assertIn("erp@contoso.com", self.shown("/networks/change?cidr=10.1.2.0%2F24"))
        self.signed.send("/networks/remove", cidr="10.1.2.0/24")
        left = [one.cidr for one in self.stage.registry.settings.network]
        self.assertEqual(left, ["192.0.2.0/24"])

    def test_trusted_where_it_is_ticked(self) -> None:
        """By listeners made here; what those of the file or a wider network say stays."""
        registry = self.stage.registry.registry
        registry.add_listener({"name": "fax", "endpoint": "tcp:2525"}, "test")
        cidr, form = "192.0.2.0/24", {"senders": "*@contoso.com", "mailbox": RELAY}
        self.signed.send("/networks/add", cidr=cidr, listener=["fax", "submission"], **form)
        self.assertIn("192.0.2.0/24 may send at fax, from", self.shown("/networks"))
        self.assertEqual(self.trusted(), {"submission": ("10.1.0.0/16",), "fax": (cidr,)})
        change = self.shown("/networks/change?cidr=192.0.2.0%2F24")
        self.assertIn('value="fax" checked>', change)
        self.assertIn('value="submission" disabled>', change)
        self.signed.send("/networks/change", cidr=cidr, **form)
        self.assertEqual(self.trusted()["fax"], ())
        listener = {"endpoint": "tcp:2525", "tls": "starttls", "auth": "require"}
        self.signed.send("/listeners/fax/change", network=cidr, networks="", **listener)
        self.assertEqual(self.trusted()["fax"], (cidr,))
        self.assertIn('value="192.0.2.0/24" checked', self.shown("/listeners/fax/change"))
        self.signed.send("/networks/remove", cidr=cidr)
        self.assertEqual(self.trusted(), {"submission": ("10.1.0.0/16",), "fax": ()})
        self.assertIn("192.0.2.0/24 may send no more without a login.", self.shown("/networks"))

    def test_removed_within_a_wider_one(self) -> None:
        """Its machines stand under the rule of the wider one then, which is said."""
        form = {"senders": "*@contoso.com", "mailbox": RELAY}
        for cidr in ("10.1.0.0/16", "10.1.2.0/24"):
            self.signed.send("/networks/add", cidr=cidr, **form)
        self.signed.send("/networks/remove", cidr="10.1.2.0/24")
        said = "10.1.2.0/24 is removed. Its machines may send still, as 10.1.0.0/16 does."
        self.assertIn(said, self.shown("/networks"))

    def trusted(self) -> dict[str, tuple[str, ...]]:
        return {one.name: one.networks for one in self.stage.registry.settings.listener}

    def test_a_device_that_was_refused_is_let_in(self) -> None:
        """By a click where its network has a rule, else by a form that is filled in."""
        form = {"senders": "*@contoso.com", "mailbox": RELAY}
        self.signed.send("/networks/add", cidr="10.1.2.0/24", **form)
        self._refused("10.1.2.9", "553 5.7.1 network 10.1.2.0/24 may not send as <a@x.example>.")
        note = (
            '530 5.7.0 Authentication required: 10.9.9.9 is in no trusted network of listener "fax"'
        )
        self._refused("10.9.9.9", note)
        self._refused("10.8.8.8", "554 5.6.0 no good message")
        body = self.shown("/networks?part=refused")
        self.assertIn("cidr=10.9.9.9&amp;sender=a%40x.example&amp;listener=fax", body)
        self.assertNotIn("10.8.8.8", body)
        self.assertIn("a@x.example</textarea>", self.shown("/networks/add?sender=a%40x.example"))
        self.signed.send("/networks/allow", cidr="10.1.2.0/24", sender="a@x.example")
        senders = self.stage.registry.settings.network[0].senders
        self.assertEqual(senders, ("*@contoso.com", "a@x.example"))
        self.assertNotIn("10.1.2.9", self.shown("/networks?part=refused"))

    def test_a_refused_sender_is_no_pattern(self) -> None:
        """Who calls himself by a star is not offered: the click would allow a whole domain."""
        note = "553 5.7.1 network 10.1.2.0/24 may not send as <*@contoso.com>."
        self._refused("10.1.2.9", note)
        form = {"senders": "scan@contoso.com", "mailbox": RELAY}
        self.signed.send("/networks/add", cidr="10.1.2.0/24", **form)
        self.assertIn("10.1.2.9", self.shown("/networks?part=refused"))
        self._refused("10.1.2.8", note, sender="*@contoso.com")
        self.assertNotIn("10.1.2.8", self.shown("/networks?part=refused"))

    def _refused(self, address: str, note: str, sender: str = "a@x.example") -> None:
        told = {"client": f"unknown[{address}]", "from_": sender}
        self.stage.log.emit("message.refused", "smtpd", level="warn", note=note, **told)

    def test_what_makes_no_sense_is_said(self) -> None:
        """At its field, with what was meant."""
        form = {"senders": "*@contoso.com", "mailbox": RELAY}
        answer = self.signed.send("/networks/add", cidr="10.1.2.3/24", **form)
        self.assertEqual(answer.status, 422)
        self.assertIn("Did you mean 10.1.2.0/24?", answer.body)
        self.assertEqual(self.signed.send("/networks/remove", cidr="10.9.0.0/16").status, 404)

    def test_what_stands_in_the_file_is_locked(self) -> None:
        """It is shown, and nothing here changes it."""
        kept = Network(cidr="10.1.0.0/16", senders=("*",), mailbox=RELAY)
        self.stage.registry.configured = evolve(self.stage.registry.configured, network=(kept,))
        self.assertIn("in the file", self.shown("/networks"))
        for path in ("change", "remove"):
            self.assertEqual(self.signed.send(f"/networks/{path}", cidr="10.1.0.0/16").status, 409)


class RuleTests(EntriesTestCase):
    def test_accepted_with_its_rule_and_mailbox(self) -> None:
        """And the way to change the rule."""
        self.made()
        body = self.shown("/rules?from=scan@contoso.com&to=you@example.com&login=printer3")
        for words in ("accepted", "login &#34;printer3&#34;", RELAY, "/clients/printer3/change"):
            self.assertIn(words, body)

    def test_refused_with_the_reply_a_client_would_get(self) -> None:
        """Word for word, with what to change."""
        self.made()
        body = self.shown("/rules?from=boss@contoso.com&to=you@example.com&login=printer3")
        self.assertIn("553 5.7.1", body)
        self.assertIn("Authentication required", self.shown("/rules?from=a@b.c&to=d@e.f"))
        body = self.shown("/rules?from=a@b.c&to=d@e.f&ip=10.9.9.9")
        self.assertIn(
            "/networks/add?cidr=10.9.9.9&amp;sender=a%40b.c&amp;listener=submission", body
        )

    def test_what_makes_no_sense_is_said(self) -> None:
        """In words, on the page."""
        self.assertIn("is not an address", self.shown("/rules?from=a@b.c&ip=printer"))
        self.assertIn("there is no listener".capitalize(), self.shown("/rules?from=a&listener=x"))


class RoleTests(EntriesTestCase):
    PATHS = (
        *("/clients/add", "/clients/printer3/change", "/clients/printer3/remove"),
        *("/clients/printer3/passwords/add", "/clients/printer3/passwords/remove"),
        *("/clients/printer3/allow", "/networks/add", "/networks/change", "/networks/remove"),
        *("/networks/allow", "/listeners/add"),
        *("/operators/add", "/operators/anna/remove", "/operators/anna/role"),
        *("/operators/anna/password", "/tokens/add", "/tokens/x/remove", "/backup"),
    )

    def test_a_viewer_looks_and_changes_nothing(self) -> None:
        """He sees no form, and none that he made up is taken."""
        self.made()
        before = self.stage.registry.settings
        self.stage.operators.add("vera", HASH, "viewer", "test")
        viewer = self.signed_in("vera")
        for path in ("/clients", "/clients/printer3", "/networks", "/rules", "/audit"):
            answer = viewer.get(path)
            self.assertEqual(answer.status, 200)
            for word in ("Revoke", "Add a", "Remove</button>", "Change</a>", "Make it"):
                self.assertNotIn(f">{word}", answer.body)
        for path in self.PATHS:
            self.assertEqual(viewer.send(path, senders="*", mailbox=RELAY).status, 403, path)
        for path in ("/clients/add", "/networks/add", "/once/x", "/backup", "/operators"):
            self.assertEqual(viewer.get(path).status, 403, path)
        self.assertEqual(self.stage.registry.settings, before)

    def test_without_session_or_token_nothing_happens(self) -> None:
        """Nor with the token of another session."""
        other = self.signed_in().get("/").token()
        for path in self.PATHS:
            self.assertEqual(self.browser.send(path).headers["location"], "/login")
            self.assertEqual(self.signed.post(path, {"token": other}).status, 403)
