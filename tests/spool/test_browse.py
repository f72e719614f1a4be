"""Looking at queued messages: everything is seen, nothing is touched, little is opened."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Refused, Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.browse import Wanted, browse, look, wanted
from m365gw.spool.message import Message
from m365gw.spool.names import Entry, State
from m365gw.spool.spool import Spool
from tests.spool.mail import CONTENT, NOW, ORIGIN, new_spool, put


class BrowseTests(SynchronousTestCase):
    """A spool in use, looked at beside its owner."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.spool = new_spool(self.path)
        self.view = Spool.open(self.path, hostname="", read_only=True)
        self.addCleanup(self.spool.close)
        self.addCleanup(self.view.close)

    def ids(self, wishes: Wanted | None = None) -> set[int]:
        return {queued.entry.id for queued in browse(self.view, wishes or Wanted())}

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Every file below the spool, with its content and time of change."""
        return {
            str(path): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in Path(self.path).rglob("*")
            if path.is_file()
        }

    def damage(self, entry: Entry) -> None:
        """Change one octet of the envelope of a message."""
        (found,) = Path(self.path).rglob(f"*Q{entry.queue_id}.*")
        octets = bytearray(found.read_bytes())
        octets[octets.index(b"X-M365GW-Envelope") + 25] ^= 1
        found.write_bytes(octets)

    def test_a_message_is_seen_whole(self) -> None:
        """Envelope, origin, outcomes and the header asked for are those of the message."""
        envelope = Envelope("scan@contoso.com", (Recipient("a@x.test"), Recipient("b@x.test")))
        entry = put(self.spool, envelope=envelope)
        message = self.spool.claim(entry)
        reply = Reply(451, "4.3.2", "busy")
        self.spool.settle(message, [Verdict(1, Outcome.PENDING, reply)], NOW)
        entry = self.spool.defer(message, int(NOW) + 300)
        queued = look(self.view, entry, header_limit=1000)
        assert queued is not None
        self.assertEqual((queued.entry, queued.envelope, queued.origin), (entry, envelope, ORIGIN))
        self.assertEqual([one.reply.code for one in queued.recipients], [0, 451])
        self.assertEqual(queued.header + b"\r\nHello.\r\n", CONTENT)
        self.assertEqual((queued.reason, queued.damage), ("", ""))

    def test_every_state_is_seen(self) -> None:
        """Waiting, deferred, held and damaged mail is all there."""
        entries = [put(self.spool) for _ in range(4)]
        self.spool.defer(self.spool.claim(entries[1]), int(NOW))
        self.spool.hold(self.spool.claim(entries[2]), "to be looked at")
        self.spool.set_aside(entries[3])
        seen = {queued.entry.id: queued for queued in browse(self.view, Wanted())}
        states = [seen[entry.id].entry.state for entry in entries]
        self.assertEqual(states, [State.INCOMING, State.DEFERRED, State.HOLD, State.CORRUPT])
        self.assertEqual(seen[entries[2].id].reason, "to be looked at")

    def test_looking_changes_nothing(self) -> None:
        """Not one octet, name or time changes, even where a message is damaged."""
        put(self.spool)
        self.damage(put(self.spool))
        before = self.files()
        self.assertEqual(len(self.ids()), 2)
        self.assertEqual(self.files(), before)

    def test_a_damaged_message_is_shown_with_its_damage(self) -> None:
        """It is listed whatever addresses are asked for, because they cannot be known."""
        entry = put(self.spool)
        self.damage(entry)
        (queued,) = browse(self.view, wanted(sender="nobody@example.com"))
        self.assertEqual(queued.entry, entry)
        self.assertIn("damaged", queued.damage)
        self.assertEqual(queued.recipients, ())

    def test_a_message_that_cannot_be_opened_is_shown(self) -> None:
        """An error of the disk is told of that message, and the others are listed."""
        broken, good = put(self.spool), put(self.spool)

        def claim(entry: Entry) -> Message:
            if entry == broken:
                with self.view.health:
                    raise OSError(5, "Input/output error")
            return Spool.claim(self.view, entry)

        self.patch(self.view, "claim", claim)
        seen = {queued.entry.id: queued.damage for queued in browse(self.view, Wanted())}
        self.assertEqual(seen, {broken.id: os.strerror(5), good.id: ""})

    def test_a_message_that_goes_meanwhile_is_skipped(self) -> None:
        """Mail that is delivered between its name and its file being read is no error."""
        first, second = put(self.spool), put(self.spool)
        listing = browse(self.view, Wanted())
        seen = [next(listing).entry.id]
        for entry in (first, second):
            self.spool.remove(self.spool.claim(entry))
        seen += [queued.entry.id for queued in listing]
        self.assertEqual(len(seen), 1)
        self.assertIsNone(look(self.view, first))

    def test_states_are_chosen(self) -> None:
        """Only the folders of the states asked for are read."""
        kept = self.spool.hold(self.spool.claim(put(self.spool)), "x")
        put(self.spool)
        self.assertEqual(self.ids(wanted((State.HOLD,))), {kept.id})

    def test_senders_and_recipients_are_chosen_by_pattern(self) -> None:
        """One matching recipient is enough; the null sender is <>."""
        report = put(self.spool, "a@x.test", "b@y.test", sender="")
        scan = put(self.spool, "c@z.test", sender="Scan@Contoso.com")
        self.assertEqual(self.ids(wanted(sender="<>")), {report.id})
        self.assertEqual(self.ids(wanted(sender="*@contoso.com")), {scan.id})
        self.assertEqual(self.ids(wanted(recipient="b@y.test")), {report.id})
        self.assertEqual(self.ids(wanted(recipient="*")), {report.id, scan.id})
        self.assertEqual(self.ids(wanted(sender="<>", recipient="c@z.test")), set())

    def test_what_is_no_pattern_is_refused(self) -> None:
        """A slip of the pen does not become an empty listing."""
        for text in ("contoso.com", "a*@contoso.com", "@contoso.com"):
            with self.assertRaises(Refused):
                wanted(sender=text)

    def test_other_mailboxes_are_not_even_opened(self) -> None:
        """The file name tells the mailbox; files of others stay closed."""
        mine = put(self.spool, origin=Origin("192.0.2.7", mailbox="Relay@contoso.com"))
        put(self.spool, origin=Origin("192.0.2.7", mailbox="other@contoso.com"))
        opened: list[int] = []

        def claim(entry: Entry) -> Message:
            opened.append(entry.id)
            return Spool.claim(self.view, entry)

        self.patch(self.view, "claim", claim)
        self.assertEqual(self.ids(wanted(mailbox="relay@CONTOSO.com")), {mine.id})
        self.assertEqual(opened, [mine.id])

    def test_open_recipients_are_those_not_settled(self) -> None:
        """Pending and uncertain ones; when there are none, those that failed."""
        entry = put(self.spool, "t@x.test", "u@x.test", "d@x.test", "b@x.test")
        message = self.spool.claim(entry)
        self.spool.mark(message, [1])
        done = Verdict(2, Outcome.DELIVERED, Reply(250, "2.0.0", "ok"))
        failed = Verdict(3, Outcome.FAILED, Reply(550, "5.1.1", "unknown"))
        self.spool.settle(message, [done, failed], NOW)
        self.assertEqual(self.open_addresses(entry), ["t@x.test", "u@x.test"])
        rest = [Verdict(index, Outcome.DELIVERED, Reply(250, "", "ok")) for index in (0, 1)]
        self.spool.settle(message, rest, NOW)
        message.close()
        self.assertEqual(self.open_addresses(entry), ["b@x.test"])

    def open_addresses(self, entry: Entry) -> list[str]:
        queued = look(self.view, entry)
        assert queued is not None
        return [one.recipient.address for one in queued.open_recipients]
