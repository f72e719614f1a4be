"""Who may not relay does not: swaks from addresses nobody trusts, plain and through PROXY.

All of 127.0.0.0/8 is this machine, so each client may have an address of its own.
"""

from __future__ import annotations

import json
import subprocess

from tests.whole.stage import BIN, LOGIN, PATIENCE, RELAY, SENDER, WholeTestCase

DEVICE, STRANGER, BALANCER = "127.0.0.9", "127.0.0.8", "127.0.0.7"
RECIPIENT = "you@elsewhere.example"
GUARDED = f"""
[[listener]]
name = "guarded"
endpoint = "tcp:0:interface=127.0.0.1"
auth = "offer"
networks = ["{DEVICE}"]
proxy_from = ["{BALANCER}"]

[[network]]
cidr = "{DEVICE}"
senders = ["{SENDER}"]
mailbox = "{RELAY}"
default_from = "{SENDER}"
foreign_from = "rewrite"
deny_recipients = ["*@forbidden.example"]
"""


class OpenRelayTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate = self.gateway(self.microsoft365, GUARDED)

    def swaks(self, host: str, *more: str, sender: str = SENDER, to: str = RECIPIENT) -> str:
        """What was said between swaks, at an address of ours, and the gateway."""
        done = subprocess.run(
            ["swaks", "--server", f"127.0.0.1:{self.gate.ports['guarded']}",
             "--local-interface", host, "--from", sender, "--to", to, "--body", "x", *more],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    def proxied(self, balancer: str, client: str, version: str = "1") -> str:
        """The same with a PROXY header."""
        return self.swaks(
            balancer, "--proxy-version", version,
            "--proxy-family", "TCP4" if version == "1" else "AF_INET", "--proxy-source", client,
            "--proxy-source-port", "4025", "--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25",
        )  # fmt: skip

    def test_strangers_relay_nothing(self) -> None:
        """Plain, with forged names and fields, with logins that fail, with a PROXY header of
        their own, and through a balancer that is trusted."""
        needs_login = "530 5.7.0 Authentication required: 127.0.0.8 is in no trusted network"
        wrong = ("--auth", "PLAIN", "--auth-user", LOGIN, "--auth-password", "wrong", "--tls")
        for said in (
            self.swaks(STRANGER),
            self.swaks(STRANGER, "--ehlo", "[127.0.0.9]", "--h-X-Forwarded-For", DEVICE),
            self.swaks(STRANGER, "--tls"),
            self.swaks(STRANGER, *wrong, "--auth-optional"),
            self.swaks(STRANGER, to="you%elsewhere.example@contoso.example"),
            self.swaks(STRANGER, sender="<>"),
            self.proxied(BALANCER, STRANGER),
            self.proxied(BALANCER, STRANGER, "2"),
        ):
            self.assertIn(needs_login, said.replace("<** ", "").replace("<~* ", ""))
        self.assertNotIn("354 ", self.proxied(STRANGER, DEVICE))
        self.assertNotIn("354 ", self.proxied(STRANGER, DEVICE, "2"))
        for version in ("1", "2"):
            self.assertIn("250 2.0.0 Ok: queued", self.proxied(BALANCER, DEVICE, version))
        self.assertEqual(len(self.microsoft365.wait_for(2)), 2)
        self.assertEqual(len(self.gate.of("message.queued")), 2)

    def test_a_device_sends_as_itself_alone_and_explain_says_so(self) -> None:
        """Sender and recipient refused in the words of `m365gw explain`; From rewritten."""
        for to, sender in ((RECIPIENT, "boss@contoso.example"), ("you@forbidden.example", SENDER)):
            done = subprocess.run(
                [BIN / "m365gw", "-c", self.gate.config, "explain", "--listener", "guarded",
                 "--ip", DEVICE, "--from", sender, "--to", to, "--json"],
                capture_output=True, text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
            self.assertEqual(done.returncode, 1, done.stderr)
            (refusal,) = json.loads(done.stdout)["listeners"][0]["refusals"]
            said = self.swaks(DEVICE, to=to, sender=sender)
            self.assertIn(f"<** {refusal['reply']}\n", said)
            self.gate.wait_for("message.refused", note=refusal["reply"])
        said = self.swaks(DEVICE, "--h-From", "The Boss <boss@contoso.example>")
        self.assertIn("250 2.0.0 Ok: queued", said)
        (message,) = self.microsoft365.wait_for(1)
        content = self.microsoft365.content(message["number"])
        self.assertIn(f"\r\nFrom: The Boss <{SENDER}>\r\n".encode(), content)
        self.assertIn(b"\r\nReply-To: <boss@contoso.example>\r\n", content)
