"""Ten mailboxes, three of them broken in different ways: the others do not notice, no limit is ever
exceeded as Microsoft counts it, and what is mended drains by itself.

Scaled to be quick: a minute of the rehearsal has five seconds.
"""

from __future__ import annotations

import smtplib
from collections import Counter

from m365gw.cli.control import Control
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET
from tests.whole.stage import PASSWORD, PASSWORD_HASH, Gateway, WholeTestCase, await_

BOXES = [f"box{number}@contoso.example" for number in range(10)]
REVOKED, SPENT, DENIED = BOXES[7:]
GOOD = BOXES[:7]
OTHER_APP = "00000000-0000-4000-8000-0000000000b7"  # of the mailbox whose consent is revoked
EACH = 30  # messages of each mailbox
PACE = 300.0  # messages a minute

# What Microsoft allows: at this pace 25 may come in five seconds, and a few that were late.
LIMITS = {"minute": 5.0, "messages_per_minute": 36, "rate_mode": "refuse", "tarpit_seconds": 0.0}

HEAD = """\
hostname = "gateway.contoso.example"
state_dir = "state"
spool_dir = "spool"

[[listener]]
name = "devices"
endpoint = "tcp:0:interface=127.0.0.1"
tls = "none"
quirks = ["plaintext-auth"]

[governor]
messages_per_minute = %s
burst = 1

[log]
format = "json"

"""
MAILBOX = """\
[[mailbox]]
address = "%s"
flow = "secret"
tenant = "contoso.example"
client_id = "%s"
client_secret = "%s"
cloud = "rehearsal"

"""
CLIENT = """\
[[client]]
login = "%s"
password_hash = "%s"
senders = ["*"]
mailbox = "%s"

"""
OPENED = "incident.opened"


class TenMailboxesTests(WholeTestCase):
    def test_seven_go_on_and_three_drain_when_mended(self) -> None:
        """Revoked consent, a quota, a sender that may not be used; then each is mended."""
        microsoft365 = self.microsoft()
        apps = {
            APP_ID: {"mailboxes": BOXES},
            OTHER_APP: {"secrets": [{"value": APP_SECRET}], "mailboxes": [REVOKED], "roles": []},
        }
        mailboxes = {box: {"send_as": ["*@devices.example"]} for box in BOXES}
        mailboxes[DENIED] = {"send_as": []}
        microsoft365.ask("switches", {"limits": LIMITS, "mailboxes": mailboxes, "apps": apps})
        microsoft365.fault(phase="dot", answer="quota", match=SPENT, times=0)
        configuration = HEAD % PACE + "".join(
            MAILBOX % (box, OTHER_APP if box is REVOKED else APP_ID, APP_SECRET)
            + CLIENT % (box, PASSWORD_HASH, box)
            for box in BOXES
        )
        gate = self.gateway(microsoft365, configuration=configuration)
        self.submit(gate)

        received = microsoft365.wait_for(len(GOOD) * EACH)
        for box in GOOD:
            self.assertEqual(len([one for one in received if one["mailbox"] == box]), EACH)
        gate.wait_for(OPENED, mailbox=REVOKED)
        gate.wait_for(OPENED, mailbox=SPENT)
        gate.wait_for(OPENED, sender=f"<erp@devices.example> on {DENIED}")
        self.assertEqual(len(gate.of(OPENED)), 3)

        microsoft365.ask("switches", {"apps": {OTHER_APP: {"roles": ["SMTP.SendAsApp"]}}})
        microsoft365.ask("switches", {"mailboxes": {DENIED: mailboxes[GOOD[0]]}})
        microsoft365.mend()
        self.wait_until_drained(gate)

        received = microsoft365.messages()
        self.assertEqual(Counter(one["mailbox"] for one in received), dict.fromkeys(BOXES, EACH))
        self.assertEqual(len({one["sha256"] for one in received}), 10 * EACH)
        self.assertEqual(gate.of("message.report"), [])
        self.assertEqual({event["event"] for event in gate.events} & {"service.stopping"}, set())
        for box, usage in microsoft365.ask("usage")["mailboxes"].items():
            over = usage["over_rate"], usage["over_quota"], usage["over_connections"]
            self.assertEqual(over, (0, 0, 0), box)
            self.assertLessEqual(usage["most_in_a_minute"], 36)
            self.assertLessEqual(usage["most_at_once"], 2)

    def submit(self, gate: Gateway) -> None:
        """Every device hands in its mail, in turns."""
        clients = {}
        for box in BOXES:
            clients[box] = smtplib.SMTP("127.0.0.1", gate.ports["devices"])
            clients[box].login(box, PASSWORD)
        for number in range(EACH):
            for box, client in clients.items():
                sender = "erp@devices.example"
                text = f"From: {sender}\r\nSubject: {number}\r\n\r\n{box} {number}\r\n"
                client.sendmail(sender, ["you@elsewhere.example"], text)
        for client in clients.values():
            client.quit()

    def wait_until_drained(self, gate: Gateway) -> None:
        """An operator who has mended something says so, until all is gone."""

        def is_empty() -> bool:
            Control(str(gate.control)).post("/queue/flush", {"mailbox": ""})
            return gate.is_drained()

        await_(is_empty, "what was mended does not drain")
