"""kill -9 at random moments under load: what was promised is kept, by whoever was told it.

Clients, local programs and an operator go on while the service is killed, sometimes just after it
was told to read its configuration again. Afterwards everything that Microsoft received is counted
against what each of them was told.

`KILL_ROUNDS=20` kills so many times, `KILL_SEED` chooses other moments.
"""

from __future__ import annotations

import os
import random
import re
import signal
import threading
from collections import Counter, defaultdict

from m365gw.cli.postfix.drop import NOTICE
from m365gw.spool.operations import Action
from tests.whole.mixture import (
    CUT,
    GIVEN_BACK,
    LATER,
    REFUSED,
    UNTOLD,
    Client,
    LocalProgram,
    Operator,
    Part,
    Promises,
)
from tests.whole.stage import CONFIGURATION, RELAY, Microsoft, WholeTestCase, await_

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
SEED = int(os.environ.get("KILL_SEED", "365"))
MESSAGES = 60 * ROUNDS
CONNECTIONS = 40

_TRACE_ID = re.compile(rb"\bid (\w{13})\b")
_REPORT_ID = re.compile(rb"^Message-ID: <(\w{13})\.report@", re.MULTILINE)
_ABOUT = re.compile(rb"^X-M365GW-Queue-ID: (\w{13})\r$", re.MULTILINE)
_FAILED = re.compile(rb"^Final-Recipient: rfc822; (\S+)\r\nAction: failed\r$", re.MULTILINE)

RULES = f"""
[[local]]
user = "*"
senders = ["*"]
mailbox = "{RELAY}"

[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "2s"
report_limit = 100000
"""

Copy = tuple[str, str]  # queue id and recipient


class Arrivals:
    """What Microsoft has, by the queue id under which it came."""

    def __init__(self, microsoft: Microsoft) -> None:
        self.copies: Counter[Copy] = Counter()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.local: Counter[str] = Counter()  # by recipient
        self.reported: dict[Copy, list[str]] = defaultdict(list)  # ids of reports that tell of it
        for each in microsoft.messages():
            content = microsoft.content(each["number"])
            queue_id = self._found(_REPORT_ID, content) or self._found(_TRACE_ID, content)
            assert queue_id, content[:300]
            self.times[queue_id].append(each["at"])
            self.copies.update((queue_id, recipient) for recipient in each["recipients"])
            self.local.update(one for one in each["recipients"] if one.startswith("local"))
            about = self._found(_ABOUT, content)
            for recipient in _FAILED.findall(content):
                self.reported[about, recipient.decode()].append(queue_id)

    def _found(self, pattern: re.Pattern[bytes], content: bytes) -> str:
        match = pattern.search(content)
        return match[1].decode() if match else ""


class KillTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        for domain in (REFUSED, UNTOLD):
            self.fault(domain, phase="rcpt", answer="unknown-recipient", times=0)
        self.fault(LATER, phase="rcpt", answer="450 4.3.2 busy", times=20 * ROUNDS)
        for number in range(5 * ROUNDS):  # cut before the answer, having taken it or not
            self.fault(CUT, phase="dot", action="drop", record=number % 2 == 0)
        configuration = CONFIGURATION.replace(
            "[[listener]]", 'maildrop_dir = "maildrop"\n\n[[listener]]', 1
        )
        configuration = configuration.replace("[governor]", "[governor]\nconnections = 8")
        self.gate = self.gateway(self.microsoft365, RULES, configuration)
        self.promises = Promises()
        self.is_over = threading.Event()
        self.addCleanup(self.is_over.set)

    def fault(self, domain: str, **fault: object) -> None:
        self.microsoft365.fault(match=f"*@{domain}", **fault)

    def test_every_promise_is_kept(self) -> None:
        """Accepting, delivering, deferring, reporting, holding, releasing, removing."""
        moments = random.Random(SEED)
        todo = iter(range(MESSAGES))
        shared = (self.gate, self.promises, self.is_over)
        lock = threading.Lock()

        def next_number() -> int | None:
            with lock:
                return next(todo, None)

        clients = [Client(*shared, next_number) for _ in range(CONNECTIONS)]
        others: list[Part] = [LocalProgram(*shared), Operator(*shared, random.Random(SEED + 1))]
        command = Operator(*shared, random.Random(SEED + 2))
        for part in [*clients, *others]:
            part.start()
        for number in range(ROUNDS):
            share = (number + moments.random()) / ROUNDS
            await_(
                lambda share=share: len(self.promises.recipients) >= MESSAGES * share * 0.95,
                "the clients do not get on",
            )
            if moments.random() < 0.5:
                self.gate.process.send_signal(signal.SIGHUP)
            self.is_over.wait(moments.random() * 0.3)
            self.gate.kill()
            if moments.random() < 0.5:
                command.act_while_it_is_stopped()
            self.gate.start()
        for part in clients:
            part.join()
        self.is_over.set()
        for part in others:
            part.join()
        self.assertEqual([part.fault for part in [*clients, *others] if part.fault], [])
        command.release_all()
        self.gate.kill()
        self.gate.start()
        await_(lambda: self.is_drained(command), "the spool does not drain")
        self.count(Arrivals(self.microsoft365))

    def is_drained(self, operator: Operator) -> bool:
        operator.release_all()  # on_uncertain = "hold" may hold some all the time
        maildrop = self.gate.folder / "maildrop"
        dropped = [path for path in maildrop.rglob("*") if path.is_file() and path.name != NOTICE]
        return not dropped and self.gate.is_drained()

    def count(self, arrivals: Arrivals) -> None:
        """What each was promised, against what Microsoft has."""
        promises, told_of = self.promises, self.gate.of("delivery", status="uncertain")
        uncertain = {(event["qid"], event["to"]) for event in told_of}
        promised = {(qid, one) for qid, all_ in promises.recipients.items() for one in all_}
        copies, reported = arrivals.copies, arrivals.reported

        def is_lost(copy: Copy) -> bool:
            is_untold = copy[1].endswith(UNTOLD) and not copies[copy]
            is_removed = promises.may_have(copy[0], Action.REMOVE)
            return not (copies[copy] or copy in reported or is_removed or is_untold)

        def is_wrongly_reported(copy: Copy) -> bool:
            is_refused = copy[1].endswith((REFUSED, UNTOLD))
            is_given_back = promises.may_have(copy[0], *GIVEN_BACK)
            is_both = copies[copy] > 0 and copy not in uncertain
            return is_both or not (is_refused or is_given_back)

        def was_to_stay(queue_id: str) -> bool:
            spans = promises.still(queue_id)
            times = arrivals.times[queue_id]
            return any(since < at < until for since, until in spans for at in times)

        self.assertEqual([copy for copy in sorted(promised) if is_lost(copy)], [])
        self.assertEqual(promises.dropped - set(arrivals.local), set())
        self.assertEqual([one for one in reported if is_wrongly_reported(one)], [])
        self.assertEqual([one for one in promises.told if was_to_stay(one)], [])
        self.assertEqual({one for one, count in copies.items() if count > 1} - uncertain, set())
        self.assertEqual([one for one, reports in reported.items() if len(set(reports)) > 1], [])
        again = [one for one, count in arrivals.local.items() if count > 1]
        picked_again = len(self.gate.of("message.uncertain"))
        self.assertLessEqual(
            len(again), picked_again + len([one for one in uncertain if one[1] in again])
        )
