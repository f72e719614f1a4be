"""Tests for `m365gw.relay.exit.proof`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Mailbox
from m365gw.directory.certificates import new_certificate
from m365gw.relay.exit.proof import Bearer, Proofs, Shown, in_words
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.tokens import Tokens
from tests.relay.entra import mailbox
from tests.relay.peer import Outcomes
from tests.relay.stage import Inline

BOX = mailbox()


class Coins:
    """Tokens that are always there."""

    async def token(self, mailbox: Mailbox, *, force: bool = False) -> str:
        return "fresh" if force else "token"

    def has_new_sign_in(self, mailbox: Mailbox) -> bool:
        return True


class ProofTests(SynchronousTestCase):
    """What the next session shows."""

    def setUp(self) -> None:
        self.proofs = Proofs(cast(Tokens, Coins()), Inline())
        self.file = Path(self.mktemp())

    def connector(self, **settings: Any) -> Mailbox:
        return Mailbox(
            address="relay@contoso.com", tenant="contoso.com", exit="connector", **settings
        )

    def shown(self, box: Mailbox) -> Any:
        return Outcomes(self.proofs.proof(box)).value

    def test_a_mailbox_shows_a_token(self) -> None:
        """The one there is, or a new one when that was refused."""
        self.assertEqual(self.shown(BOX), Bearer(BOX.address, "token"))
        fresh = Outcomes(self.proofs.proof(BOX, fresh=True)).value
        self.assertEqual(fresh, Bearer(BOX.address, "fresh"))
        self.assertNotIn("fresh", repr(fresh))
        self.assertTrue(self.proofs.has_new(BOX))

    def test_an_address_shows_nothing(self) -> None:
        """A connector that goes by addresses is shown no certificate, and never a new one."""
        box = self.connector(flow="address")
        self.assertEqual(self.shown(box), Shown(box.address))
        self.assertFalse(self.proofs.has_new(box))
        self.assertIn("no certificate", in_words(Shown(box.address)))

    def test_a_certificate_is_read_anew(self) -> None:
        """A file that was replaced is noticed, and shown from the next session on."""
        box = self.connector(flow="certificate", certificate_file=str(self.file))
        self.file.write_bytes(new_certificate("relay.contoso.com"))
        self.assertFalse(self.proofs.has_new(box))  # nothing was shown yet
        first = self.shown(box)
        self.assertIn("the certificate of relay.contoso.com, issued by itself", in_words(first))
        self.assertNotIn("PRIVATE", repr(first))
        self.assertFalse(self.proofs.has_new(box))
        self.file.write_bytes(new_certificate("relay.contoso.com"))
        self.assertTrue(self.proofs.has_new(box))
        self.assertNotEqual(self.shown(box), first)

    def test_a_certificate_that_cannot_be_read(self) -> None:
        """It is said whose it is; and noticed when it is mended."""
        box = self.connector(flow="certificate", certificate_file=str(self.file))
        problem = Outcomes(self.proofs.proof(box)).problem
        assert isinstance(problem, TokenUnavailable)
        self.assertEqual(problem.diagnosis.who, "operator")
        self.assertFalse(self.proofs.has_new(box))
        self.file.write_bytes(new_certificate("relay.contoso.com"))
        self.assertTrue(self.proofs.has_new(box))
