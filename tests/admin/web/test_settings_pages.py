"""Settings, listeners and certificates in the console."""

from __future__ import annotations

from datetime import UTC, datetime

from m365gw.admin.refusal import Refusal
from m365gw.config.settable import Configured
from m365gw.config.settings import Listener
from m365gw.edge.listening.self_signed import self_signed
from m365gw.edge.listening.tls_terms import load
from tests.admin.web.browser import HASH, Browser, ConsoleTestCase

HOSTILE = '"><script>alert(1)</script>'
PAGES = ("/settings", "/listeners", "/tls")
CHANGES = ("/settings/set", "/settings/unset", "/settings/reload", "/listeners/add", "/tls")


class SettingsPagesTestCase(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.anna = self.signed_in()


class RoleTests(SettingsPagesTestCase):
    def test_who_may(self) -> None:
        """A viewer looks, and finds no form; visitors and other sites get nothing."""
        self.stage.operators.add("vera", HASH, "viewer", "test")
        vera = self.signed_in("vera")
        for path in PAGES:
            shown = vera.get(path)
            self.assertEqual(shown.status, 200)
            self.assertNotIn('method="post" action="/settings', shown.body)
            self.assertIn("/login", Browser(self.stage).get(path).headers["location"])
        for path in CHANGES:
            self.assertEqual(vera.send(path, key="hostname", value="x").status, 403)
            self.assertEqual(self.anna.post(path, {"key": "hostname", "value": "x"}).status, 403)
        self.assertEqual(self.stage.registry.settings.hostname, "")


class SettingsTests(SettingsPagesTestCase):
    def test_set_and_taken_back(self) -> None:
        """With who did it; then the default again."""
        self.anna.send("/settings/set?tab=queue", key="queue.delay_warning_time", value="4h")
        self.assertEqual(self.stage.registry.settings.queue.delay_warning_time, 14400.0)
        shown = self.anna.get("/settings").body
        self.assertIn("set here", shown)
        self.assertIn("console: anna", shown)
        self.anna.send("/settings/unset", key="queue.delay_warning_time")
        self.assertEqual(self.stage.registry.settings.queue.delay_warning_time, 0.0)

    def test_as_it_is_typed(self) -> None:
        """Durations and sizes are shown in units, as they may be typed again."""
        self.assertIn("<strong>5d</strong>", self.anna.get("/settings?tab=queue").body)
        self.assertIn("<strong>35M</strong>", self.anna.get("/settings?tab=limits").body)

    def test_faults(self) -> None:
        """Are shown at the value, which is not taken."""
        for key, value in (("queue.delivery", HOSTILE), ("hostname", "a b"), ("web.tls", "true")):
            answer = self.anna.send("/settings/set", key=key, value=value)
            self.assertEqual(answer.status, 422, key)
            self.assertNotIn("<script>alert", answer.body)

    def test_what_the_file_says(self) -> None:
        """Has its place, and no form."""
        self.stage.registry.configured = Configured(places={"log.level": "m365gw.toml:9"})
        shown = self.anna.get("/settings?q=log.level").body
        self.assertIn("m365gw.toml:9", shown)
        self.assertNotIn('action="/settings/set', shown)
        answer = self.anna.send("/settings/set", key="log.level", value="debug")
        self.assertEqual(answer.status, 422)

    def test_every_tab(self) -> None:
        """All can be opened, also one that is none."""
        for tab in ("said", "hostname", "queue", "limits", "alerts", "start", "<b>"):
            self.assertEqual(self.anna.get(f"/settings?tab={tab}").status, 200)

    def test_reload(self) -> None:
        """What has changed is said; what is wrong with the file too, with its place."""
        self.assertEqual(self.anna.send("/settings/reload").status, 303)
        self.assertIn("client door added", self.anna.get("/settings").body)
        problem = {"place": "m365gw.toml:7", "fault": "is no <b>port</b>", "remedy": "Mend it."}
        self.stage.reloaded = Refusal(422, "It was not taken.", problems=[problem])
        answer = self.anna.send("/settings/reload")
        self.assertEqual((answer.status, "m365gw.toml:7" in answer.body), (422, True))
        self.assertNotIn("<b>port", answer.body)


class ListenerTests(SettingsPagesTestCase):
    form = {"name": "fax", "endpoint": "tcp:2525", "tls": "none", "auth": "offer"}

    def test_added_changed_removed(self) -> None:
        """Each with its line in the audit."""
        form = {**self.form, "networks": "10.1.0.0/16, 10.2.0.0/16"}
        self.assertEqual(self.anna.send("/listeners/add", **form).status, 303)
        [fax] = self.stage.registry.settings.listener
        self.assertEqual(fax.networks, ("10.1.0.0/16", "10.2.0.0/16"))
        self.assertEqual(self.anna.get("/listeners/fax/change").status, 200)
        self.anna.send("/listeners/fax/change", **{**self.form, "endpoint": "tcp:2626"})
        self.assertEqual(self.stage.registry.settings.listener[0].endpoint, "tcp:2626")
        self.assertEqual(self.anna.send("/listeners/fax/remove").status, 303)
        self.assertEqual(self.stage.registry.settings.listener, ())

    def test_faults(self) -> None:
        """At their fields."""
        form = {**self.form, "name": HOSTILE, "endpoint": "x", "networks": "10.1", "tls": "ssl"}
        answer = self.anna.send("/listeners/add", **form)
        self.assertEqual(answer.status, 422)
        self.assertNotIn("<script>alert", answer.body)
        self.assertEqual(self.stage.registry.settings.listener, ())

    def test_what_stands_in_the_file(self) -> None:
        """Is shown, and not changed here."""
        own = Listener(name="in", endpoint="tcp:25")
        self.stage.registry.configured = Configured(listener=(own,), places={"listener[0]": "f:3"})
        self.assertIn("f:3", self.anna.get("/listeners").body)
        self.assertEqual(self.anna.get("/listeners/in/change").status, 409)
        self.assertEqual(self.anna.send("/listeners/in/remove").status, 409)
        self.assertEqual(self.anna.get("/listeners/none/change").status, 404)


class TlsTests(SettingsPagesTestCase):
    def test_a_self_signed_certificate(self) -> None:
        """It is said what that means, for whom it is, and until when."""
        pair = self_signed(self.mktemp(), "gw.example.com", datetime.now(UTC))
        self.stage.certificates.append(load(pair))
        shown = self.anna.get("/tls").body
        for words in ("It is self-signed.", "gw.example.com", "ECDSA", "SHA-256"):
            self.assertIn(words, shown)
        self.assertIn("It is not for", shown)
        self.assertNotIn("PRIVATE KEY", shown)

    def test_files(self) -> None:
        """Such that cannot be used are refused at their field; none is the self-signed one."""
        said = {"tls.certificate": "/no/such.crt", "tls.key": "/no/such.key"}
        answer = self.anna.send("/tls", **said)
        self.assertEqual((answer.status, "No such file" in answer.body), (422, True))
        self.assertEqual(
            self.anna.send("/tls", **{"tls.certificate": "", "tls.key": ""}).status, 303
        )
