"""`m365gw queue hold` and its like: what is chosen, shown, asked, done and told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import attrs
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.queue import progress
from m365gw.cli.queue.commands import queue
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.browse import look
from m365gw.spool.names import Entry, State
from tests.spool.mail import NOW, ORIGIN, new_spool, put

BUSY = Reply(451, "4.3.2", "try later")


class ChangesCase(SynchronousTestCase):
    """A spool that no service works on."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.spool = new_spool(self.path)

    def run_queue(self, *arguments: str, **more: Any) -> Result:
        self.spool.close()
        result = CliRunner().invoke(queue, [*arguments, "--spool-dir", self.path], **more)
        self.spool = new_spool(self.path)
        self.addCleanup(self.spool.close)
        return result

    def succeed(self, *arguments: str, **more: Any) -> str:
        result = self.run_queue(*arguments, **more)
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        return result.stdout

    def ids(self, *states: State) -> set[str]:
        return {entry.queue_id for entry in self.spool.entries(*states)}

    def deferred(self, *recipients: str, reply: Reply = BUSY, **more: Any) -> Entry:
        message = self.spool.claim(put(self.spool, *recipients, **more))
        verdicts = [
            Verdict(index, Outcome.PENDING, reply) for index in range(len(message.recipients))
        ]
        self.spool.settle(message, verdicts, NOW)
        return self.spool.defer(message, int(NOW) + 300)


class OneTests(ChangesCase):
    """Messages named one by one."""

    def test_hold_says_why(self) -> None:
        """The reason given is kept with the message."""
        entry = put(self.spool)
        told = self.succeed("hold", entry.queue_id.lower(), "--why", "wait for Ann")
        self.assertEqual(told, f"{entry.queue_id}  held\n1 message held.\n")
        (held,) = self.spool.entries(State.HOLD)
        queued = look(self.spool, held)
        assert queued is not None
        self.assertEqual(queued.reason, "wait for Ann")

    def test_there_and_back(self) -> None:
        """Each command does what it is called."""
        entry = self.deferred()
        for command, states, due in (
            ("hold", (State.HOLD,), NOW + 300),
            ("release", (State.DEFERRED,), 0),
            ("bounce", (State.DEFERRED,), 0),
            ("hold", (State.HOLD,), 0),
        ):
            self.succeed(command, entry.queue_id)
            (found,) = self.spool.entries(*states)
            self.assertEqual((found.due, found.is_expired), (due, command == "bounce"), command)
        self.succeed("remove", entry.queue_id)
        self.assertEqual(self.ids(), set())

    def test_retry_and_flush(self) -> None:
        """What waits for its time is due now."""
        one, other = self.deferred(), self.deferred()
        self.succeed("retry", one.queue_id)
        self.assertEqual(sorted(e.due for e in self.spool.entries()), [0, NOW + 300])
        self.assertEqual(self.succeed("flush"), "1 message to be tried at once.\n")
        self.assertEqual(self.succeed("flush", "--mailbox", "x@y.test")[:10], "0 messages")
        self.assertEqual([e.due for e in self.spool.entries()], [0, 0])
        self.assertEqual(self.ids(State.DEFERRED), {one.queue_id, other.queue_id})

    def test_what_was_not_done_is_told(self) -> None:
        """Messages that are gone, or are so already, are named; the exit code says it."""
        entry = put(self.spool)
        result = self.run_queue("release", entry.queue_id, "0" * 13)
        self.assertEqual(result.exit_code, 1)
        self.assertIn(f"{entry.queue_id}  unchanged: it is not held\n", result.stdout)
        self.assertIn("0000000000000  gone: there is no such message", result.stdout)
        self.assertIn("0 messages released, 1 gone, 1 unchanged.", result.stdout)

    def test_a_damaged_message(self) -> None:
        """It can be removed, by name; nothing else can be done to it."""
        entry = self.spool.set_aside(put(self.spool))
        self.assertIn("m365gw queue adopt", self.run_queue("release", entry.queue_id).stdout)
        self.succeed("remove", entry.queue_id)
        self.assertEqual(self.ids(), set())

    def test_ids_from_the_input(self) -> None:
        """ "-" reads ids, as lists of other commands give them."""
        entries = [put(self.spool), put(self.spool)]
        listed = "".join(f"{entry.queue_id}\n" for entry in entries)
        self.succeed("hold", "-", input=listed)
        self.assertEqual(len(self.ids(State.HOLD)), 2)

    def test_json(self) -> None:
        """An object for each message, and nothing else."""
        entry = put(self.spool)
        told = self.succeed("hold", "--json", entry.queue_id)
        self.assertEqual(
            json.loads(told), {"queue_id": entry.queue_id, "result": "done", "words": ""}
        )

    def test_while_the_spool_is_in_use(self) -> None:
        """A service that cannot be asked is not worked around."""
        entry = put(self.spool)
        arguments = ["hold", entry.queue_id, "--spool-dir", self.path]
        result = CliRunner().invoke(queue, arguments)
        self.assertEqual((result.exit_code, result.stdout), (75, ""))
        self.assertIn("in use by another process", result.stderr)
        self.assertEqual(self.ids(State.INCOMING), {entry.queue_id})


class ManyTests(ChangesCase):
    """Messages chosen by what they are."""

    def test_filters(self) -> None:
        """Each filter narrows the choice; --dry-run shows it exactly and touches nothing."""
        plain = put(self.spool, "a@one.test", sender="x@contoso.com")
        other = self.deferred(
            "b@two.test",
            sender="y@contoso.com",
            origin=attrs.evolve(
                ORIGIN, client="198.51.100.9", login="", mailbox="alarm@contoso.com"
            ),
        )
        held = self.spool.hold(self.spool.claim(put(self.spool)), "looks odd")
        everything = {plain.queue_id, other.queue_id, held.queue_id}
        before = set(self.spool.entries())
        for arguments, expected in (
            (["--all"], everything),
            (["--sender", "y@contoso.com"], {other.queue_id}),
            (["--recipient", "*@one.test"], {plain.queue_id}),
            (["--mailbox", "ALARM@contoso.com"], {other.queue_id}),
            (["--client", "198.51.100.9"], {other.queue_id}),
            (["--client", "Printer3"], {plain.queue_id, held.queue_id}),
            (["--state", "hold"], {held.queue_id}),
            (["--state", "active"], set()),
            (["--state", "active", "--state", "hold"], {held.queue_id}),
            (["--reason", "LOOKS odd"], {held.queue_id}),
            (["--reason", "short of resources"], {other.queue_id}),
            (["--reason", "451 4.3.2"], {other.queue_id}),
            (["--older-than", "1d"], everything),
            (["--newer-than", "1d"], set()),
            ([plain.queue_id, other.queue_id, "--sender", "x@contoso.com"], {plain.queue_id}),
        ):
            told = self.succeed("remove", "--dry-run", "--json", *arguments)
            shown = {json.loads(line)["queue_id"] for line in told.splitlines()}
            self.assertEqual(shown, expected, arguments)
            listed = self.succeed("list", "--json", *[a for a in arguments if a != "--all"])
            shown = {json.loads(line)["queue_id"] for line in listed.splitlines()}
            self.assertEqual(shown, expected, arguments)
            self.assertEqual(set(self.spool.entries()), before)
        told = self.succeed("remove", "--dry-run", "--all")
        self.assertIn("3 messages", told)
        self.assertIn("Nothing was touched. Without --dry-run they would be removed.", told)

    def test_everything_must_be_meant(self) -> None:
        """Without a filter nothing is done; --all says that it is meant."""
        put(self.spool)
        put(self.spool)
        for command in ("hold", "release", "retry", "bounce", "remove"):
            result = self.run_queue(command)
            self.assertEqual(result.exit_code, 2, command)
            self.assertIn("--all", result.stderr)
        self.succeed("hold", "--all")
        self.assertEqual(len(self.ids(State.HOLD)), 2)

    def test_many_are_not_removed_unasked(self) -> None:
        """Nor returned: a script must say --yes, a person is asked."""
        for _ in range(3):
            put(self.spool)
        for command in ("remove", "bounce"):
            result = self.run_queue(command, "--sender", "*")
            self.assertEqual(result.exit_code, 2)
            self.assertRegex(result.stderr, "3 messages would be (removed|returned to the sender):")
        self.assertEqual(len(self.ids(State.INCOMING)), 3)
        self.succeed("remove", "--sender", "*", "--yes")
        self.assertEqual(self.ids(), set())

    def test_damaged_messages_are_not_removed_with_the_others(self) -> None:
        """Only who asks for them removes them."""
        entry = self.spool.set_aside(put(self.spool))
        put(self.spool)
        self.succeed("remove", "--all")
        self.assertEqual(self.ids(), {entry.queue_id})
        self.succeed("remove", "--state", "corrupt")
        self.assertEqual(self.ids(), set())

    def test_what_cannot_be_read_is_not_chosen_by_its_content(self) -> None:
        """A damaged file is no match for a sender, whatever a listing shows."""
        entry = put(self.spool)
        (found,) = Path(self.path).rglob(f"*Q{entry.queue_id}.*")
        found.write_bytes(b"rubbish\r\n")
        shown = self.succeed("remove", "--dry-run", "--sender", "x@contoso.com")
        self.assertIn("No messages.", shown)
        self.assertIn("0 messages", self.succeed("remove", "--sender", "x@contoso.com"))
        self.assertTrue(found.exists())

    def test_many_results_are_summed_up(self) -> None:
        """Only what did not go well is shown one by one."""
        for _ in range(25):
            put(self.spool)
        self.assertEqual(self.succeed("hold", "--all"), "25 messages held.\n")

    def test_wrong_ages_and_ids(self) -> None:
        """They are told before anything is touched."""
        for arguments in (["--older-than", "soon"], ["../x"], ["--state", "asleep"]):
            result = self.run_queue("remove", *arguments)
            self.assertEqual((result.exit_code, result.stdout), (2, ""), arguments)


class ProgressTests(SynchronousTestCase):
    """What takes long is counted, where somebody looks."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def count(self, stream: io.StringIO) -> str:
        times = iter([0.0, *(n * 0.15 for n in range(1, 1000))])
        self.patch(progress.time, "monotonic", lambda: next(times))
        self.patch(progress.sys, "stderr", stream)
        self.assertEqual(list(progress.counting(range(100), "done")), list(range(100)))
        return stream.getvalue()

    def test_on_a_terminal(self) -> None:
        """A count that moves, and leaves no trace."""
        shown = self.count(self.Terminal())
        self.assertTrue(shown.startswith("\r"))
        self.assertIn("\r7 done", shown)
        self.assertTrue(shown.endswith(" \r"))

    def test_elsewhere(self) -> None:
        """Nothing in a log of a script."""
        self.assertEqual(self.count(io.StringIO()), "")
