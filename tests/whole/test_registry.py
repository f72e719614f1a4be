"""Logins, networks and mailboxes made while the service runs hold at once; removed, no more."""

from __future__ import annotations

import json
import os
import subprocess

from m365gw.rehearsal.tenant import APP_SECRET
from tests.whole.stage import (
    BIN,
    CONFIGURATION,
    LOGIN,
    PATIENCE,
    RELAY,
    SENDER,
    WholeTestCase,
    await_,
)

TO = "you@elsewhere.example"
SHARED = "shared@contoso.example"
NO_NETWORK = (
    CONFIGURATION[: CONFIGURATION.index("[[network]]")]
    + (CONFIGURATION[CONFIGURATION.index("[governor]") :])
)


class RegistryTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate = self.gateway(self.microsoft365, configuration=NO_NETWORK)

    def ordered(self, *words: str) -> str:
        done = self.gate.command(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def swaks(self, listener: str, *words: str) -> int:
        """How swaks ends: 0 sent, 28 login refused, 23 sender refused."""
        port = str(self.gate.ports[listener])
        return subprocess.run(
            [
                "swaks",
                "--server",
                "127.0.0.1",
                "--port",
                port,
                "--from",
                SENDER,
                "--to",
                TO,
                *words,
            ],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        ).returncode

    def completed(self, words: str) -> list[str]:
        """What bash would offer behind these words."""
        line = f"m365gw --config {self.gate.config} {words}"
        environment = {
            **os.environ,
            "M365GW_CONTROL_SOCKET": str(self.gate.control),
            "_M365GW_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        }
        said = subprocess.run(
            [BIN / "m365gw"], capture_output=True, text=True, env=environment, check=True
        ).stdout
        return [one.partition(",")[2] for one in said.splitlines()]

    def test_logins(self) -> None:
        """Each password is good until it is taken away; a login that was removed has none."""
        made = ("client", "add", "erp", "--sender", SENDER, "--mailbox", RELAY, "--json")
        first = json.loads(self.ordered(*made))["password"]
        login = ("--tls", "--auth", "PLAIN", "--auth-user", "erp", "--auth-password")
        self.assertEqual(self.swaks("submission", *login, first), 0)
        second = json.loads(self.ordered("client", "passwd", "erp", "--label", "b", "--json"))
        row = json.loads(self.ordered("client", "show", "erp", "--json"))
        self.ordered("client", "passwd", "erp", "--remove", row["passwords"][0]["id"], "--yes")
        self.assertEqual(self.swaks("submission", *login, first), 28)
        self.assertEqual(self.swaks("submission", *login, second["password"]), 0)
        self.ordered("client", "remove", "erp", "--yes")
        self.assertEqual(self.swaks("submission", *login, second["password"]), 28)
        self.assertEqual(self.gate.command("client", "remove", LOGIN, "--yes").returncode, 1)
        # A shell does not wait long for what it offers, and a busy machine may make it.
        await_(lambda: self.completed("client show pri") == [LOGIN], "no login is offered")
        await_(lambda: self.completed("mailbox show rel") == [RELAY], "no mailbox is offered")
        said = self.gate.api.post("/audit/list", {"limit": 2})["changes"]
        self.assertEqual(
            [each["action"] for each in said], ["client.removed", "client.password-removed"]
        )
        said = "".join(self.gate.lines)
        self.assertNotIn(first, said)
        self.microsoft365.wait_for(2)

    def test_networks_and_mailboxes(self) -> None:
        """A mailbox made now carries the mail of a network made now; explain knows both."""
        secret = self.folder / "secret"
        secret.write_text(APP_SECRET)
        self.assertEqual(self.swaks("trusted", "--from", SHARED), 23)
        add = (
            "mailbox",
            "add",
            "shared@contoso.example",
            "--flow",
            "secret",
            "--cloud",
            "rehearsal",
        )
        app = ("--tenant", "contoso.example", "--client-id", "00000000-0000-4000-8000-0000000000a1")
        self.ordered(*add, *app, "--secret-file", str(secret))
        rule = ("--sender", "*@contoso.example", "--mailbox", SHARED)
        self.ordered("network", "add", "127.0.0.0/24", *rule)
        self.assertEqual(self.swaks("trusted", "--from", SHARED), 0)
        (received,) = self.microsoft365.wait_for(1)
        self.assertEqual(received["mailbox"], SHARED)
        asked = ("explain", "--from", SHARED, "--to", TO, "--ip", "127.0.0.1")
        said = self.ordered(*asked, "--listener", "trusted")
        self.assertIn("The rule was made by a command or in the console.", said)
        rows = [json.loads(line) for line in self.ordered("mailbox", "list", "--json").splitlines()]
        states = [(row["address"], row["origin"], row["state"]) for row in rows]
        made = (SHARED, "directory", "ready")
        self.assertEqual(states, [(RELAY, "file", "ready"), made])
        self.gate.stop()
        self.gate.start()
        self.assertEqual(self.swaks("trusted", "--from", SHARED), 0)
        self.ordered("network", "remove", "127.0.0.0/24", "--yes")
        self.assertEqual(self.swaks("trusted", "--from", SHARED), 23)
