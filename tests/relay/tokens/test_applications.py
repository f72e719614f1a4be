"""Tests for `m365gw.relay.tokens.applications`: two proofs at a time, and federated ones."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.key_pairs import read_pairs
from m365gw.directory.certificates import new_certificate, renewed
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.flows import AppFlow
from tests.relay.entra import ADDRESS, BROKEN, CLOUD, Answer, Entra, Store, mailbox, refusal

UNKNOWN = Answer(401, refusal("invalid_client", 700027))
WRONG = Answer(401, refusal("invalid_client", 7000215))
EXPIRED = Answer(401, refusal("invalid_client", 7000222))


class TwoProofsTests(SynchronousTestCase):
    """A new secret or certificate beside the old one."""

    def setUp(self) -> None:
        self.entra, self.store = Entra(), Store()

    def flow(self, **changes: str) -> AppFlow:
        return AppFlow(mailbox(**changes), CLOUD, self.entra.session, self.store)

    def sent(self) -> list[str]:
        return [form["client_secret"] for form in self.entra.posts]

    def test_the_old_one_serves_until_the_new_one_is_known(self) -> None:
        """The new secret is tried first at each sign-in; while it is refused the old one works."""
        flow = self.flow(client_secret="new\nold\n")
        self.entra.script = [WRONG, None, WRONG, None]
        self.assertEqual(flow.acquire(fresh=True).token, "AT1")
        self.assertEqual(flow.acquire(fresh=True).token, "AT2")
        self.assertEqual(flow.acquire(fresh=True).token, "AT3")
        self.assertEqual(self.sent(), ["new", "old", "new", "old", "new"])

    def test_the_fault_of_the_new_one_is_told(self) -> None:
        """When both are refused, the new one is the one to be mended."""
        self.entra.script = [WRONG, EXPIRED]
        problem = self.assertRaises(
            TokenUnavailable, self.flow(client_secret="new\nold").acquire, fresh=False
        )
        assert isinstance(problem, TokenUnavailable)
        self.assertEqual(problem.diagnosis.key, "secret-wrong")

    def test_trouble_is_no_refusal(self) -> None:
        """When Entra has trouble the other one is not tried: that would tell nothing."""
        self.entra.script = [BROKEN]
        self.assertRaises(
            TokenUnavailable, self.flow(client_secret="new\nold").acquire, fresh=False
        )
        self.assertEqual(self.sent(), ["new"])

    def test_the_old_certificate_is_retired(self) -> None:
        """Once Entra took the new one twice in a row, the vault keeps only that."""
        text, _ = renewed("", ADDRESS)
        text, new = renewed(text, ADDRESS)
        name = f"certificate {ADDRESS}"
        self.store.kept[name] = text.encode()
        flow = self.flow(flow="certificate", client_secret="", certificate=text)
        self.entra.script = [UNKNOWN]
        for kept in (2, 2, 1):
            grant = flow.acquire(fresh=True)
            self.assertEqual(len(read_pairs(self.store.kept[name])), kept)
        self.assertEqual(read_pairs(self.store.kept[name]), (new,))
        self.assertEqual(grant.proof, f"certificate {new.thumbprint}")

    def test_what_somebody_put_there_meanwhile_stays(self) -> None:
        """A newer one in the vault than the one that was taken is left alone."""
        text, _ = renewed("", ADDRESS)
        text, _ = renewed(text, ADDRESS)
        newer, _ = renewed(text, ADDRESS)
        self.store.kept[f"certificate {ADDRESS}"] = newer.encode()
        flow = self.flow(flow="certificate", client_secret="", certificate=text)
        for _ in range(3):
            flow.acquire(fresh=True)
        self.assertEqual(len(read_pairs(self.store.kept[f"certificate {ADDRESS}"])), 3)

    def test_a_vault_that_fails_costs_no_token(self) -> None:
        """Retiring is tidiness; a token that was got is given out."""
        text, _ = renewed("", ADDRESS)
        text, _ = renewed(text, ADDRESS)
        self.store.is_broken = True
        flow = self.flow(flow="certificate", client_secret="", certificate=text)
        for number in (1, 2, 3):
            self.assertEqual(flow.acquire(fresh=True).token, f"AT{number}")

    def test_replaced_file_is_news(self) -> None:
        """A secret that was replaced on disk is used at once, and lets a held mailbox try."""
        file = Path(self.mktemp())
        file.write_text("old")
        flow = self.flow(client_secret_file=str(file))
        flow.acquire(fresh=True)
        self.assertFalse(flow.has_new_sign_in())
        file.write_text("new")
        self.assertTrue(flow.has_new_sign_in())
        flow.acquire(fresh=True)
        self.assertEqual(self.sent(), ["old", "new"])


class FederatedTests(SynchronousTestCase):
    """The token of another issuer as proof."""

    def setUp(self) -> None:
        self.entra = Entra()
        self.file = Path(self.mktemp())
        box = mailbox(flow="federated", client_secret="", federated_token_file=str(self.file))
        self.flow = AppFlow(box, CLOUD, self.entra.session, Store())

    def refused(self) -> TokenUnavailable:
        problem = self.assertRaises(TokenUnavailable, self.flow.acquire, fresh=True)
        assert isinstance(problem, TokenUnavailable)
        return problem

    def test_read_for_each_request(self) -> None:
        """Such a token lives for an hour: the file is read each time."""
        for token in ("first", "second"):
            self.file.write_text(f"{token}\n")
            self.flow.acquire(fresh=True)
            self.assertEqual(self.entra.posts[-1]["client_assertion"], token)

    def test_bad_files(self) -> None:
        """Missing, empty or no text: the operator's, with the name of the file."""
        problem = self.refused()
        self.assertEqual((problem.reaction, problem.diagnosis.who), ("config", "operator"))
        self.assertIn(str(self.file), problem.diagnosis.why)
        for octets in (b"", b"\xff\xfe"):
            self.file.write_bytes(octets)
            self.assertEqual(self.refused().diagnosis.key, "credential-unreadable")
        self.assertEqual(self.entra.posts, [])

    def test_a_new_token_is_noticed(self) -> None:
        """A mailbox that stands still goes on when the file was mended."""
        self.file.write_text("of somebody else")
        self.entra.script = [Answer(401, refusal("invalid_client", 700212))]
        self.refused()
        self.assertFalse(self.flow.has_new_sign_in())
        self.file.write_text("ours")
        self.assertTrue(self.flow.has_new_sign_in())

    def test_no_federated_credential(self) -> None:
        """Issuer, subject and audience must be known to the app: an administrator's matter."""
        self.file.write_text("token")
        for code in (70021, 700211, 700212, 700213):
            self.entra.script = [Answer(401, refusal("invalid_client", code))]
            problem = self.refused()
            self.assertEqual(problem.reaction, "admin")
            self.assertIn("11111111-2222", problem.diagnosis.what)


class PassphraseTests(SynchronousTestCase):
    """Sealed files."""

    def test_words_hold_no_secret(self) -> None:
        """A PEM whose passphrase is wrong is the operator's, and neither is shown."""
        file = Path(self.mktemp())
        file.write_bytes(new_certificate("x").replace(b"PRIVATE", b"ENCRYPTED PRIVATE"))
        box = mailbox(
            flow="certificate",
            client_secret="",
            certificate_file=str(file),
            certificate_passphrase="open sesame",
        )
        flow = AppFlow(box, CLOUD, Entra().session, Store())
        problem = self.assertRaises(TokenUnavailable, flow.acquire, fresh=False)
        self.assertIn("certificate_passphrase", str(problem))
        self.assertNotIn("sesame", str(problem) + repr(box))
