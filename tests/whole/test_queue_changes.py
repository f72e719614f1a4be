"""An operator acts on the queue while mail flows, and while no service runs."""

from __future__ import annotations

import json
import re
import smtplib
import threading
from collections import Counter
from typing import Any

from tests.whole.stage import BIN, RELAY, SENDER, Event, Gateway, WholeTestCase, await_

QUICK = '[queue]\nminimal_backoff_time = "1s"\nmaximal_backoff_time = "1s"\n'
MESSAGES = 200
_QUEUED = re.compile(rb"queued as (\w{13})")
_TRACE_ID = re.compile(rb"\bid (\w{13})\b")


class QueueCase(WholeTestCase):
    def queue(self, gateway: Gateway, *arguments: str) -> str:
        """What `m365gw queue` says, with the configuration and the socket of this gateway."""
        path = BIN / "m365gw"
        control = f"M365GW_CONTROL_SOCKET={gateway.control}"
        return self.run_client("env", control, path, "-c", gateway.config, "queue", *arguments)

    def results(self, gateway: Gateway, *arguments: str) -> list[Event]:
        said = self.queue(gateway, *arguments, "--json")
        return [json.loads(line) for line in said.splitlines()]

    def submit(self, gateway: Gateway, number: int, *recipients: str) -> str:
        """Hand in messages, one for each recipient; the queue id of the last one."""
        queue_id = ""
        with smtplib.SMTP("127.0.0.1", gateway.ports["trusted"]) as client:
            client.ehlo()
            for recipient in recipients:
                client.mail(SENDER)
                client.rcpt(recipient)
                body = f"From: {SENDER}\r\nSubject: {number}\r\n\r\nHello\r\n"
                code, text = client.data(body.encode())
                self.assertEqual(code, 250)
                match = _QUEUED.search(text)
                assert match is not None
                queue_id = match.group(1).decode()
                self.queued[queue_id] = recipient
        return queue_id

    def setUp(self) -> None:
        super().setUp()
        self.queued: dict[str, str] = {}  # queue id to recipient, of what had its 250


class RunningTests(QueueCase):
    def test_under_load(self) -> None:
        """Each message ends once: delivered, returned or removed, as it was told or sooner."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft, QUICK)
        # Half of what is sent is put off until all was done to it, so that there is something to
        # act on, however fast the rest is.
        kinds = ("keep", "hold", "bounce", "remove")
        for kind in kinds:
            later, match = "451 4.7.0 try later", f"*@{kind}.example"
            microsoft.fault(phase="rcpt", answer=later, match=match, skip=MESSAGES // 8, times=0)
        is_over = threading.Event()
        self.addCleanup(is_over.set)

        def load() -> None:
            for number in range(0, MESSAGES, 10):
                names = [f"u{number + n}@{kinds[n % 4]}.example" for n in range(10)]
                self.submit(gateway, number, *names)
            is_over.set()

        sender = threading.Thread(target=load)
        sender.start()
        told: Counter[str] = Counter()
        removed: set[str] = set()
        wished: set[str] = set()  # to be removed when they land, unless they are delivered then
        while True:
            is_last = is_over.is_set()
            for action, *more in (
                ("hold", "--recipient", "*@hold.example"),
                ("remove", "--recipient", "*@remove.example", "--yes"),
                ("bounce", "--recipient", "*@bounce.example", "--yes"),
                ("retry", "--recipient", "*@keep.example"),
            ):
                for one in self.try_results(gateway, action, *more):
                    told[f"{action} {one['result']}"] += 1
                    if action == "remove" and one["result"] in ("done", "later"):
                        (removed if one["result"] == "done" else wished).add(one["queue_id"])
            if is_last:
                break
        sender.join()
        microsoft.mend()
        self.try_results(gateway, "release", "--all")
        await_(gateway.is_drained, "the spool does not drain")
        granted = {event["qid"] for event in gateway.of("message.removed", program="postsuper")}
        removed |= wished & granted
        self.account(gateway, microsoft.messages(), microsoft, removed)
        self.assertEqual(len(self.queued), MESSAGES)
        for done in ("hold done", "remove done", "bounce done"):
            self.assertGreater(told[done], 0, told)

    def try_results(self, gateway: Gateway, *arguments: str) -> list[Event]:
        """Results of a command on messages that may go meanwhile, which is its exit code 1."""
        try:
            return self.results(gateway, *arguments)
        except AssertionError as error:
            said = str(error)
            self.assertIn("ended with 1:", said)
            return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def account(
        self, gateway: Gateway, received: list[Event], microsoft: Any, removed: set[str]
    ) -> None:
        """Where each message went; none to nowhere, none to two places."""
        reports = {event["qid"] for event in gateway.of("message.report")}
        arrived: Counter[str] = Counter()
        for each in received:
            match = _TRACE_ID.search(microsoft.content(each["number"]))
            if match is not None and each["recipients"] != [SENDER]:
                arrived[match.group(1).decode()] += 1
        self.assertEqual([qid for qid, count in arrived.items() if count > 1], [])
        ends = Counter([*arrived, *reports, *removed])
        self.assertEqual(set(self.queued) - set(ends), set(), "lost")
        self.assertEqual([qid for qid, count in ends.items() if count > 1], [])
        for queue_id in removed:
            self.assertTrue(self.queued[queue_id].endswith("@remove.example"))
        for queue_id in reports:
            self.assertTrue(self.queued[queue_id].endswith("@bounce.example"))

    def test_in_flight(self) -> None:
        """A message that is being delivered is active, and held when its delivery fails."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft, QUICK)
        microsoft.fault(phase="rcpt", action="stall")
        microsoft.fault(phase="dot", answer="451 4.7.0 try later", times=0)
        queue_id = self.submit(gateway, 1, "you@elsewhere.example")
        gateway.wait_for("message.active", qid=queue_id)
        (listed,) = self.results(gateway, "list")
        self.assertEqual(listed["state"], "active")
        (said,) = self.results(gateway, "hold", queue_id, "--why", "a test")
        self.assertEqual(said["result"], "later")
        microsoft.ask("go-on", {})
        gateway.wait_for("message.held", qid=queue_id)
        self.assertIn("held: a test", self.queue(gateway, "list"))
        microsoft.mend()
        self.queue(gateway, "release", queue_id)
        microsoft.wait_for(1)

    def test_a_file_is_taken_in(self) -> None:
        """What an operator puts down is sent by the running service, and the file is gone."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft, QUICK)
        file = self.folder / "message.eml"
        file.write_text(f"From: {SENDER}\nSubject: by hand\n\nHello\n")
        envelope = ("--sender", SENDER, "--recipient", "you@elsewhere.example", "--mailbox", RELAY)
        self.queue(gateway, "adopt", str(file), *envelope)
        (received,) = microsoft.wait_for(1)
        self.assertEqual(received["recipients"], ["you@elsewhere.example"])
        self.assertIn(b"Subject: by hand\r\n\r\nHello\r\n", microsoft.content(received["number"]))
        self.assertFalse(file.exists())
        await_(gateway.is_drained, "something is left")

    def test_a_wish_outlives_kill_9(self) -> None:
        """What was to be removed when it lands is removed by the next process."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft, QUICK)
        microsoft.fault(phase="rcpt", action="stall", times=0)
        queue_id = self.submit(gateway, 1, "you@elsewhere.example")
        gateway.wait_for("message.active", qid=queue_id)
        (said,) = self.results(gateway, "remove", queue_id)
        self.assertEqual(said["result"], "later")
        gateway.kill()
        microsoft.mend()
        gateway.start()
        await_(gateway.is_drained, "it is not removed")
        self.assertEqual(microsoft.messages(), [])


class StoppedTests(QueueCase):
    def test_while_no_service_runs(self) -> None:
        """Everything works under the lock, and the next start finds it done."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft, QUICK)
        microsoft.fault(phase="rcpt", answer="451 4.7.0 try later", times=0)
        names = ("bounce", "remove", "hold", "keep")
        ids = {name: self.submit(gateway, 1, f"{name}@elsewhere.example") for name in names}
        for queue_id in ids.values():
            gateway.wait_for("delivery", qid=queue_id, status="deferred")
        gateway.stop()
        microsoft.mend()
        for action in ("bounce", "remove", "hold"):
            (said,) = self.results(gateway, action, "--recipient", f"{action}@elsewhere.example")
            self.assertEqual((said["queue_id"], said["result"]), (ids[action], "done"))
        gateway.start()
        received = microsoft.wait_for(2)
        self.assertEqual(
            {tuple(each["recipients"]) for each in received},
            {("keep@elsewhere.example",), (SENDER,)},
        )
        self.assertIn(ids["hold"], self.queue(gateway, "list", "--state", "hold"))
        self.assertEqual(len(gateway.spooled()), 1)
