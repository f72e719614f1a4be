"""`m365gw doctor` as a person runs it: beside the service, without it, and in trouble."""

from __future__ import annotations

import json

from m365gw.rehearsal.tenant import APP_ID
from tests.whole.stage import RELAY, WholeTestCase


class DoctorTests(WholeTestCase):
    def test_a_day_with_the_doctor(self) -> None:
        """The service examines itself, or the command does; nothing secret is said."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft)
        well = gateway.command("doctor")
        self.assertEqual(well.returncode, 0, well.stdout + well.stderr)
        self.assertIn("The running service has examined itself.", well.stdout)
        self.assertIn("D09 ok", well.stdout)
        self.assertIn("D16 ok", well.stdout)

        microsoft.ask("switches", {"mailboxes": {RELAY: {"smtp_auth_disabled": True}}})
        ill = gateway.command("doctor", RELAY)
        self.assertEqual(ill.returncode, 1)
        line = f"Set-CASMailbox -Identity '{RELAY}' -SmtpClientAuthenticationDisabled $false"
        self.assertIn(line, ill.stdout)
        self.assertIn("skipped because D09 failed", ill.stdout)

        bundle = gateway.command("doctor", "--json", "--redact")
        report = json.loads(bundle.stdout)
        self.assertFalse(report["good"])
        for name in (RELAY, "contoso.example", APP_ID, "gateway.contoso"):
            self.assertNotIn(name, bundle.stdout)

        unknown = gateway.command("doctor", "nobody@contoso.example")
        self.assertEqual(unknown.returncode, 1)
        self.assertIn(f"There are: {RELAY}", unknown.stderr)

        gateway.stop()
        microsoft.ask("switches", {"mailboxes": {RELAY: {"smtp_auth_disabled": False}}})
        here = gateway.command("doctor", "--send")
        self.assertEqual(here.returncode, 0, here.stdout + here.stderr)
        self.assertIn("The service does not run", here.stdout)
        self.assertEqual(len(microsoft.messages()), 1)
        self.assert_no_secret("".join(each.stdout for each in (well, ill, bundle, here)))
