"""What one rule decides: senders, recipients, and how far its patterns reach."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client
from m365gw.edge.admission.rules import Allowed, Denied, Rule, client_rule


def rule(*senders: str, **permissions: Any) -> Rule:
    return client_rule(
        Client(login="erp", senders=senders, mailbox="relay@example.com", **permissions)
    )


class SenderTests(SynchronousTestCase):
    """Who may it send as?"""

    def test_no_wildcard_means_more_than_was_written(self) -> None:
        """What looks like the domain, or holds it, is not the domain."""
        for pattern, yes, no in (
            (
                "*@example.com",
                ("a@example.com", "A@EXAMPLE.COM", '"a@b"@example.com', '"a b"@example.com'),
                (
                    "x@sub.example.com",
                    "x@example.com.evil.org",
                    "x@notexample.com",
                    '"x@example.com"@evil.org',
                    "x@[192.0.2.1]",
                    "",
                ),
            ),
            (
                "*@*.example.com",
                ("a@b.example.com", "a@b.c.example.com"),
                ("a@example.com", "a@bexample.com", "a@b.example.com.evil.org"),
            ),
            (
                "scan@example.com",
                ("SCAN@example.com", '"scan"@example.com', '"s\\can"@Example.COM'),
                ("scan+x@example.com", "scan.@example.com", "xscan@example.com", "s*@example.com"),
            ),
            ("a@bücher.example", ("a@xn--bcher-kva.example", "a@BU\u0308CHER.example"), ("a@x.y",)),
            ("straße@example.com", ("STRAßE@example.com",), ("strasse@example.com",)),
        ):
            for sender in yes:
                with self.subTest(pattern=pattern, sender=sender):
                    self.assertIsInstance(rule(pattern).decide(sender), Allowed)
            for sender in no:
                with self.subTest(pattern=pattern, sender=sender):
                    self.assertIsInstance(rule(pattern).decide(sender), Denied)

    def test_foreign_sender_is_rewritten_where_the_rule_says_so(self) -> None:
        """To default_from, else to the mailbox; those listed stay as they are."""
        for default, expected in (("", "relay@example.com"), ("shop@example.com",) * 2):
            rewriting = rule("erp@example.com", foreign_sender="rewrite", default_from=default)
            self.assertEqual(
                rewriting.decide("boss@example.org"),
                Allowed("relay@example.com", rewriting, expected),
            )
            kept = rewriting.decide("Erp@example.com")
            assert isinstance(kept, Allowed)
            self.assertEqual(kept.sender, "Erp@example.com")

    def test_the_null_sender_is_listed_rewritten_or_refused(self) -> None:
        """As reports of programs have it, which Exchange Online does not take from a mailbox."""
        listed = rule("<>").decide("")
        rewritten = rule("a@example.com", foreign_sender="rewrite").decide("")
        assert isinstance(listed, Allowed)
        assert isinstance(rewritten, Allowed)
        self.assertEqual((listed.sender, rewritten.sender), ("", "relay@example.com"))
        denied = rule("*").decide("")
        assert isinstance(denied, Denied)
        self.assertIn(
            'adds "<>" to senders of login "erp" (see m365gw client show erp)', denied.reply.text
        )

    def test_from_is_what_is_listed_or_the_default(self) -> None:
        """The mailbox itself is only meant where it is written down."""
        self.assertTrue(rule("*@example.com").may_be_from("x@Example.com"))
        self.assertTrue(rule("a@b.example", default_from="s@c.example").may_be_from("S@c.example"))
        self.assertFalse(rule("a@b.example").may_be_from("relay@example.com"))
        self.assertIsInstance(rule("a@b.example").decide("relay@example.com"), Denied)
        for option in ({"foreign_sender": "rewrite"}, {"foreign_from": "rewrite"}):
            self.assertTrue(rule("a@b.example", **option).may_be_from("Relay@example.com"))
        named = rule("a@b.example", default_from="s@c.example")
        self.assertIsInstance(named.decide("s@C.example"), Allowed)
        self.assertFalse(rule("*@b.example").may_be_from("not an address"))


class RecipientTests(SynchronousTestCase):
    """Whom may it send to?"""

    def words(self, found: Denied | None) -> str:
        return str(found.reply) if found else ""

    def test_without_lists_anybody(self) -> None:
        """A relay is there to send to the world."""
        self.assertFalse(rule("*").judges_recipients)
        self.assertIsNone(rule("*").may_receive("you@elsewhere.example"))

    def test_only_whom_the_list_allows(self) -> None:
        """The words name the list to change."""
        inside = rule("*", recipients=("*@contoso.com", "audit@example.org"))
        self.assertTrue(inside.judges_recipients)
        for address in ("a@Contoso.com", '"audit"@example.org'):
            self.assertIsNone(inside.may_receive(address))
        for address in ("a@sub.contoso.com", "a@contoso.com.evil.org", '"a@contoso.com"@evil.org'):
            said = self.words(inside.may_receive(address))
            self.assertTrue(said.startswith('550 5.7.1 login "erp" may not send to <'), said)
            self.assertIn('adds it to recipients of login "erp" (see m365gw client show erp)', said)

    def test_denial_beats_allowance(self) -> None:
        """All of a domain but one list."""
        some = rule("*", recipients=("*@contoso.com",), deny_recipients=("all@contoso.com",))
        self.assertIsNone(some.may_receive("a@contoso.com"))
        self.assertIn("out of deny_recipients", self.words(some.may_receive("ALL@contoso.com")))

    def test_what_is_no_address_is_sent_nothing(self) -> None:
        """A domain that cannot be compared is not allowed by accident."""
        denying = rule("*", deny_recipients=("x@contoso.com",))
        self.assertIn("Bad address", self.words(denying.may_receive("a@b..c")))
