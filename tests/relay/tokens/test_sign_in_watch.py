"""Which stopped mailboxes have something new to sign in with, and whom that costs a question."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Mailbox
from m365gw.directory.vault import VaultError
from m365gw.relay.tokens.sign_in_watch import SignInWatch


class SignInWatchTests(SynchronousTestCase):
    """500 mailboxes that a person signs in for, all stopped."""

    def setUp(self) -> None:
        self.boxes = [
            Mailbox(address=f"box{number}@contoso.com", flow="device", tenant="t", client_id="a")
            for number in range(500)
        ]
        self.stored: dict[str, object] = {f"sign-in {each.address}": 1 for each in self.boxes}
        self.is_away = False
        self.asked: list[str] = []
        self.news: set[str] = set()
        self.watch = SignInWatch(self, self.has_new)

    def marks(self, kind: str) -> dict[str, object]:
        """In place of the vault."""
        if self.is_away:
            raise VaultError("away")
        return self.stored

    def has_new(self, mailbox: Mailbox) -> bool:
        self.asked.append(mailbox.address)
        return mailbox.address in self.news

    def new(self, *boxes: Mailbox) -> list[str]:
        """What is found, and forgets who was asked before."""
        self.asked = []
        return self.watch.new(boxes or self.boxes)

    def test_nobody_is_asked_while_nothing_changes(self) -> None:
        """Only the first look asks all of them."""
        self.assertEqual(self.new(), [])
        self.assertEqual(len(self.asked), 500)
        self.assertEqual(self.new(), [])
        self.assertEqual(self.asked, [])

    def test_one_signs_in(self) -> None:
        """Just that one is asked, and again until it has tried with it."""
        self.new()
        box = self.boxes[7].address
        self.stored[f"sign-in {box}"] = 2
        self.news = {box}
        for _ in range(2):
            self.assertEqual((self.new(), self.asked), ([box], [box]))
        self.news = set()
        self.assertEqual((self.new(), self.asked), ([], [box]))
        self.assertEqual((self.new(), self.asked), ([], []))

    def test_one_that_was_not_stopped_meanwhile(self) -> None:
        """What was known of it is no longer."""
        self.new()
        self.new(self.boxes[0])
        self.new()
        self.assertEqual(len(self.asked), 499)

    def test_a_file_that_is_replaced(self) -> None:
        """Also one that was not there, or could not be read."""
        secret = Path(self.mktemp())
        box = Mailbox(
            address="app@contoso.com",
            flow="secret",
            tenant="t",
            client_id="a",
            client_secret_file=str(secret),
        )
        self.new(box)
        self.new(box)
        self.assertEqual(self.asked, [])
        for change in (
            lambda: secret.write_text("first"),
            lambda: secret.write_text("the second"),
            lambda: secret.chmod(0o400),
        ):
            change()
            self.new(box)
            self.assertEqual(self.asked, [box.address])

    def test_without_the_database(self) -> None:
        """Nothing is new, and nothing is taken for known."""
        self.is_away = True
        self.assertEqual((self.new(), self.asked), ([], []))
        self.is_away = False
        self.new()
        self.assertEqual(len(self.asked), 500)
