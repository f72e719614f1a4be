"""What monitoring sees of a running gateway: real scrapes, checked by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import smtplib
import urllib.error
import urllib.request
from typing import Any

from m365gw.metric_table import METRICS
from tests.promtool import promtool
from tests.whole.stage import PATIENCE, RELAY, SENDER, Gateway, WholeTestCase, await_

WEB = '[web]\nendpoint = "tcp:0:interface=127.0.0.1"\n'


def fetched(gateway: Gateway, path: str, token: str = "", body: Any = None) -> tuple[int, str]:
    """Status and body of one request."""
    address = gateway.wait_for("web.ready")["address"]
    request = urllib.request.Request(
        f"http://{address}{path}", data=None if body is None else json.dumps(body).encode()
    )
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def token_of(gateway: Gateway, role: str) -> str:
    """A new token, made by the command."""
    said = gateway.command("token", "add", role, "--role", role).stdout
    return said.split("once: ")[1].split()[0]


class MonitoringTests(WholeTestCase):
    def test_a_gateway_is_watched_and_asked(self) -> None:
        """Mail is counted, every metric is there, tokens ask and change, a drain is unready."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft, WEB)
        with smtplib.SMTP("127.0.0.1", gateway.ports["trusted"]) as client:
            client.sendmail(SENDER, RELAY, f"From: {SENDER}\r\nSubject: x\r\n\r\nHi\r\n")
        delivered = f'm365gw_deliveries_total{{account="{RELAY}",result="delivered"}} 1.0'
        await_(lambda: delivered in fetched(gateway, "/metrics")[1], "it was not counted")
        self._scraped(gateway)
        self._asked(gateway)
        self.assertEqual(fetched(gateway, "/livez"), (200, "It lives.\n"))
        self.assertEqual(fetched(gateway, "/readyz"), (200, "It takes mail.\n"))
        microsoft.fault(action="stall", phase="dot")
        with smtplib.SMTP("127.0.0.1", gateway.ports["trusted"]) as client:
            client.sendmail(SENDER, RELAY, f"From: {SENDER}\r\nSubject: x\r\n\r\nHi\r\n")
        gateway.api.post("/drain", {"seconds": 3600})
        status, words = fetched(gateway, "/readyz")
        self.assertEqual((status, "It drains" in words), (503, True))
        gateway.kill()  # it would wait for what stalls, as long as it may

    def _scraped(self, gateway: Gateway) -> None:
        text = fetched(gateway, "/metrics")[1]
        self.assertEqual(promtool("check", "metrics", text=text), (0, ""))
        families = {name for name in re.findall(r"# TYPE (\S+)", text) if "process_" not in name}
        self.assertEqual(families, set(METRICS))
        self.assertIn('m365gw_messages_received_total{listener="trusted"} 1.0', text)
        self.assertIn("m365gw_ready 1.0", text)
        self.assertNotIn(SENDER, text)

    def _asked(self, gateway: Gateway) -> None:
        reads, changes = (
            gateway.command("token", "add", role, "--role", role)
            .stdout.split("once: ")[1]
            .split()[0]
            for role in ("viewer", "operator")
        )
        self.assertEqual(fetched(gateway, "/api/v1/status")[0], 401)
        self.assertEqual(fetched(gateway, "/api/v1/status", reads)[0], 200)
        pause = {"address": RELAY, "reason": "a test"}
        self.assertEqual(fetched(gateway, "/api/v1/mailboxes/pause", reads, pause)[0], 403)
        self.assertEqual(fetched(gateway, "/api/v1/mailboxes/pause", changes, pause)[0], 200)
        self.assertIn(f'account_up{{account="{RELAY}"}} 0.0', fetched(gateway, "/metrics")[1])
        resume = {"address": RELAY}
        self.assertEqual(fetched(gateway, "/api/v1/mailboxes/resume", changes, resume)[0], 200)
        self.assertNotIn(reads, "".join(gateway.lines))
        self.assertNotIn(changes, "".join(gateway.lines))
