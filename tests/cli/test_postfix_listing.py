"""`mailq` and `postqueue`: octet for octet what Postfix prints, and quickly there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.postfix.listing import json_lines, table
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.browse import Queued
from m365gw.spool.names import State
from tests.cli.postfix import GOLDEN, QUEUES, STYLES, ZONE, listing, message
from tests.cli.postfix_call import call
from tests.spool.mail import NOW, new_spool, put

OURS = ', "next_attempt": '


class PostfixTests(SynchronousTestCase):
    """Our listings against Postfix's, in a time zone with summer time."""

    def setUp(self) -> None:
        before = os.environ.get("TZ")
        self.addCleanup(self.set_zone, before)
        self.set_zone(ZONE)

    def set_zone(self, zone: str | None) -> None:
        os.environ.pop("TZ", None)
        if zone is not None:
            os.environ["TZ"] = zone
        time.tzset()

    def golden(self, name: str, style: str) -> bytes:
        return (GOLDEN / f"{name}.{style}").read_bytes()

    def test_the_table_is_that_of_postfix(self) -> None:
        """`mailq` prints what Postfix prints for the same messages, octet for octet."""
        for name, queued in QUEUES.items():
            ours = "".join(table(iter(queued))).encode()
            self.assertEqual(ours, self.golden(name, "table"), name)

    def test_the_json_begins_with_that_of_postfix(self) -> None:
        """`mailq -j` prints Postfix's members octet for octet; ours follow."""
        for name, queued in QUEUES.items():
            lines = "".join(json_lines(iter(queued))).splitlines(keepends=True)
            known = "".join(line.partition(OURS)[0] + "}\n" for line in lines)
            self.assertEqual(known.encode(), self.golden(name, "json"), name)
            for line in lines:
                added = list(json.loads(line))[7:]
                self.assertEqual(added, ["next_attempt", "attempts", "mailbox", "client"])

    def test_the_golden_files_are_what_postfix_prints(self) -> None:
        """The Postfix installed here still prints what was captured."""
        for name, queued in QUEUES.items():
            for style, option in STYLES.items():
                self.assertEqual(listing(queued, option), self.golden(name, style), name)

    if os.geteuid() != 0:
        test_the_golden_files_are_what_postfix_prints.skip = (  # type: ignore[attr-defined]
            "Postfix lists a queue that is not the system's for root only"
        )


class WordsTests(SynchronousTestCase):
    """What we know and Postfix does not, in its format."""

    def test_uncertain_recipients_are_shown_as_such(self) -> None:
        """A recipient who may have the message is listed, with that as the reason."""
        queued = message(
            State.DEFERRED, 1_763_000_000, 10, "a@b.example", ("c@d.example", "", Outcome.UNCERTAIN)
        )
        self.assertIn("(delivery uncertain: no answer after", "".join(table(iter([queued]))))

    def test_the_reason_of_a_hold_is_shown(self) -> None:
        """A held message says why it is held, whatever the last reply was."""
        queued = evolve(
            message(State.HOLD, 1_763_000_000, 10, "a@b.example", ("c@d.example", "try later")),
            reason="the report could not be sent",
        )
        shown = "".join(table(iter([queued])))
        self.assertIn("(the report could not be sent)\n", shown)
        self.assertNotIn("try later", shown)
        self.assertIn('"next_attempt": null', "".join(json_lines(iter([queued]))))

    def test_messages_are_printed_as_they_are_read(self) -> None:
        """The first message is out before the second is asked for."""
        asked: list[int] = []

        def messages() -> Iterator[Queued]:
            for number in range(2):
                asked.append(number)
                yield message(State.INCOMING, 1_763_000_000, 10, "a@b.example", ("c@d.example", ""))

        lines = table(messages())
        self.assertIn("Queue ID", next(lines))
        self.assertIn("a@b.example", next(lines))
        self.assertEqual(asked, [0])


class CommandTests(SynchronousTestCase):
    """The command on a real spool."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.spool = new_spool(self.path)
        self.addCleanup(self.spool.close)

    def run_mailq(self, *options: str) -> str:
        result = call("postqueue" if options else "mailq", *options, spool=self.path)
        self.assertEqual(result.code, 0)
        self.assertIn("Mail system is down -- accessing queue directly", result.stderr)
        return result.stdout

    def test_an_empty_queue(self) -> None:
        """No mail is no error, in either style."""
        self.assertEqual(self.run_mailq(), "Mail queue is empty\n")
        self.assertEqual(self.run_mailq("-j"), "")

    def test_a_spool_that_is_in_use(self) -> None:
        """It lists while the service holds the lock: waiting, deferred and held mail."""
        waiting = put(self.spool)
        message = self.spool.claim(put(self.spool, "b@example.com"))
        self.spool.settle(message, [Verdict(0, Outcome.PENDING, Reply(451, "4.3.2", "busy"))], NOW)
        deferred = self.spool.defer(message, int(NOW) + 300)
        held = self.spool.hold(self.spool.claim(put(self.spool)), "to be looked at")
        shown = [json.loads(line) for line in self.run_mailq("-j").splitlines()]
        self.assertEqual(
            [(one["queue_name"], one["queue_id"]) for one in shown],
            [
                ("incoming", waiting.queue_id),
                ("deferred", deferred.queue_id),
                ("hold", held.queue_id),
            ],
        )
        self.assertEqual(
            shown[1]["recipients"],
            [{"address": "b@example.com", "delay_reason": "451 4.3.2 busy"}],
        )
        self.assertEqual(shown[1]["next_attempt"], NOW + 300)
        table = self.run_mailq("-p")
        self.assertEqual(table, self.run_mailq())
        self.assertIn(f"\n{held.queue_id}! ", table)
        self.assertTrue(table.endswith("\n-- 0 Kbytes in 3 Requests.\n"), table)

    def test_a_damaged_message_is_told(self) -> None:
        """It cannot be shown as Postfix shows mail, and is not passed over in silence either."""
        entry = put(self.spool)
        (found,) = Path(self.path).rglob(f"*Q{entry.queue_id}.*")
        found.write_bytes(b"rubbish\r\n")
        result = call("mailq", spool=self.path)
        self.assertEqual((result.code, result.stdout), (0, "Mail queue is empty\n"))
        self.assertIn(f"postqueue: warning: {entry.queue_id} cannot be read: ", result.stderr)

    def test_no_spool_at_all(self) -> None:
        """A wrong folder is told from an empty queue, by words and by exit code."""
        result = call("mailq", spool=self.path + "-nowhere")
        self.assertEqual((result.code, result.stdout), (69, ""))
        self.assertIn("postqueue: fatal: There is no spool at", result.stderr)

    def test_it_loads_nothing_heavy(self) -> None:
        """Monitoring calls it each minute: the libraries of the service stay out of it."""
        code = (
            "import sys; from m365gw.cli.main import main\n"
            "try: main(['mailq'])\n"
            "finally: print(*sorted(sys.modules), file=sys.stderr)"
        )
        places = {"M365GW_SPOOL_DIR": self.path, "M365GW_CONTROL_SOCKET": self.path + "/none"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **places},
        )
        loaded = set(done.stderr.split())
        heavy = {"twisted", "msal", "requests", "cryptography", "cattrs", "argon2", "asyncio"}
        self.assertEqual(loaded & (heavy | {"m365gw.microsoft"}), set())


class ActiveTests(SynchronousTestCase):
    """What the running service has in hand."""

    def test_active_mail_is_marked(self) -> None:
        """With a star, and as the queue it is in; held mail is never active."""
        queued = message(State.DEFERRED, 1_763_000_000, 10, "a@b.example", ("c@d.example", ""))
        queue_id = queued.entry.queue_id
        self.assertIn(f"\n{queue_id}* ", "".join(table(iter([queued]), {queue_id})))
        self.assertIn('"queue_name": "active"', "".join(json_lines(iter([queued]), {queue_id})))

    def test_forced_expiry_is_marked(self) -> None:
        """As Postfix marks it."""
        queued = message(State.DEFERRED, 1_763_000_000, 10, "a@b.example", ("c@d.example", ""))
        queued = evolve(queued, entry=evolve(queued.entry, is_expired=True))
        self.assertIn(f"\n{queued.entry.queue_id}# ", "".join(table(iter([queued]))))
        self.assertIn('"forced_expire": true', "".join(json_lines(iter([queued]))))
