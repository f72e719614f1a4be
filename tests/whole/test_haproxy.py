"""A real HAProxy in front of the gateway, with the configuration we ship."""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from m365gw.edge.listening.self_signed import self_signed
from tests.edge.handshake import write_pair
from tests.whole.stage import (
    LOGIN,
    PASSWORD,
    PATIENCE,
    RELAY,
    SENDER,
    Gateway,
    WholeTestCase,
    await_,
)

SHIPPED = Path(__file__).parents[2] / "etc" / "haproxy.cfg"
BALANCER, DEVICE, OTHER = "127.0.0.1", "127.0.0.9", "127.0.0.8"
RECIPIENT = "you@elsewhere.example"
FRONTENDS = ("SMTP", "SUBMISSION", "SMTPS", "SMTPS_ENDED")
BACKENDS = ("smtp", "submission", "smtps", "behind_tls")
LISTENERS = f"""
[limits]
tls_wait = "1s"

[[listener]]
name = "behind-smtp"
endpoint = "tcp:0:interface=127.0.0.1"
auth = "off"
networks = ["{DEVICE}"]
proxy_from = ["{BALANCER}"]

[[listener]]
name = "behind-submission"
endpoint = "tcp:0:interface=127.0.0.1"
tls = "auto"
proxy_from = ["{BALANCER}"]

[[listener]]
name = "behind-smtps"
endpoint = "tcp:0:interface=127.0.0.1"
tls = "implicit"
proxy_from = ["{BALANCER}"]

[[listener]]
name = "behind-behind_tls"
endpoint = "tcp:0:interface=127.0.0.1"
tls = "none"
proxy_from = ["{BALANCER}"]

[[network]]
cidr = "{DEVICE}"
senders = ["*"]
mailbox = "{RELAY}"
"""


class HaproxyTests(WholeTestCase):
    """Who the client is, with each version of the header, and with TLS ended here and there."""

    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate: Gateway = self.gateway(self.microsoft365, LISTENERS)
        pair = self_signed(str(self.folder), "localhost", datetime.now(UTC))
        self.certificate = pair.certificate
        pem = self.folder / "relay.pem"
        pem.write_bytes(pair.read().certificate + pair.read().key)

    def haproxy(self, *changes: tuple[str, str]) -> None:
        """HAProxy with the shipped file, changed here and there, on sockets of the test's own."""
        text = SHIPPED.read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        config = self.folder / "haproxy.cfg"
        config.write_text(text)
        self.stats = f"{self.gate.control.parent}/haproxy"  # a name short enough for a socket
        places = {"M365GW_HAPROXY_SOCKET": self.stats, "M365GW_PEM": f"{self.folder}/relay.pem"}
        self.ports: dict[str, int] = {}
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in FRONTENDS]
        for frontend, listening in zip(FRONTENDS, sockets, strict=True):
            places[f"M365GW_{frontend}"] = f"fd@{listening.fileno()}"
            self.ports[frontend] = listening.getsockname()[1]
        for backend in BACKENDS:
            port = self.gate.ports[f"behind-{backend}"]
            places[f"M365GW_TO_{backend.upper()}"] = f"127.0.0.1:{port}"
        log = (self.folder / "haproxy.log").open("w")
        self.addCleanup(log.close)
        command = ["haproxy", "-db", "-f", str(config)]
        environment = {**os.environ, **places}
        files = [each.fileno() for each in sockets]
        checked = subprocess.run([*command, "-c"], env=environment, pass_fds=files, check=False,
                                 capture_output=True, text=True)  # fmt: skip
        self.assertEqual(checked.returncode, 0, checked.stderr)
        process = subprocess.Popen(command, env=environment, pass_fds=files, stdout=log, stderr=log)
        for listening in sockets:
            listening.close()
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.terminate)
        await_(self.is_up, "HAProxy did not find the gateway: " + str(self.folder))

    def ask(self, order: str) -> str:
        """An order to HAProxy's own control socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.stats)
            control.sendall(f"{order}\n".encode())
            return b"".join(iter(lambda: control.recv(65536), b"")).decode()

    def is_up(self) -> bool:
        """Whether the checks of all servers have succeeded."""
        if not os.path.exists(self.stats):
            return False
        rows = [line.split(",") for line in self.ask("show stat").splitlines() if ",gw1," in line]
        # Status, and the outcome of the last check: L4OK, L7OK.
        return all(row[17] == "UP" and row[36].endswith("OK") for row in rows)

    def swaks(self, frontend: str, *more: str, client: str = DEVICE) -> None:
        self.run_client(
            "swaks", "--server", f"127.0.0.1:{self.ports[frontend]}", "--local-interface", client,
            "--from", SENDER, "--to", RECIPIENT, "--body", "Hello", *more,
        )  # fmt: skip

    def queued(self, **fields: str) -> dict[str, object]:
        """The one line of a message that came through HAProxy."""
        event = self.gate.wait_for("message.queued", **fields)
        self.assertEqual(event["via"], BALANCER)
        return event

    def test_devices_are_known_by_their_own_address(self) -> None:
        """Versions 1 and 2: the device's network relays, another's does not, nor the balancer's."""
        login = ("--auth", "LOGIN", "--auth-user", LOGIN, "--auth-password", PASSWORD)
        self.haproxy(
            ("10025}\" check inter 5s send-proxy-v2 proxy-v2-options unique-id,crc32c",
             "10025}\" check inter 5s send-proxy"),
        )  # fmt: skip
        self.swaks("SMTP")
        self.queued(client=f"unknown[{DEVICE}]")
        self.assertRaises(AssertionError, self.swaks, "SMTP", client=OTHER)
        self.gate.wait_for("message.refused", client=f"unknown[{OTHER}]", via=BALANCER)
        self.swaks("SUBMISSION", "--tls", *login, client=OTHER)
        event = self.queued(client=f"unknown[{OTHER}]", proto="ESMTPSA")
        self.assertRegex(str(event["unique_id"]), "^[0-9a-f-]{36}$")
        [first, *_] = self.microsoft365.wait_for(2)
        self.assertIn(f"([{DEVICE}])".encode(), self.microsoft365.content(first["number"]))

    def test_tls_ended_at_haproxy_and_passed_through(self) -> None:
        """Both are TLS to the gateway, so both may log in; a certificate's name is shown."""
        mine = write_pair(str(self.folder), "fax3.example.com", now=datetime.now(UTC))
        self.haproxy((" ssl crt", f" ssl verify optional ca-file {mine.certificate} crt"))
        for frontend in ("SMTPS", "SUBMISSION"):  # the latter knows it by the first octet
            self.run_client(
                "curl", "--silent", "--show-error", "--insecure", "--interface", DEVICE,
                "--url", f"smtps://127.0.0.1:{self.ports[frontend]}",
                "--user", f"{LOGIN}:{PASSWORD}", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT,
                "--upload-file", "-", stdin=b"Subject: x\r\n\r\nHello\r\n",
            )  # fmt: skip
        context = ssl.create_default_context(cafile=self.certificate)
        context.load_cert_chain(mine.certificate, mine.key)
        here = ("localhost", self.ports["SMTPS_ENDED"])
        with smtplib.SMTP_SSL(*here, context=context, source_address=(OTHER, 0)) as client:
            self.assertNotIn("starttls", client.ehlo()[1].decode().lower())
            client.login(LOGIN, PASSWORD)
            client.sendmail(SENDER, [RECIPIENT], "Subject: y\r\n\r\nHello\r\n")
        here = {"client": f"unknown[{DEVICE}]"}
        await_(lambda: len(self.gate.of("message.queued", **here)) == 2, "not both are queued")
        event = self.queued(
            client=f"unknown[{OTHER}]", proto="ESMTPSA", client_cn="fax3.example.com"
        )
        self.assertEqual(event["sni"], "localhost")
        self.assertTrue(str(event["via_tls"]).startswith("TLSv1.3 TLS_AES_"))

    def test_health_checks_leave_nothing_in_the_log(self) -> None:
        """EHLO and QUIT, or a connection and no more, twenty times each."""
        self.haproxy(("inter 5s", "inter 20ms rise 20"))
        before = len(self.gate.events)
        for backend in ("smtp", "smtps", "behind_tls"):  # "submission" would wait for TLS each time
            self.ask(f"set server gateway_{backend}/gw1 health down")
        await_(self.is_up, "HAProxy did not find the gateway again")
        told = [each for each in self.gate.events[before:] if each["level"] != "debug"]
        self.assertEqual(told, [])
