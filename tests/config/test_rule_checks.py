"""What must hold of a rule: what asking costs where there are many mailboxes."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.checks.rules import known_mailboxes, mailbox_fault
from m365gw.config.mailboxes import Mailbox

BOXES = [
    Mailbox(address=f"Box{number}@contoso.com", flow="device", tenant="contoso.com")
    for number in range(500)
]


class NotWalkedThrough(frozenset[str]):
    """Mailboxes one may only ask for."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("this costs more the more mailboxes there are")


class MailboxFaultTests(SynchronousTestCase):
    def test_each_is_found_at_once(self) -> None:
        """Thousands of rules with hundreds of mailboxes are checked at each change."""
        known = NotWalkedThrough(["box7@contoso.com"])
        self.assertEqual(list(mailbox_fault(("mailbox",), "BOX7@contoso.com", known)), [])
        known_here = known_mailboxes(BOXES)
        self.assertEqual(list(mailbox_fault(("mailbox",), "box499@contoso.com", known_here)), [])
        self.assertNotIsInstance(known_here, list | tuple)

    def test_one_that_is_not_there(self) -> None:
        """Some that are there are named, but not hundreds."""
        [(_, fault, remedy)] = mailbox_fault(("mailbox",), "a@b.c", known_mailboxes(BOXES))
        self.assertIn('"a@b.c"', fault)
        self.assertIn("Known: box0@contoso.com, ", remedy)
        self.assertIn("box19@contoso.com and 480 more. Add a [[mailbox]].", remedy)
        [(_, _, remedy)] = mailbox_fault(("mailbox",), "a@b.c", known_mailboxes([]))
        self.assertIn("Known: none.", remedy)
