"""Tests of the arguments of MAIL, RCPT, EHLO and BDAT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.parameters import (
    MailArguments,
    Wrong,
    bdat_arguments,
    host_argument,
    mail_arguments,
    rcpt_arguments,
)


class ParameterTests(SynchronousTestCase):
    """What is taken and what is not."""

    def assert_wrong(self, answer: str, read: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Reading fails with this answer."""
        wrong = self.assertRaises(Wrong, read, *args, **kw)
        self.assertEqual(wrong.answer, answer, args)

    def test_mail_with_all_parameters(self) -> None:
        """Every parameter of the EHLO list is understood."""
        mail = mail_arguments(
            "FROM:<a@x.example> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>"
        )
        self.assertEqual((mail.sender, mail.size, mail.body), ("a@x.example", 12, "8BITMIME"))
        self.assertTrue(mail.smtputf8)

    def test_null_sender_is_read(self) -> None:
        """The null sender is well-formed; whether it may send is another question."""
        self.assertEqual(mail_arguments("FROM:<>"), MailArguments(""))

    def test_bad_mail_is_refused(self) -> None:
        """Blanks, missing brackets, unknown, doubled and empty parameters are errors."""
        for text in (
            "FROM: <a@x.example>",
            "FROM:a@x.example",
            "FROM:<a@x.example>SIZE=1",
            "FROM:<a@x.example>  SIZE=1",
            "FROM:<a@x.example> ",
            "FROM:<a@x.example> SIZE=1 SIZE=2",
            "FROM:<a@x.example> SIZE=-1",
            "FROM:<a@x.example> BODY=9BIT",
            "FROM:<a@x.example> SMTPUTF8=1",
            "FROM:<a@x.example> FOO=1",
            "FROM:<a@x.example> ENVID=a+zz",
        ):
            self.assert_wrong("bad-arguments", mail_arguments, text)

    def test_bad_sender_is_refused(self) -> None:
        """Addresses that are none, and UTF-8 that was not announced."""
        for sender in ("a", "a@", "@x", "a b@x", "a..b@x", "a@x..y", "a@-x", "ä@x", '"a@x', "<a@x"):
            self.assert_wrong("bad-sender", mail_arguments, f"FROM:<{sender}>")

    def test_odd_but_right_addresses_are_taken(self) -> None:
        """Quoted local parts with brackets and blanks, literals, tags."""
        for address in (
            '"a> b"@x.example',
            r'"a\"b"@x.example',
            "a+b=c@x.example",
            "a@[127.0.0.1]",
        ):
            self.assertEqual(mail_arguments(f"FROM:<{address}> SIZE=1").sender, address)

    def test_recipient_with_wishes(self) -> None:
        """NOTIFY and ORCPT are understood, and kept as they were given."""
        text = "TO:<b@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@x.example"
        rcpt = rcpt_arguments(text, smtputf8=False)
        self.assertEqual(rcpt.parameters[0], "NOTIFY=SUCCESS,DELAY")

    def test_bad_recipients_are_refused(self) -> None:
        """The null recipient, contradictions in NOTIFY, ORCPT without a kind."""
        self.assert_wrong("bad-recipient", rcpt_arguments, "TO:<>", smtputf8=False)
        self.assert_wrong("bad-recipient", rcpt_arguments, "TO:<ü@x.example>", smtputf8=False)
        for parameter in ("NOTIFY=NEVER,DELAY", "NOTIFY=", "NOTIFY=DELAY,DELAY", "ORCPT=b@x"):
            text = f"TO:<b@x.example> {parameter}"
            self.assert_wrong("bad-arguments", rcpt_arguments, text, smtputf8=False)

    def test_utf8_recipient_is_taken_when_announced(self) -> None:
        """SMTPUTF8 allows addresses in UTF-8."""
        self.assertEqual(rcpt_arguments("TO:<ü@bücher.example>", smtputf8=True).recipient[0], "ü")

    def test_bdat(self) -> None:
        """A size, and LAST in any case."""
        self.assertEqual(bdat_arguments("10"), (10, False))
        self.assertEqual(bdat_arguments("0 last"), (0, True))
        for text in ("", "x", "-1", "1 2", "1  LAST", "1 LAST LAST", "²"):
            self.assert_wrong("bad-arguments", bdat_arguments, text)

    def test_names_of_hosts(self) -> None:
        """Domains and literals are taken, other things not."""
        for name in ("gateway.example", "host", "[127.0.0.1]", "[IPv6:::1]"):
            self.assertEqual(host_argument(name), name)
        for name in ("", "a b", "under_score", "-a", "a.", "ü.example"):
            self.assert_wrong("bad-name", host_argument, name)
