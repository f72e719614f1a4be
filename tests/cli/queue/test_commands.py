"""`m365gw queue`: what an administrator sees of the spool, and what scripts read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import attrs
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.queue.commands import queue
from m365gw.cli.queue.objects import KEYS
from m365gw.cli.queue.page import page
from m365gw.cli.queue.table import table
from m365gw.cli.running import Running
from m365gw.smtp.envelope import Envelope, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.shown_header import fields
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.browse import Queued, Wanted, browse, look
from m365gw.spool.names import Entry
from tests.spool.mail import CONTENT, NOW, new_spool, put

BUSY = Reply(451, "4.3.2", "try later")


class QueueCase(SynchronousTestCase):
    """A spool whose lock is taken, as it is while the service runs."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.spool = new_spool(self.path)
        self.addCleanup(self.spool.close)

    def run_queue(self, *arguments: str) -> Result:
        return CliRunner().invoke(queue, [*arguments, "--spool-dir", self.path])

    def objects(self, *arguments: str) -> list[dict[str, object]]:
        result = self.run_queue("list", "--json", *arguments)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        return [json.loads(line) for line in result.stdout.splitlines()]

    def deferred(self, *recipients: str, reply: Reply = BUSY, wait: int = 300) -> Entry:
        """A message tried once, every recipient answered with `reply` a minute ago."""
        message = self.spool.claim(put(self.spool, *recipients))
        verdicts = [
            Verdict(index, Outcome.PENDING, reply) for index in range(len(message.recipients))
        ]
        self.spool.settle(message, verdicts, NOW - 60)
        return self.spool.defer(message, int(NOW) + wait)

    def seen(self, entry: Entry) -> Queued:
        queued = look(self.spool, entry, header_limit=10_000)
        assert queued is not None
        return queued


class ListTests(QueueCase):
    """`queue list`."""

    def table(self) -> list[str]:
        return list(table(browse(self.spool, Wanted()), NOW + 3720))

    def listed(self, *entries: Entry, **known: object) -> list[str]:
        """The table of these messages while the service says this."""
        running = attrs.evolve(Running(is_known=True, at=NOW), **known)
        return list(table(map(self.seen, entries), NOW, running))

    def told(self, *entries: Entry, **known: object) -> list[str]:
        """What is said behind the table."""
        lines = self.listed(*entries, **known)
        (foot,) = (place for place, line in enumerate(lines) if " octets." in line)
        return lines[foot + 1 :]

    def test_a_pace_holds_up_only_what_is_due(self) -> None:
        """That a mailbox sends as fast as it may says nothing of mail with another time."""
        waits = {"relay@contoso.com": "it keeps its pace"}
        self.assertEqual(self.told(put(self.spool), waits=waits), ["it keeps its pace"])
        self.assertEqual(self.told(self.deferred("a@example.com"), waits=waits), [])

    def test_what_stops_a_mailbox_is_said_once(self) -> None:
        """However many messages wait for it, due or not."""
        told = self.told(
            put(self.spool),
            self.deferred("a@example.com"),
            waits={"relay@contoso.com": "it needs a licence"},
            stopped=frozenset({"relay@contoso.com"}),
        )
        self.assertEqual(told, ["it needs a licence"])

    def test_a_mailbox_that_may_not_send_has_no_next_try(self) -> None:
        """Its mail waits, due or not, as long as that lasts; nothing goes now."""
        for why, stopped in (("it is paused", {"relay@contoso.com"}), ("it keeps its pace", set())):
            with self.subTest(why=why):
                _, now, *_ = self.listed(put(self.spool), waits={"relay@contoso.com": ""})
                self.assertEqual(now.split()[5], "now")
                known = {"waits": {"relay@contoso.com": why}, "stopped": frozenset(stopped)}
                _, due, *_ = self.listed(put(self.spool), **known)
                self.assertEqual(due.split()[5], "waits")
                _, later, *_ = self.listed(self.deferred("a@example.com", wait=7320), **known)
                self.assertEqual("waits" in later, bool(stopped))

    def test_a_mailbox_that_is_not_configured(self) -> None:
        """Its mail would wait without a word."""
        told = self.told(put(self.spool), waits={"other@contoso.com": ""})
        self.assertEqual(told, ["relay@contoso.com is not configured: its mail waits until it is"])

    def test_an_empty_queue(self) -> None:
        """Nothing queued is said in words and is no error."""
        result = self.run_queue("list")
        self.assertEqual((result.exit_code, result.output), (0, "No messages.\n"))

    def test_a_waiting_message_takes_one_line(self) -> None:
        """Id, state, size, age, attempts, next try, mailbox, sender, recipients."""
        entry = put(self.spool, "a@example.com", "b@example.com", "c@example.com")
        _, line, foot = self.table()
        self.assertEqual(
            line.split(),
            [entry.queue_id, "incoming", str(len(CONTENT)), "1h", "0", "due", "relay@contoso.com"]
            + ["scan@contoso.com", ">", "a@example.com", "and", "2", "more"],
        )
        self.assertEqual(foot, f"1 message, {len(CONTENT)} octets.")

    def test_a_deferred_message_says_why_in_words(self) -> None:
        """Below it stands what the reply means, and the reply itself."""
        self.deferred("a@example.com", wait=7320)
        _, line, why, _ = self.table()
        self.assertIn(" deferred ", line)
        self.assertIn("  in 1h  ", line)
        self.assertEqual(why.strip(), "Microsoft is short of resources. (451 4.3.2 try later)")

    def test_a_held_message_says_why(self) -> None:
        """The reason given when it was held stands below it, and no next try."""
        self.spool.hold(self.spool.claim(put(self.spool)), "the report could not be sent")
        _, line, why, _ = self.table()
        self.assertEqual(line.split()[5], "-")
        self.assertEqual(why.strip(), "held: the report could not be sent")

    def test_uncertain_recipients_are_named(self) -> None:
        """Who may have the message already is told before anything else."""
        message = self.spool.claim(put(self.spool, "a@example.com", "b@example.com"))
        self.spool.mark(message, [1])
        self.spool.defer(message, 0)
        self.assertIn("uncertain: b@example.com may have it already", self.table()[2])

    def test_a_damaged_message_is_listed(self) -> None:
        """What cannot be read is listed with what its name tells and what is wrong."""
        entry = put(self.spool)
        (found,) = Path(self.path).rglob(f"*Q{entry.queue_id}.*")
        found.write_bytes(b"rubbish\r\n")
        result = self.run_queue("list")
        self.assertEqual(result.exit_code, 0)
        self.assertIn(f"{entry.queue_id}  incoming", result.output)
        self.assertIn("cannot be read: the file does not begin with an envelope", result.output)

    def test_control_characters_never_reach_the_terminal(self) -> None:
        """Text from outside is escaped in every column."""
        text = "\x1b]0;owned\x07\u202e\x9b"
        entry = put(self.spool, envelope=Envelope(text, (Recipient(text),)))
        shown = "".join([*self.table(), *page(self.seen(entry), [(text, text)], NOW)])
        self.assertEqual([one for one in shown if not one.isprintable()], [])
        self.assertIn("\\x1b]0;owned\\x07\\u202e\\x9b > \\x1b", shown)

    def test_letters_the_terminal_does_not_know_are_escaped(self) -> None:
        """A terminal of the last century gets a listing, not an error."""
        put(self.spool, "jürgen@例え.jp")
        code = "from m365gw.cli.queue.commands import queue; queue()"
        done = subprocess.run(
            [sys.executable, "-c", code, "list", "--spool-dir", self.path],
            env={"PYTHONIOENCODING": "latin-1", "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
        )
        self.assertIn("jürgen@\\u4f8b\\u3048.jp".encode("latin-1"), done.stdout)

    def test_filters(self) -> None:
        """State, mailbox, sender and recipient narrow the listing, each and together."""
        waiting = put(self.spool, "a@example.com")
        deferred = self.deferred("b@example.org")
        both = {waiting.queue_id, deferred.queue_id}
        for arguments, expected in (
            (("--state", "deferred"), {deferred.queue_id}),
            (("--state", "deferred", "--state", "incoming"), both),
            (("--state", "hold"), set()),
            (("--mailbox", "RELAY@contoso.com"), both),
            (("--mailbox", "other@contoso.com"), set()),
            (("--sender", "*@contoso.com"), both),
            (("--sender", "<>"), set()),
            (("--recipient", "*@example.org"), {deferred.queue_id}),
            (("--recipient", "*@example.org", "--state", "incoming"), set()),
        ):
            shown = {one["queue_id"] for one in self.objects(*arguments)}
            self.assertEqual(shown, expected, arguments)

    def test_wrong_filters_are_told(self) -> None:
        """A state or pattern that is none ends with 2, not with an empty listing."""
        for arguments in (("--state", "asleep"), ("--sender", "contoso.com")):
            result = self.run_queue("list", *arguments)
            self.assertEqual((result.exit_code, result.stdout), (2, ""))

    def test_json_has_the_documented_keys(self) -> None:
        """Each key is explained in the help, in this order, and the values are as promised."""
        self.deferred("a@example.com")
        (one,) = self.objects()
        explained = [line.split()[0] for line in KEYS.splitlines()[2:] if line[:1].strip()]
        self.assertEqual(list(one), [key for key in explained if key != "header"])
        self.assertIn("next_attempt", self.run_queue("list", "--help").output)
        self.assertEqual(one["next_attempt"], NOW + 300)
        self.assertEqual(one["arrived_at"], NOW)
        (recipient,) = one["recipients"]  # type: ignore[misc]
        self.assertEqual(recipient["outcome"], "pending")
        self.assertEqual(recipient["reply"], {"code": 451, "status": "4.3.2", "text": "try later"})
        self.assertEqual(recipient["since"], NOW - 60)
        self.assertEqual(set(recipient["meaning"]), {"key", "what", "why", "fix", "who"})

    def test_json_of_a_message_not_tried(self) -> None:
        """What is not known yet is null, and a held message has no next attempt."""
        self.spool.hold(self.spool.claim(put(self.spool)), "x")
        (one,) = self.objects()
        self.assertIsNone(one["next_attempt"])
        (recipient,) = one["recipients"]  # type: ignore[misc]
        self.assertEqual(
            (recipient["reply"], recipient["since"], recipient["meaning"]), (None, None, None)
        )


class ShowTests(QueueCase):
    """`queue show`."""

    def page(self, entry: Entry) -> str:
        queued = self.seen(entry)
        return "\n".join(page(queued, fields(queued.header), NOW))

    def test_what_the_service_knows(self) -> None:
        """That it is delivered just now, or why its mailbox may not send."""
        entry = put(self.spool)
        queued = self.seen(entry)
        active = Running(is_known=True, at=NOW, active=frozenset({entry.queue_id}))
        shown = "\n".join(page(queued, [], NOW, active))
        self.assertIn("State:         being delivered now", shown)
        self.assertNotIn("Next attempt", shown)
        waits = Running(is_known=True, at=NOW, waits={"relay@contoso.com": "it keeps its pace"})
        self.assertIn("Mailbox:       it keeps its pace", "\n".join(page(queued, [], NOW, waits)))

    def test_a_message_that_was_set_aside(self) -> None:
        """Why, where its file is, and what to do; not what was last answered to it."""
        entry = self.spool.set_aside(self.deferred("a@example.com"))
        shown = self.run_queue("show", entry.queue_id).stdout
        self.assertIn("Reason:        damaged: the message is not what was accepted", shown)
        self.assertIn("queue adopt --as-it-is", shown)
        self.assertRegex(shown, f"File: +{self.path}/corrupt/.*{entry.queue_id}")

    def test_everything_known_is_on_the_page(self) -> None:
        """Envelope, origin, reply, meaning, remedy and header stand there in words."""
        envelope = Envelope(
            "scan@contoso.com",
            (Recipient("a@example.com", frozenset({"FAILURE"}), "rfc822;first@example.com"),),
            eight_bit=True,
            ret="HDRS",
            envid="QQ314159",
        )
        message = self.spool.claim(put(self.spool, envelope=envelope))
        self.spool.settle(message, [Verdict(0, Outcome.PENDING, BUSY)], NOW - 60)
        shown = self.page(self.spool.defer(message, int(NOW) + 300))
        for words_there in (
            f"Size:          {len(CONTENT)} octets",
            "in 5 minutes",
            '192.0.2.7 port 40123, calling itself "scanner3"',
            "Login:         printer3",
            "Listener:      submission",
            "TLSv1.3 TLS_AES_256_GCM_SHA384",
            "Leaves by:     relay@contoso.com",
            "8-bit content, RET=HDRS, ENVID=QQ314159",
            "To a@example.com",
            "Outcome:       waiting: to be tried again",
            "Wants word of: failure",
            "First sent to: rfc822;first@example.com",
            "Last reply:    451 4.3.2 try later",
            "1 minute ago",
            "Meaning:       Microsoft is short of resources.",
            "What to do:    ",
            "Who must act:  nobody; it heals by itself",
            "  Subject: test",
        ):
            self.assertIn(words_there, shown)

    def test_each_outcome_is_told_from_the_others(self) -> None:
        """Delivered, failed, uncertain and waiting recipients each say what they are."""
        addresses = ("d@x.test", "b@x.test", "u@x.test", "t@x.test")
        message = self.spool.claim(put(self.spool, *addresses))
        done = Verdict(0, Outcome.DELIVERED, Reply(250, "2.0.0", "ok"))
        failed = Verdict(1, Outcome.FAILED, Reply(550, "5.1.1", "User unknown"))
        self.spool.settle(message, [done, failed], NOW)
        self.spool.mark(message, [2])
        shown = self.page(self.spool.defer(message, 0))
        for address, outcome in zip(
            addresses, ("delivered:", "failed:", "uncertain:", "waiting: not tried"), strict=True
        ):
            self.assertIn(f"To {address}\n  Outcome:       {outcome}", shown)
        self.assertIn("Meaning:       There is no such recipient.", shown)

    def test_lost_after_the_end_is_not_unreachable(self) -> None:
        """A connection that broke after the message went out did reach Microsoft."""
        message = self.spool.claim(put(self.spool, "u@x.test"))
        self.spool.mark(message, [0])
        lost = Verdict(0, Outcome.UNCERTAIN, Reply(0, "4.4.2", "connection lost"))
        self.spool.settle(message, [lost], NOW)
        shown = self.page(self.spool.defer(message, 0))
        self.assertIn("Meaning:       The connection broke while the message was sent.", shown)

    def test_names_of_this_message_are_filled_in(self) -> None:
        """A remedy that can be copied names this mailbox, not a placeholder."""
        full = Reply(552, "5.2.3", "RESOLVER.RST.SendSizeLimit.Sender; message too large")
        shown = self.page(self.deferred("a@example.com", reply=full))
        self.assertNotIn("<mailbox>", shown)

    def test_a_message_of_our_own_making(self) -> None:
        """A report has no client, and its sender is the null sender."""
        origin = attrs.evolve(self.spool.claim(put(self.spool)).origin, client="", login="")
        shown = self.page(put(self.spool, sender="", origin=origin))
        self.assertIn("none: it was made by the gateway itself", shown)
        self.assertIn("<> (the null sender: a report)", shown)

    def test_json_has_the_header_too(self) -> None:
        """`show --json` is the object of the listing, with the decoded header."""
        entry = put(self.spool, content=b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\n")
        result = self.run_queue("show", entry.queue_id, "--json")
        shown = json.loads(result.stdout)
        self.assertEqual(shown.pop("header"), [["Subject", "grüße"]])
        self.assertEqual([shown], self.objects())

    def test_ids_may_be_typed_in_small_letters(self) -> None:
        """An id read over the telephone works."""
        entry = put(self.spool)
        result = self.run_queue("show", entry.queue_id.lower())
        self.assertEqual(result.exit_code, 0)
        self.assertTrue(result.output.startswith(f"Message {entry.queue_id}\n"))

    def test_a_message_that_is_not_there(self) -> None:
        """An id nobody has ends with 1 and says where to look."""
        result = self.run_queue("show", "1XPNLJP5QTNJ7")
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertIn("There is no message 1XPNLJP5QTNJ7 in the spool", result.stderr)

    def test_what_is_no_id_is_refused_before_it_is_used(self) -> None:
        """A path, a pattern or a word is a wrong use of the command."""
        for text in ("../../etc/passwd", "*", "", "1XPNLJP5QTNJ", "AAAAAAAAAAAAA", "Z" * 13):
            result = self.run_queue("show", text)
            self.assertEqual((result.exit_code, result.stdout), (2, ""), text)
            self.assertIn("is no queue id", result.stderr.replace("\n", " "))
