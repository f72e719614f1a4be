"""Mail leaves by an inbound connector of the tenant, which knows the gateway by its certificate."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from tests.whole.stage import (
    CONFIGURATION,
    LOGIN,
    PASSWORD,
    RELAY,
    SENDER,
    WholeTestCase,
    await_,
)

BY_CONNECTOR = re.sub(
    r'(?s)flow = "secret".*?client_secret = "[^"]*"\n',
    'exit = "connector"\nflow = "certificate"\ntenant = "contoso.example"\n'
    'certificate_file = "connector.pem"\n',
    CONFIGURATION,
    count=1,
)
YOU = "you@elsewhere.example"


class ConnectorTests(WholeTestCase):
    def put(self, certificate: str) -> None:
        """The gateway is to show this certificate of the rehearsal."""
        folder = self.folder / "gateway"
        folder.mkdir(exist_ok=True)
        shutil.copy(self.folder / "microsoft" / certificate, folder / "new")
        os.replace(folder / "new", folder / "connector.pem")

    def swaks(self) -> None:
        self.run_client(
            "swaks", "--server", f"127.0.0.1:{self.gate.ports['submission']}", "--tls",
            "--auth", "LOGIN", "--auth-user", LOGIN, "--auth-password", PASSWORD,
            "--from", SENDER, "--to", YOU, "--body", "Gr\u00fc\u00dfe\r\n.\r\nend",
        )  # fmt: skip

    def test_a_wrong_certificate_holds_mail_and_a_right_one_lets_it_go(self) -> None:
        """swaks hands in two messages. One incident, no report; once the file is put right both
        arrive, without a restart; and the doctor sees the same before and after."""
        microsoft365 = self.microsoft("--no-limits")
        self.put("rehearsal-elsewhere.pem")
        self.gate = self.gateway(microsoft365, configuration=BY_CONNECTOR)
        self.swaks()
        event = self.gate.wait_for("delivery")
        self.assertEqual(event["status"], "held")
        self.assertIn("550 5.7.64 TenantAttribution; Relay Access Denied", event["note"])
        self.swaks()
        incident = self.gate.wait_for("incident.opened")
        self.assertEqual((incident["mailbox"], incident["state"]), (RELAY, "needs_admin"))
        doctor = self.gate.command("doctor", RELAY)
        self.assertIn("connector-unknown", doctor.stdout + doctor.stderr)
        self.assertIn("mail.elsewhere.example", doctor.stdout)
        self.put("rehearsal-gateway.pem")
        await_(lambda: len(self.gate.of("delivery", status="sent")) == 2, "mail does not drain")
        self.gate.wait_for("incident.closed")
        await_(self.gate.is_drained, "the spool does not drain")
        self.assertEqual(len(self.gate.of("incident.opened")), 1)
        self.assertEqual(self.gate.of("message.report"), [])
        for message in microsoft365.wait_for(2):
            self.assertEqual((message["mailbox"], message["sender"]), ("by connector", SENDER))
            content = microsoft365.content(message["number"])
            self.assertIn("Gr\u00fc\u00dfe\r\n.\r\nend".encode(), content)
        shown = self.gate.command("mailbox", "show", RELAY).stdout
        self.assertIn("connector", shown)
        doctor = self.gate.command("doctor", RELAY)
        self.assertIn("the connector knows them", doctor.stdout)
        key = Path(self.folder / "gateway" / "connector.pem").read_text().split("\n")[1]
        self.assertNotIn(key, "".join(self.gate.lines))
